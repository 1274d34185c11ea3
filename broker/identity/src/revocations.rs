//! JWTs that are not taken any more although their signature is good and they have not expired.

use std::collections::{HashMap, HashSet};

/// The tokens that a file revokes. It has one entry a line: `jti:ID`, or `sub:NAME before:UNIX`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Revocations {
    tokens: HashSet<String>,
    subjects: HashMap<String, u64>,
}

/// The most bad lines that are reported.
pub const BAD_LINES_MAX: usize = 100;

/// A line that is no entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadLine {
    /// Its number in the file, from 1.
    pub number: usize,
    /// What is wrong with it.
    pub problem: &'static str,
}

impl Revocations {
    /// Reads a file's content. Lines that are no entries are skipped; the first [`BAD_LINES_MAX`] of them are returned.
    pub fn parse(content: &[u8]) -> (Revocations, Vec<BadLine>) {
        let (mut revocations, mut bad) = (Revocations::default(), Vec::new());
        for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let read = std::str::from_utf8(line).map_err(|_| "it is not UTF-8");
            if let Err(problem) = read.and_then(|line| revocations.add(line.trim())) {
                bad.push(BadLine { number: index + 1, problem });
                bad.truncate(BAD_LINES_MAX);
            }
        }
        (revocations, bad)
    }

    fn add(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with('#') {
            return Ok(());
        }
        if let Some(token) = line.strip_prefix("jti:") {
            let token = token.trim();
            if token.is_empty() {
                return Err("no ID follows jti:");
            }
            self.tokens.insert(token.to_owned());
            return Ok(());
        }
        let entry = line.strip_prefix("sub:").ok_or("it begins neither with jti: nor with sub:")?;
        let (name, before) = entry.rsplit_once(" before:").ok_or("no \" before:\" follows the name")?;
        let (name, before) = (name.trim(), before.trim());
        let number = before.parse().ok().filter(|_| before.bytes().all(|byte| byte.is_ascii_digit()));
        let before: u64 = number.ok_or("what follows before: is not a whole number of seconds since 1970")?;
        if name.is_empty() {
            return Err("no name follows sub:");
        }
        let latest = self.subjects.entry(name.to_owned()).or_insert(before);
        *latest = before.max(*latest);
        Ok(())
    }

    /// The number of entries.
    pub fn len(&self) -> usize {
        self.tokens.len() + self.subjects.len()
    }

    /// Whether nothing is revoked.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a token is revoked. One without `iat` counts as old.
    pub(crate) fn covers(&self, sub: &str, jti: Option<&str>, issued_s: Option<u64>) -> bool {
        jti.is_some_and(|jti| self.tokens.contains(jti))
            || self.subjects.get(sub).is_some_and(|before| issued_s.is_none_or(|issued| issued < *before))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries() {
        let content =
            "# a comment\n\n  # another\njti:a b\r\n sub:user before:1 before:100\nsub:bob before:5\nsub:bob before:3";
        let (revoked, bad) = Revocations::parse(content.as_bytes());
        assert_eq!((revoked.len(), bad), (3, vec![]));
        assert!(revoked.covers("x", Some("a b"), Some(9)));
        assert!(!revoked.covers("x", Some("a"), None) && !revoked.covers("x", None, None));
        for (issued, covered) in [(None, true), (Some(99), true), (Some(100), false)] {
            assert_eq!(revoked.covers("user before:1", None, issued), covered, "{issued:?}");
        }
        // Of two entries the later time counts.
        assert!(revoked.covers("bob", None, Some(4)) && !revoked.covers("bob", None, Some(5)));
    }

    #[test]
    fn bad_lines_are_numbered() {
        let lines = [
            "jti:",
            "jit:x",
            "sub:bob",
            "sub:bob before:",
            "sub:bob before:-1",
            "sub:bob before:+1",
            "sub: before:1",
            "sub:bob before:1.5",
            "sub:bob before:99999999999999999999",
        ];
        let content = [&b"jti:good\n\xff\n"[..], lines.join("\n").as_bytes(), b"\njti:last"].concat();
        let (revoked, bad) = Revocations::parse(&content);
        assert_eq!(bad.iter().map(|line| line.number).collect::<Vec<_>>(), (2..=10 + 1).collect::<Vec<_>>());
        assert_eq!(revoked.len(), 2);
    }
}
