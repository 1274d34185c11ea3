//! Public keys in PEM (RFC 7468 section 13): `-----BEGIN PUBLIC KEY-----`. They have no names.

use rustls_pki_types::pem::{Error, PemObject, SectionKind};

use super::{KEYS_BYTES_MAX, Key, TRIED_MAX};
use crate::algorithm::Algorithm;

/// Reads all keys of a file. Unlike a JWKS, which somebody else writes, a file has to be right as a whole.
pub(super) fn read(text: &[u8]) -> Result<(Vec<Key>, Vec<String>), String> {
    if text.len() > KEYS_BYTES_MAX {
        return Err(format!("it has {} bytes, at most {KEYS_BYTES_MAX} are read", text.len()));
    }
    let mut keys: Vec<Key> = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        let number = keys.len() + 1;
        let (kind, info) = section.map_err(|error| format!("key {number} is not PEM: {}", sentence(&error)))?;
        if kind != SectionKind::PublicKey {
            return Err(format!("section {number} is a {}; expected PUBLIC KEY", name(kind)));
        }
        keys.push(Key::from_info(&info).map_err(|error| format!("key {number} cannot be used: {error}"))?);
        // No token names one of them, so each is tried.
        let same = |algorithm: Algorithm| keys.iter().filter(|key| key.algorithm() == algorithm).count();
        if Algorithm::ALL.into_iter().any(|algorithm| same(algorithm) > TRIED_MAX) {
            return Err(format!(
                "there are more than {TRIED_MAX} keys of one algorithm, and no token can name one of them: use a JWKS"
            ));
        }
    }
    if keys.is_empty() {
        Err("there is neither a PEM public key nor a JWKS in it".to_owned())
    } else {
        Ok((keys, vec![]))
    }
}

fn name(kind: SectionKind) -> &'static str {
    match kind {
        SectionKind::Certificate => "CERTIFICATE",
        SectionKind::RsaPrivateKey | SectionKind::PrivateKey | SectionKind::EcPrivateKey => "PRIVATE KEY",
        _ => "section of another kind",
    }
}

/// What is wrong, without the file's content.
fn sentence(error: &Error) -> &'static str {
    match error {
        Error::MissingSectionEnd { .. } => "its END line is missing",
        Error::IllegalSectionStart { .. } => "its BEGIN line is broken",
        Error::Base64Decode(_) => "it is not base64",
        _ => "it cannot be read",
    }
}
