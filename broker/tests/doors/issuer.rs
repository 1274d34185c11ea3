//! A fake issuer of tokens, which counts how often it is asked for its keys.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use aws_lc_rs::signature::Ed25519KeyPair;
use jsonwebtoken::crypto::sign;
use jsonwebtoken::jwk::Jwk;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use serde_json::{Value, json};

use super::common::Running;
use super::tokens::now_s;

/// An issuer's key.
pub(super) struct Key {
    key: EncodingKey,
    kid: &'static str,
}

impl Key {
    pub(super) fn new(kid: &'static str) -> Key {
        let pair = Ed25519KeyPair::generate().unwrap();
        Key { key: EncodingKey::from_ed_der(pair.to_pkcs8v1().unwrap().as_ref()), kid }
    }

    pub(super) fn token(&self) -> String {
        self.token_with(self.kid)
    }

    pub(super) fn token_with(&self, kid: &str) -> String {
        self.token_of(&Header { kid: Some(kid.to_owned()), ..Header::new(Algorithm::EdDSA) })
    }

    /// A token with this header, which may name another algorithm than the key's.
    pub(super) fn token_of(&self, header: &Header) -> String {
        let allowed = json!({"sub": ["stocks.>"]});
        let claims = json!({"sub": "u", "aud": "tickcast", "exp": now_s() + 600, "tickcast": allowed});
        let [header, claims] = [self.encoded(&json!(header)), self.encoded(&claims)];
        let signed = format!("{header}.{claims}");
        format!("{signed}.{}", sign(signed.as_bytes(), &self.key, Algorithm::EdDSA).unwrap())
    }

    /// A part of a token: as it is in a token that has it as its claims.
    fn encoded(&self, part: &Value) -> String {
        let token = encode(&Header::new(Algorithm::EdDSA), part, &self.key).unwrap();
        token.split('.').nth(1).unwrap().to_owned()
    }

    /// The key, as an issuer publishes it.
    pub(super) fn jwk(&self) -> Jwk {
        let mut jwk = Jwk::from_encoding_key(&self.key, Algorithm::EdDSA).unwrap();
        jwk.common.key_id = Some(self.kid.to_owned());
        jwk
    }

    pub(super) fn jwks(&self) -> String {
        json!({"keys": [self.jwk()]}).to_string()
    }
}

/// A fake issuer.
pub(super) struct Issuer {
    pub(super) address: SocketAddr,
    document: Arc<Mutex<Option<String>>>,
    asked: Arc<AtomicU64>,
    ending: Arc<AtomicBool>,
}

impl Issuer {
    /// It fails until it has a document.
    pub(super) fn new() -> Issuer {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let issuer = Issuer {
            address: listener.local_addr().unwrap(),
            document: Arc::default(),
            asked: Arc::default(),
            ending: Arc::default(),
        };
        let (document, asked, ending) = (issuer.document.clone(), issuer.asked.clone(), issuer.ending.clone());
        std::thread::spawn(move || {
            while let Ok((mut socket, _)) = listener.accept() {
                if ending.load(Ordering::Relaxed) {
                    return;
                }
                asked.fetch_add(1, Ordering::Relaxed);
                // The request fits into one segment on this machine.
                let Ok(1..) = socket.read(&mut [0; 4096]) else { continue };
                let document = document.lock().unwrap().clone();
                let (status, body) = document.map_or(("500", String::new()), |body| ("200", body));
                let length = body.len();
                let _ = write!(socket, "HTTP/1.1 {status} x\r\nContent-Length: {length}\r\n\r\n{body}");
            }
        });
        issuer
    }

    pub(super) fn has(&self, key: &Key) {
        *self.document.lock().unwrap() = Some(key.jwks());
    }

    pub(super) fn asked(&self) -> u64 {
        self.asked.load(Ordering::Relaxed)
    }

    pub(super) fn broker(&self, cooldown_ms: &str) -> Running {
        let url = format!("http://{}/jwks.json", self.address);
        Running::with(&[("token_jwks_url", url.as_str()), ("jwks_cooldown_ms", cooldown_ms), ("auth_ms", "60000")])
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.ending.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect(self.address);
    }
}
