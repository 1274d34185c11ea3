//! The command's output. Its reader may be gone, or the disk full; neither is a reason to panic.

use std::io::{self, ErrorKind, Write as _};

/// Writes the requested text to standard output. A reader that stopped reading is not an error.
pub(crate) fn output(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => {
            result.map_err(|error| io::Error::new(error.kind(), format!("standard output cannot be written: {error}")))
        }
    }
}

/// Writes an error or a report to standard error.
pub(crate) fn aside(text: &str) {
    // If that fails, there is nowhere left to report it.
    let _ = writeln!(io::stderr(), "{text}");
}
