//! One key, parsed and checked when it is read, so that a token costs its verification only.

use std::fmt;

use aws_lc_rs::rsa;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ED25519, ParsedPublicKey, RSA_PKCS1_2048_8192_SHA256};
use aws_lc_rs::signature::{RsaPublicKeyComponents, VerificationAlgorithm};
use aws_lc_rs::{digest, hmac};

use crate::algorithm::Algorithm;

/// Bits of an RSA key: fewer are too weak (RFC 7518 section 3.3), more take milliseconds for each token.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key with its algorithm and, from a JWKS, its name.
pub(crate) struct Key {
    kid: Option<Box<str>>,
    algorithm: Algorithm,
    verifier: Verifier,
    id: [u8; 32],
}

enum Verifier {
    Public(ParsedPublicKey),
    Secret(Box<hmac::Key>),
}

impl Key {
    /// Makes the key of HS256.
    pub(crate) fn secret(secret: &[u8]) -> Key {
        let verifier = Verifier::Secret(Box::new(hmac::Key::new(hmac::HMAC_SHA256, secret)));
        Key { kid: None, algorithm: Algorithm::Hs256, verifier, id: id(Algorithm::Hs256, secret) }
    }

    /// Makes a key from a DER-encoded SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7), whose type decides the algorithm.
    pub(super) fn from_info(info: &[u8]) -> Result<Key, String> {
        let types: [(Algorithm, &'static dyn VerificationAlgorithm); 3] = [
            (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED),
            (Algorithm::EdDsa, &ED25519),
            (Algorithm::Rs256, &RSA_PKCS1_2048_8192_SHA256),
        ];
        let parsed = types.into_iter().find_map(|(algorithm, verification)| {
            ParsedPublicKey::new(verification, info).ok().map(|key| (algorithm, key))
        });
        let (algorithm, key) = parsed.ok_or("it is neither P-256 nor Ed25519 nor RSA")?;
        if algorithm == Algorithm::Rs256 {
            let bytes = rsa::PublicKey::from_der(info).map_err(|_| "its modulus cannot be read")?.modulus_len();
            check_modulus(bytes)?;
        }
        Ok(Key::public(algorithm, key, info))
    }

    /// Makes a key of ES256 from the coordinates of its point.
    pub(super) fn from_point(x: &[u8], y: &[u8]) -> Result<Key, String> {
        // RFC 7518 section 6.2.1.2: coordinates have the full length, so nothing can move from one to the other.
        if x.len() != 32 || y.len() != 32 {
            return Err("a coordinate has not 32 bytes".to_owned());
        }
        let point = [&[4], x, y].concat();
        let key = ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point).map_err(|_| "the point is not on P-256")?;
        Ok(Key::public(Algorithm::Es256, key, &point))
    }

    /// Makes a key of EdDSA from its 32 bytes.
    pub(super) fn from_ed25519(bytes: &[u8]) -> Result<Key, String> {
        if bytes.len() != 32 {
            return Err("x has not 32 bytes".to_owned());
        }
        let key = ParsedPublicKey::new(&ED25519, bytes).map_err(|_| "x is not an Ed25519 key")?;
        Ok(Key::public(Algorithm::EdDsa, key, bytes))
    }

    /// Makes a key of RS256 from modulus and exponent.
    pub(super) fn from_rsa(n: &[u8], e: &[u8]) -> Result<Key, String> {
        check_modulus(n.iter().skip_while(|byte| **byte == 0).count())?;
        let components = RsaPublicKeyComponents { n, e };
        let key = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256);
        let key = key.map_err(|_| "n and e are not an RSA key")?;
        let id = [n, e].concat();
        Ok(Key::public(Algorithm::Rs256, key, &id))
    }

    fn public(algorithm: Algorithm, key: ParsedPublicKey, bytes: &[u8]) -> Key {
        Key { kid: None, algorithm, verifier: Verifier::Public(key), id: id(algorithm, bytes) }
    }

    /// The same key under a name.
    pub(super) fn named(self, kid: Option<String>) -> Key {
        Key { kid: kid.map(String::into_boxed_str), ..self }
    }

    pub(crate) fn kid(&self) -> Option<&str> {
        self.kid.as_deref()
    }

    pub(crate) fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// A digest of the key itself. It tells whether the key that verified a token is still among the broker's.
    pub(crate) fn id(&self) -> [u8; 32] {
        self.id
    }

    /// Whether a signature of a message is good.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        match &self.verifier {
            Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            Verifier::Secret(key) => hmac::verify(key, message, signature).is_ok(),
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("kid", &self.kid)
            .field("algorithm", &self.algorithm)
            .finish_non_exhaustive()
    }
}

fn check_modulus(bytes: usize) -> Result<(), String> {
    let bits = bytes * 8;
    let (min, max) = (RSA_BITS.start(), RSA_BITS.end());
    RSA_BITS.contains(&bits).then_some(()).ok_or_else(|| format!("an RSA key has {min} to {max} bits, not {bits}"))
}

fn id(algorithm: Algorithm, bytes: &[u8]) -> [u8; 32] {
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(algorithm.as_str().as_bytes());
    context.update(bytes);
    let mut id = [0; 32];
    id.copy_from_slice(context.finish().as_ref());
    id
}
