//! Open files that are kept for one purpose: held by files that nobody needs, and given up when the process has no other.

use std::io;

use socket2::{Domain, Socket, Type};

/// A file that nobody needs: a socket that is connected to nothing. It is there in a container without any files, too.
fn nothing() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::DGRAM, None)
}

/// The files.
#[derive(Debug)]
pub(super) struct Reserve {
    files: Vec<Socket>,
}

impl Reserve {
    /// So many files.
    ///
    /// # Errors
    /// The process may not have so many.
    pub(super) fn new(files: usize) -> io::Result<Reserve> {
        Ok(Reserve { files: (0..files).map(|_| nothing()).collect::<io::Result<_>>()? })
    }

    /// Gives one up. Returns whether there was one.
    pub(super) fn give_up_one(&mut self) -> bool {
        self.files.pop().is_some()
    }

    /// Takes files until there are so many again, as far as the process may have them now.
    pub(super) fn refill(&mut self, files: usize) {
        while self.files.len() < files {
            let Ok(file) = nothing() else { return };
            self.files.push(file);
        }
    }
}

/// Whether something failed because there is no open file left, of the process or of the system.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
