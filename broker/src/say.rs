//! The command's own output, besides its log. The reader may be gone or the disk full, and neither causes a panic.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Writes the output of a command to standard output. A reader that has gone is no error.
pub(crate) fn output(command: &str, text: &str) -> ExitCode {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.kind() == ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            complaint(&format!("{command}: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Writes an error to standard error.
pub(crate) fn complaint(text: &str) {
    // If that fails, there is no other way to report it.
    let _ = writeln!(io::stderr(), "{text}");
}
