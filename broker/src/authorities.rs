//! The certificate authorities that the system trusts, for connections that this program makes.

use std::fmt::Write as _;

use rustls::RootCertStore;

/// Reads them.
///
/// # Errors
/// A sentence: there are none, and why.
pub(crate) fn of_system() -> Result<RootCertStore, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added > 0 {
        return Ok(roots);
    }
    let mut sentence =
        "no authorities are trusted: the system has none that can be read; SSL_CERT_FILE can name a file \
                        with some"
            .to_owned();
    for error in found.errors.iter().take(3) {
        let _ = write!(sentence, "; {error}");
    }
    Err(sentence)
}
