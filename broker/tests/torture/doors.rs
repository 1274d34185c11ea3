//! What a broker needs that takes tokens or speaks TLS: a key, roles and a certificate. And what its clients show.
//!
//! Keys are made once. The files are each broker's own.

use std::io;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use aws_lc_rs::digest::{SHA256, digest};
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::{ClientConfig, RootCertStore};
use serde_json::json;

/// The token of the bystanders. A broker that wants none does not look at it.
pub(crate) const BYSTANDER: &str = "the-token-of-the-bystanders";
/// The name in the certificate.
pub(crate) const NAME: &str = "md.example";
/// How long a token is good: longer than any attack lasts.
const SECONDS: u64 = 3600;

/// An issuer's key, and a server's certificate with its key.
struct Keys {
    issuer: KeyPair,
    server: KeyPair,
    pem: String,
    certificate: CertificateDer<'static>,
}

fn keys() -> &'static Keys {
    static KEYS: OnceLock<Keys> = OnceLock::new();
    KEYS.get_or_init(|| {
        let make = || -> Result<Keys, rcgen::Error> {
            // Both are keys of P-256: the issuer's is for ES256.
            let (issuer, server) = (KeyPair::generate()?, KeyPair::generate()?);
            let certificate = CertificateParams::new(vec![NAME.to_owned()])?.self_signed(&server)?;
            Ok(Keys { issuer, server, pem: certificate.pem(), certificate: certificate.der().clone() })
        };
        make().unwrap_or_else(|error| panic!("no keys for the attacks: {error}"))
    })
}

/// Writes the files of a broker that needs tokens. Returns its configuration: the bystanders may do everything; the role
/// `one` may read `a.>` and `b.>`, and the role `two` the same, except for one topic.
pub(crate) fn tokens(folder: &Path) -> io::Result<String> {
    let file = folder.join("issuer.pem");
    std::fs::write(&file, keys().issuer.public_key_pem())?;
    let sha256: String = digest(&SHA256, BYSTANDER.as_bytes()).as_ref().iter().map(|b| format!("{b:02x}")).collect();
    Ok(format!(
        r#"
token_key_file = {file:?}

[[roles]]
name = "bystander"
sub = [">"]
pub = [">"]

[[roles]]
name = "one"
sub = ["a.>", "b.>"]

[[roles]]
name = "two"
sub = ["a.>", "b.>"]
deny = ["b.denied"]

[[tokens]]
name = "bystander"
sha256 = "{sha256}"
roles = ["bystander"]
"#
    ))
}

/// Writes the files of a broker that speaks TLS. Returns its configuration.
pub(crate) fn tls(folder: &Path) -> io::Result<String> {
    let [cert, key] = ["server.pem", "server.key"].map(|name| folder.join(name));
    std::fs::write(&cert, &keys().pem)?;
    std::fs::write(&key, keys().server.serialize_pem())?;
    Ok(format!("tls_listen = \"127.0.0.1:0\"\ntls_cert = {cert:?}\ntls_key = {key:?}\n"))
}

/// What a client with TLS trusts. It resumes no session: each handshake is a full one.
pub(crate) fn client() -> Arc<ClientConfig> {
    static CLIENT: OnceLock<Arc<ClientConfig>> = OnceLock::new();
    let made = CLIENT.get_or_init(|| {
        let mut roots = RootCertStore::empty();
        roots.add(keys().certificate.clone()).unwrap_or_else(|error| panic!("no certificate: {error}"));
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap_or_else(|error| panic!("no TLS: {error}"));
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.resumption = rustls::client::Resumption::disabled();
        Arc::new(config)
    });
    made.clone()
}

/// A token of the issuer for a client of this name with this role.
pub(crate) fn token(sub: &str, role: &str) -> io::Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?.as_secs();
    let claims = json!({"sub": sub, "aud": "tickcast", "exp": now + SECONDS, "tickcast": {"roles": [role]}});
    let key = EncodingKey::from_ec_der(&keys().issuer.serialize_der());
    encode(&Header::new(Algorithm::ES256), &claims, &key).map_err(io::Error::other)
}

/// The same with another signature. It is one of the right length and range, so that all of the work is done before it
/// is found to be wrong.
pub(crate) fn forged(token: &str, number: usize) -> String {
    let (signed, signature) = token.rsplit_once('.').unwrap_or((token, ""));
    // Four of 86 characters in the middle of the second number: it stays below the order of the curve's group.
    let (begin, end) = signature.split_at(signature.len().saturating_sub(20));
    let (_, end) = end.split_at(4.min(end.len()));
    let digit = |power: u32| char::from(b'A' + (number / 16_usize.pow(power) % 16) as u8);
    let middle: String = (0..4).map(digit).collect();
    // Were it the right one, it would be taken.
    let middle = if signature.contains(&middle) { "zzzz" } else { &middle };
    format!("{signed}.{begin}{middle}{end}")
}
