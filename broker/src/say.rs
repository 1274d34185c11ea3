//! What the command says itself, beside its log. Whoever reads it may be gone, and the disk full: nobody panics over that.

use std::io::{self, ErrorKind, Write as _};
use std::process::ExitCode;

/// Writes what was asked for to standard output. A reader that has read enough is no error.
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

/// Writes what is wrong to standard error.
pub(crate) fn complaint(text: &str) {
    // Where that fails nobody can be told.
    let _ = writeln!(io::stderr(), "{text}");
}
