//! Issues tokens for `tickcast demo --secure`: JWTs with ES256 (RFC 7515, RFC 7518 §3.4).

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow};
use aws_lc_rs::encoding::{AsDer as _, PublicKeyX509Der};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::pem::pem;

pub(super) struct Issuer(EcdsaKeyPair);

impl Issuer {
    pub(super) fn new() -> anyhow::Result<Issuer> {
        Ok(Issuer(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).context("a new key for tokens")?))
    }

    /// The key that verifies the tokens, as PEM.
    pub(super) fn public_key(&self) -> anyhow::Result<String> {
        let public: PublicKeyX509Der<'static> = self.0.public_key().as_der().context("a public key")?;
        Ok(pem("PUBLIC KEY", public.as_ref()))
    }

    /// A token of a user with one role.
    pub(super) fn issue(&self, sub: &str, role: &str, lifetime: Duration) -> anyhow::Result<String> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = json!({"alg": "ES256", "typ": "JWT"});
        let (issued, ends) = (now.as_secs(), (now + lifetime).as_secs());
        let claims = json!({"sub": sub, "aud": "tickcast", "iat": issued, "exp": ends, "tickcast": {"roles": [role]}});
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let signed = format!("{}.{}", part(&head), part(&claims));
        let signature =
            self.0.sign(&SystemRandom::new(), signed.as_bytes()).map_err(|_| anyhow!("a token cannot be signed"))?;
        Ok(format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref())))
    }
}
