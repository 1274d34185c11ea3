//! The tokens of connections.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Where a connection's token comes from.
#[derive(Debug, Clone, Default)]
pub(crate) enum Token {
    #[default]
    None,
    Fixed(Arc<str>),
    File(Arc<File>),
}

/// A file of tokens. All connections share what was read of it.
pub(crate) struct File {
    path: PathBuf,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    /// The version that was read.
    version: Option<Version>,
    tokens: Vec<Box<str>>,
}

/// Changes when a file is written or replaced: its inode, its length, and when it was changed last, s and ns.
type Version = (u64, u64, i64, i64);

fn version(of: &Metadata) -> Version {
    (of.ino(), of.len(), of.mtime(), of.mtime_nsec())
}

/// Without the tokens.
impl std::fmt::Debug for File {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(out)
    }
}

impl Token {
    pub(crate) fn file(path: &Path) -> Self {
        Self::File(Arc::new(File { path: path.to_owned(), read: Mutex::default() }))
    }

    /// The token of the connection with this number. Errors do not repeat it.
    pub(crate) fn of(&self, number: u32) -> Result<Option<String>, String> {
        let token = match self {
            Self::None => return Ok(None),
            Self::Fixed(token) => token.trim().to_owned(),
            Self::File(file) => file.token(number)?,
        };
        // It becomes a line of the handshake.
        if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err("a token consists of printable ASCII characters without blanks".to_owned());
        }
        Ok(Some(token))
    }
}

impl File {
    fn token(&self, number: u32) -> Result<String, String> {
        let unread = |error| format!("the tokens of {} cannot be read: {error}", self.path.display());
        let mut read = self.read.lock().unwrap_or_else(PoisonError::into_inner);
        let now = version(&fs::metadata(&self.path).map_err(unread)?);
        if read.version != Some(now) {
            let text = fs::read_to_string(&self.path).map_err(unread)?;
            let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
            *read = Read { version: Some(now), tokens: lines.map(Into::into).collect() };
        }
        let turn = (number as usize).checked_rem(read.tokens.len());
        let turn = turn.ok_or_else(|| format!("{} has no token", self.path.display()))?;
        Ok(read.tokens[turn].to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_take_a_files_tokens_in_turn_and_errors_do_not_repeat_them() {
        let path = std::env::temp_dir().join(format!("loadgen-tokens-{}", std::process::id()));
        fs::write(&path, "one\n\n two \n").expect("a file");
        let file = Token::file(&path);
        let tokens: Vec<_> = (0..3).map(|number| file.of(number).expect("a token").expect("one")).collect();
        assert_eq!(tokens, ["one", "two", "one"]);
        assert!(!format!("{file:?}").contains("two"));
        fs::write(&path, "marker\tmarker").expect("a file");
        assert!(!file.of(0).expect_err("no token").contains("marker"));
        fs::write(&path, "\n").expect("a file");
        assert!(file.of(0).expect_err("no token").contains("has no token"));
        fs::remove_file(&path).expect("it is there");
        assert!(file.of(0).expect_err("no file").contains("cannot be read"));
        assert_eq!(Token::None.of(0), Ok(None));
    }
}
