//! The files with keys, with a secret, and with revocations.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use broker_identity::keys::KEYS_BYTES_MAX;
use broker_identity::revocations::BadLine;
use broker_identity::{Authority, Grants, KeySet, Revocations, TokenRules};

use super::fetch::Connector;
use super::url::KeysUrl;

/// The most bytes of a revocation file: some 400,000 entries.
const REVOKED_BYTES_MAX: usize = 16 << 20;

/// Where keys and revocations come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sources {
    /// `token_key_file`
    pub key_file: Option<PathBuf>,
    /// `token_secret_file`
    pub secret_file: Option<PathBuf>,
    /// `token_revoked_file`
    pub revoked_file: Option<PathBuf>,
    /// `token_jwks_url`
    pub keys_url: Option<KeysUrl>,
    /// `jwks_refresh_ms`
    pub refresh_ms: u64,
    /// `jwks_cooldown_ms`
    pub cooldown_ms: u64,
    /// `jwks_stale_ms`
    pub stale_ms: u64,
}

/// A configuration whose files could be read.
pub struct Prepared {
    pub(super) authority: Authority,
    pub(super) sources: Sources,
    pub(super) connector: Option<Connector>,
    pub(super) keys: Option<Content<KeySet>>,
    pub(super) revoked: Option<Content<(Revocations, Vec<BadLine>)>>,
    /// Oddities that do not stop the start.
    pub warnings: Vec<String>,
}

impl Prepared {
    /// Reads the files of a configuration.
    ///
    /// # Errors
    /// A sentence: a file is missing or wrong, or roles and tokens are.
    pub fn read(rules: TokenRules, grants: Grants, sources: Sources) -> Result<Prepared, String> {
        let keys = match (&sources.key_file, &sources.secret_file) {
            (Some(path), _) => Some(KeyFile::Public(path.clone()).read()?),
            (None, Some(path)) => Some(KeyFile::Secret(path.clone()).read()?),
            (None, None) => None,
        };
        let revoked = sources.revoked_file.as_deref().map(read_revoked).transpose()?;
        let connector = sources
            .keys_url
            .as_ref()
            .map(|url| Connector::new(url).map_err(|error| format!("token_jwks_url = {url}: {error}")));
        let mut warnings: Vec<String> = Vec::new();
        if let Some(path) = sources.secret_file.as_deref().filter(|path| is_open(path)) {
            warnings.push(format!(
                "token_secret_file = {}: other users of this machine can read it, and make tokens (chmod 600)",
                path.display()
            ));
        }
        if let Some(keys) = &keys {
            warnings.extend(keys.value.ignored().iter().map(|why| format!("token_key_file: {why}; it is not used")));
        }
        Ok(Prepared {
            authority: Authority::new(rules, grants),
            connector: connector.transpose()?,
            sources,
            keys,
            revoked,
            warnings,
        })
    }

    /// Sentences about the lines of the revocation file that are no entries. They do not stop the start.
    pub fn bad_lines(&self) -> impl Iterator<Item = String> {
        let (file, revoked) = (self.sources.revoked_file.as_deref(), self.revoked.as_ref());
        let lines = revoked.map(|content| content.value.1.as_slice()).unwrap_or_default();
        lines.iter().map(move |line| bad_line(file.unwrap_or(Path::new("")), line))
    }
}

/// Says what is wrong with a line, and not what becomes of it: a start skips it, and a reload is refused.
pub(super) fn bad_line(file: &Path, line: &BadLine) -> String {
    format!("token_revoked_file = {}: line {} is no entry: {}", file.display(), line.number, line.problem)
}

/// What a file says, and a digest of its bytes, by which a change is noticed.
pub(super) struct Content<T> {
    pub(super) value: T,
    pub(super) digest: [u8; 32],
}

/// A file with what verifies tokens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum KeyFile {
    Public(PathBuf),
    Secret(PathBuf),
}

impl KeyFile {
    pub(super) fn of(sources: &Sources) -> Option<KeyFile> {
        let public = sources.key_file.clone().map(KeyFile::Public);
        public.or_else(|| sources.secret_file.clone().map(KeyFile::Secret))
    }

    pub(super) fn read(&self) -> Result<Content<KeySet>, String> {
        let (setting, path) = match self {
            KeyFile::Public(path) => ("token_key_file", path),
            KeyFile::Secret(path) => ("token_secret_file", path),
        };
        let named = |error: String| format!("{setting} = {}: {error}", path.display());
        let bytes = read(path, KEYS_BYTES_MAX).map_err(named)?;
        let value = match self {
            KeyFile::Public(_) => KeySet::from_text(&bytes),
            KeyFile::Secret(_) => KeySet::from_secret(&bytes),
        };
        Ok(Content { value: value.map_err(named)?, digest: digest_of(&bytes) })
    }
}

pub(super) fn read_revoked(path: &Path) -> Result<Content<(Revocations, Vec<BadLine>)>, String> {
    let named = |error: String| format!("token_revoked_file = {}: {error}", path.display());
    let bytes = read(path, REVOKED_BYTES_MAX).map_err(named)?;
    Ok(Content { value: Revocations::parse(&bytes), digest: digest_of(&bytes) })
}

/// Reads a file that has at most `bytes_max` bytes.
fn read(path: &Path, bytes_max: usize) -> Result<Vec<u8>, String> {
    let unreadable = |error: std::io::Error| format!("the file cannot be read: {error}");
    let file = File::open(path).map_err(unreadable)?;
    // A pipe or a device might never end, or never begin.
    if !file.metadata().map_err(unreadable)?.is_file() {
        return Err("it is not a file".to_owned());
    }
    let mut bytes = Vec::new();
    file.take(bytes_max as u64 + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() > bytes_max {
        return Err(format!("the file has more than {bytes_max} bytes"));
    }
    Ok(bytes)
}

fn digest_of(bytes: &[u8]) -> [u8; 32] {
    let mut digest = [0; 32];
    digest.copy_from_slice(digest::digest(&digest::SHA256, bytes).as_ref());
    digest
}

/// Whether others than the file's owner and group may read it.
fn is_open(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o004 != 0)
}
