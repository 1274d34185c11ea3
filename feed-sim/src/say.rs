//! What the command says. Whoever reads it may be gone, and the disk full: nobody panics over that.

use std::io::{self, ErrorKind, Write as _};

/// Writes what was asked for to standard output. A reader that has read enough is no error.
pub(crate) fn output(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| io::Error::new(error.kind(), format!("standard output cannot be written: {error}")))
        }
    }
}

/// Writes what is wrong, or was done, to standard error.
pub(crate) fn aside(text: &str) {
    // Where that fails nobody can be told.
    let _ = writeln!(io::stderr(), "{text}");
}
