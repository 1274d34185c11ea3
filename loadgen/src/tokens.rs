//! Signed tokens for tests: JSON Web Tokens (RFC 7519) with ES256 (RFC 7518 §3.4).

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::pki_types::pem::PemObject as _;
use serde_json::{Map, Value};

use crate::cli::Tokens;

/// Makes the tokens, one a line.
pub(crate) fn make(tokens: &Tokens) -> anyhow::Result<String> {
    let key = key(&tokens.key)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).context("a clock before 1970")?.as_secs();
    let (mut text, random) = (String::new(), SystemRandom::new());
    for number in 0..tokens.count {
        let mut claims = claims(&tokens.claims, number)?;
        claims.insert("iat".to_owned(), now.into());
        claims.insert("exp".to_owned(), (now + u64::from(tokens.seconds)).into());
        let begin = text.len();
        text.push_str(&URL_SAFE_NO_PAD.encode(br#"{"alg":"ES256","typ":"JWT"}"#));
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(Value::Object(claims).to_string()));
        let signature =
            key.sign(&random, &text.as_bytes()[begin..]).map_err(|_| anyhow!("a token could not be signed"))?;
        text.push('.');
        text.push_str(&URL_SAFE_NO_PAD.encode(signature));
        text.push('\n');
    }
    Ok(text)
}

fn key(path: &Path) -> anyhow::Result<EcdsaKeyPair> {
    let file = || format!("--key {}", path.display());
    let key =
        PrivatePkcs8KeyDer::from_pem_file(path).with_context(|| format!("{}: no key as PKCS #8 in PEM", file()))?;
    EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.secret_pkcs8_der())
        .map_err(|error| anyhow!("{}: it has to be a key on P-256 ({error})", file()))
}

fn claims(text: &str, number: u32) -> anyhow::Result<Map<String, Value>> {
    let text = text.replace("{number}", &number.to_string());
    let claims: Map<String, Value> = serde_json::from_str(&text).context("--claims: it has to be a JSON object")?;
    ensure!(!claims.contains_key("exp") && !claims.contains_key("iat"), "--claims: exp and iat follow from --seconds");
    Ok(claims)
}
