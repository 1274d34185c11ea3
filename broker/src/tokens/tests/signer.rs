//! An issuer's key.

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};

use crate::clock;

pub(super) struct Signer {
    key: EncodingKey,
    kid: &'static str,
}

impl Signer {
    pub(super) fn new(kid: &'static str) -> Signer {
        let pair = Ed25519KeyPair::generate().unwrap();
        Signer { key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()), kid }
    }

    /// A token that is good for five minutes.
    pub(super) fn token(&self) -> String {
        self.token_of("user-42", self.kid)
    }

    pub(super) fn token_of(&self, sub: &str, kid: &str) -> String {
        let header = Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) };
        let exp = clock::now().wall_us / 1_000_000 + 300;
        let claims = serde_json::json!({"sub": sub, "aud": "tickcast", "exp": exp, "iat": exp - 300, "jti": kid});
        encode(&header, &claims, &self.key).unwrap()
    }

    /// The key as an entry of a JWKS.
    pub(super) fn jwk(&self) -> String {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        serde_json::to_string(&jwk).unwrap()
    }
}

/// A JWKS of these keys.
pub(super) fn jwks(signers: &[&Signer]) -> String {
    let keys: Vec<String> = signers.iter().map(|signer| signer.jwk()).collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}
