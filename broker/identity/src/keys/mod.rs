//! The keys that verify tokens. Each has one algorithm, which its type decides: a token cannot choose another.

mod jwks;
mod key;
mod pem;

use std::sync::Arc;

use crate::algorithm::Algorithm;
use crate::refusal::BadToken;

pub(crate) use key::Key;

/// The most bytes of a file or document of keys.
pub const KEYS_BYTES_MAX: usize = 64 << 10;
/// The most keys in one.
pub const KEYS_MAX: usize = 64;
/// The most keys that are tried for one token, where it does not name one. So a token with a wrong signature costs at
/// most this many verifications.
const TRIED_MAX: usize = 4;
/// The least bytes of an HS256 secret: those of the digest (RFC 7518 section 3.2).
const SECRET_BYTES_MIN: usize = 32;

/// The keys of one file or document.
#[derive(Debug)]
pub struct KeySet {
    keys: Vec<Key>,
    ignored: Vec<String>,
}

impl KeySet {
    /// Reads PEM public keys, or a JWKS document.
    ///
    /// # Errors
    /// A sentence: what is wrong with the text, or that there is no key in it that could verify a token.
    pub fn from_text(text: &[u8]) -> Result<KeySet, String> {
        let first = text.iter().find(|byte| !byte.is_ascii_whitespace());
        if first == Some(&b'{') { KeySet::from_jwks(text) } else { pem::read(text).and_then(KeySet::new) }
    }

    /// Reads a JWKS document (RFC 7517 section 5).
    ///
    /// # Errors
    /// A sentence: what is wrong with the document, or that there is no key in it that could verify a token.
    pub fn from_jwks(text: &[u8]) -> Result<KeySet, String> {
        jwks::read(text).and_then(KeySet::new)
    }

    /// Makes the key of HS256 from a file's content. A line end after a text is not a part of the secret.
    ///
    /// # Errors
    /// A sentence: it is too short, or a public key.
    pub fn from_secret(content: &[u8]) -> Result<KeySet, String> {
        let secret = match std::str::from_utf8(content) {
            Ok(text) => text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line)).as_bytes(),
            Err(_) => content,
        };
        if secret.starts_with(b"-----BEGIN") {
            return Err("it is a key in PEM, which others may know; HS256 needs a secret".to_owned());
        }
        if secret.len() < SECRET_BYTES_MIN {
            return Err(format!("it has {} bytes; a secret has at least {SECRET_BYTES_MIN}", secret.len()));
        }
        Ok(KeySet { keys: vec![Key::secret(secret)], ignored: Vec::new() })
    }

    fn new((keys, ignored): (Vec<Key>, Vec<String>)) -> Result<KeySet, String> {
        if keys.is_empty() {
            let why = if ignored.is_empty() { String::new() } else { format!(" ({})", ignored.join("; ")) };
            return Err(format!("there is no key in it that verifies ES256, EdDSA or RS256{why}"));
        }
        Ok(KeySet { keys, ignored })
    }

    /// Whether these are the same keys under the same names.
    pub fn is_same(&self, other: &KeySet) -> bool {
        let all =
            |set: &KeySet| set.keys.iter().map(|key| (key.kid().map(str::to_owned), key.id())).collect::<Vec<_>>();
        all(self) == all(other)
    }

    /// The number of keys.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there is no key, which no constructor allows.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// A sentence for each key that was left out, and why.
    pub fn ignored(&self) -> &[String] {
        &self.ignored
    }
}

/// All keys of the broker.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    file: Option<Arc<KeySet>>,
    fetched: Fetched,
}

/// The keys at an issuer's address.
#[derive(Debug, Clone, Default)]
pub enum Fetched {
    /// There is no address.
    #[default]
    Nowhere,
    /// They could not be fetched yet, or are too old.
    NotYet,
    /// These.
    Keys(Arc<KeySet>),
}

/// The key that verified a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UsedKey {
    /// The digest of the key.
    id: [u8; 32],
    /// Whether it was in a file, and not fetched.
    is_of_file: bool,
}

impl Keys {
    /// Puts the keys of a file and those at an address together.
    pub fn new(file: Option<Arc<KeySet>>, fetched: Fetched) -> Keys {
        Keys { file, fetched }
    }

    /// Whether there are keys, now or as soon as they are fetched.
    pub(crate) fn is_configured(&self) -> bool {
        self.file.is_some() || !matches!(self.fetched, Fetched::Nowhere)
    }

    /// Whether a token that was verified with a key could still be: the key is there, or it may come with those that are
    /// not fetched yet. A key of a file that is not in the file any more was taken out of it, so nothing is waited for.
    pub(crate) fn has(&self, used: &UsedKey, algorithms: &[Algorithm]) -> bool {
        let allowed = |key: &Key| key.id() == used.id && algorithms.contains(&key.algorithm());
        let may_come = self.is_waiting() && !(used.is_of_file && self.file.is_some());
        may_come || self.all().any(allowed)
    }

    /// Notes which of the keys verified a token.
    pub(crate) fn used(&self, key: &Key) -> UsedKey {
        let id = key.id();
        UsedKey { id, is_of_file: self.file.iter().flat_map(|set| &set.keys).any(|key| key.id() == id) }
    }

    /// Whether there are further keys, which could not be fetched yet.
    fn is_waiting(&self) -> bool {
        matches!(self.fetched, Fetched::NotYet)
    }

    /// Returns the keys that a token's header leads to, at most [`TRIED_MAX`].
    ///
    /// # Errors
    /// There is none, or there are too many.
    pub(crate) fn fitting(&self, algorithm: Algorithm, kid: Option<&str>) -> Result<Vec<&Key>, BadToken> {
        let fits = |key: &&Key| key.algorithm() == algorithm;
        let named: Vec<&Key> = match kid {
            None => self.all().filter(fits).collect(),
            Some(kid) => {
                let named: Vec<&Key> = self.all().filter(|key| key.kid() == Some(kid)).collect();
                let found: Vec<&Key> = named.iter().copied().filter(fits).collect();
                if !named.is_empty() && found.is_empty() {
                    return Err(BadToken::KeyOfOther);
                }
                // Keys in PEM have no name, whatever the issuer of the tokens calls them.
                if found.is_empty() {
                    self.all().filter(|key| key.kid().is_none()).filter(fits).collect()
                } else {
                    found
                }
            }
        };
        match named.len() {
            0 if self.is_waiting() => Err(BadToken::KeysUnavailable),
            0 => Err(BadToken::UnknownKey),
            1..=TRIED_MAX => Ok(named),
            _ => Err(BadToken::KeyNotNamed),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Key> {
        let fetched = if let Fetched::Keys(keys) = &self.fetched { Some(keys) } else { None };
        self.file.iter().chain(fetched).flat_map(|set| &set.keys)
    }
}
