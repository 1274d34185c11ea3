//! The pairs of certificate and private key that the broker shows, from PEM files.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use rustls::RootCertStore;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use super::certificate::{Facts, facts};

/// A larger file is none of certificates or keys.
const FILE_BYTES_MAX: u64 = 1 << 20;
/// The permission of people who are neither the owner nor in the group to read a file.
const READABLE_BY_OTHERS: u32 = 0o004;

/// Where everything is.
#[derive(Debug, Clone)]
pub(super) struct Paths {
    /// Each certificate's file, and its key's.
    pub(super) pairs: Vec<(PathBuf, PathBuf)>,
    /// The certificate authorities of clients.
    pub(super) client_ca: Option<PathBuf>,
}

/// A file that was read.
struct File {
    path: PathBuf,
    bytes: Vec<u8>,
    /// Whether everybody on the machine may read it.
    is_public: bool,
}

/// The contents of all files.
pub(super) struct Files {
    pairs: Vec<(File, File)>,
    client_ca: Option<File>,
}

/// A certificate with its chain and its key.
#[derive(Debug, Clone)]
pub(super) struct Pair {
    pub(super) key: Arc<CertifiedKey>,
    pub(super) facts: Facts,
}

impl Files {
    /// Reads all files.
    ///
    /// # Errors
    /// The sentence that says which file cannot be read, and why.
    pub(super) fn read(paths: &Paths) -> Result<Files, String> {
        let pair =
            |(certificate, key): &(PathBuf, PathBuf)| Ok((read(certificate, "tls_cert")?, read(key, "tls_key")?));
        let pairs = paths.pairs.iter().map(pair).collect::<Result<_, String>>()?;
        let client_ca = paths.client_ca.as_deref().map(|path| read(path, "tls_client_ca")).transpose()?;
        Ok(Files { pairs, client_ca })
    }

    /// A number that is another one when a file's content is.
    pub(super) fn fingerprint(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for file in self.pairs.iter().flat_map(|(certificate, key)| [certificate, key]).chain(&self.client_ca) {
            file.bytes.hash(&mut hasher);
        }
        hasher.finish()
    }

    /// The pairs in them.
    ///
    /// # Errors
    /// The sentence that says what is wrong with which file, and what to do.
    pub(super) fn pairs(&self, provider: &CryptoProvider) -> Result<Vec<Pair>, String> {
        self.pairs.iter().map(|(certificate, key)| pair(certificate, key, provider)).collect()
    }

    /// The certificate authorities of clients.
    ///
    /// # Errors
    /// Likewise.
    pub(super) fn client_authorities(&self) -> Result<Option<RootCertStore>, String> {
        let Some(file) = &self.client_ca else { return Ok(None) };
        let mut roots = RootCertStore::empty();
        for certificate in certificates(file, "tls_client_ca")? {
            roots.add(certificate).map_err(|error| {
                format!("tls_client_ca {}: a certificate in it cannot be used: {error}", file.path.display())
            })?;
        }
        Ok(Some(roots))
    }

    /// Returns a sentence for everything that works, but should not be so.
    pub(super) fn warnings(&self, pairs: &[Pair]) -> Vec<String> {
        let mut warnings = Vec::new();
        for ((certificate, key), pair) in self.pairs.iter().zip(pairs) {
            if key.is_public {
                warnings.push(format!(
                    "tls_key {}: everybody on this machine may read this private key; chmod 600 it, or give it to the \
                     broker's group (chmod 640)",
                    key.path.display()
                ));
            }
            if pair.facts.is_rsa {
                warnings.push(format!(
                    "tls_cert {}: an RSA key makes handshakes three to seven times as expensive as one on the curve P-256; \
                     most certificate authorities issue both",
                    certificate.path.display()
                ));
            }
        }
        warnings
    }
}

impl Pair {
    /// Returns a sentence if the certificate is not valid at this time.
    pub(super) fn invalidity(&self, now: SystemTime) -> Option<String> {
        let Facts { name, begins, expires, .. } = &self.facts;
        let seconds = |time: &SystemTime| time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        if now > *expires {
            return Some(format!("the certificate of {name} expired at {} (UNIX time): renew it", seconds(expires)));
        }
        (now < *begins).then(|| {
            format!("the certificate of {name} is valid from {} (UNIX time) on only: check the clock", seconds(begins))
        })
    }
}

fn read(path: &Path, setting: &str) -> Result<File, String> {
    let read = || {
        let file = std::fs::File::open(path)?;
        let is_public = file.metadata()?.permissions().mode() & READABLE_BY_OTHERS != 0;
        let mut bytes = Vec::new();
        file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes)?;
        Ok((bytes, is_public))
    };
    let (bytes, is_public) = read().map_err(|error: io::Error| {
        let hint = match error.kind() {
            io::ErrorKind::NotFound => "; check the path",
            io::ErrorKind::PermissionDenied => "; the broker's user has to be allowed to read it",
            _ => "",
        };
        format!("{setting} {}: the file cannot be read: {error}{hint}", path.display())
    })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(format!("{setting} {}: the file is larger than {FILE_BYTES_MAX} bytes", path.display()));
    }
    Ok(File { path: path.to_owned(), bytes, is_public })
}

/// Returns the certificates in a file, at least one.
fn certificates(file: &File, setting: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let path = file.path.display();
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(&file.bytes)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{setting} {path}: it is not valid PEM: {error}"))?;
    if certificates.is_empty() {
        return Err(format!(
            "{setting} {path}: there is no certificate in it; expected PEM, with a line -----BEGIN CERTIFICATE-----"
        ));
    }
    Ok(certificates)
}

fn pair(certificate: &File, key: &File, provider: &CryptoProvider) -> Result<Pair, String> {
    let chain = certificates(certificate, "tls_cert")?;
    let (certificate_path, key_path) = (certificate.path.display(), key.path.display());
    let facts = facts(&chain[0])
        .map_err(|error| format!("tls_cert {certificate_path}: its first certificate cannot be read: {error}"))?;
    // Errors about keys do not repeat anything of the file.
    let private = PrivateKeyDer::from_pem_slice(&key.bytes).map_err(|_| {
        let is_encrypted = key.bytes.windows(b"ENCRYPTED".len()).any(|window| window == b"ENCRYPTED");
        let hint = if is_encrypted {
            "it is encrypted, which is not supported: decrypt it with openssl pkey"
        } else {
            "expected PEM, with a line -----BEGIN PRIVATE KEY-----"
        };
        format!("tls_key {key_path}: there is no private key in it that can be read; {hint}")
    })?;
    let private = provider.key_provider.load_private_key(private).map_err(|_| {
        format!(
            "tls_key {key_path}: a key of this kind is not supported; use P-256, P-384, Ed25519 or RSA of 2048 bits"
        )
    })?;
    let key = CertifiedKey::new(chain, private);
    key.keys_match().map_err(|_| {
        format!(
            "tls_key {key_path}: the key does not belong to the certificate in {certificate_path}; the files are given in \
             pairs, the first key for the first certificate"
        )
    })?;
    Ok(Pair { key: Arc::new(key), facts })
}
