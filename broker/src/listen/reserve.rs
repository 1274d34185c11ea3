//! A reserve of open files: unused files hold descriptors, and are closed when the process has no other one left.

use std::io;

use socket2::{Domain, Socket, Type};

/// Opens a file of no use: an unconnected socket. This also works in a container that has no files.
fn placeholder() -> io::Result<Socket> {
    Socket::new(Domain::UNIX, Type::DGRAM, None)
}

/// A reserve of open files.
#[derive(Debug)]
pub(super) struct Reserve {
    files: Vec<Socket>,
}

impl Reserve {
    /// Opens this many files.
    ///
    /// # Errors
    /// The process may not open that many.
    pub(super) fn new(files: usize) -> io::Result<Reserve> {
        Ok(Reserve { files: (0..files).map(|_| placeholder()).collect::<io::Result<_>>()? })
    }

    /// Closes one file. Returns whether there was one.
    pub(super) fn give_up_one(&mut self) -> bool {
        self.files.pop().is_some()
    }

    /// Opens files until there are this many again, or the process may not open another one.
    pub(super) fn refill(&mut self, files: usize) {
        while self.files.len() < files {
            let Ok(file) = placeholder() else { return };
            self.files.push(file);
        }
    }
}

/// Returns whether something failed because the process or the system has reached its limit of open files.
pub(super) fn is_out_of_files(error: &io::Error) -> bool {
    use rustix::io::Errno;
    [Errno::MFILE, Errno::NFILE].iter().any(|errno| error.raw_os_error() == Some(errno.raw_os_error()))
}
