//! Keys and tokens for tests.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::encoding::{AsDer, Pkcs8V1Der, PublicKeyX509Der};
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair, RsaKeyPair};
use base64::Engine as _;
use base64::prelude::{BASE64_STANDARD, BASE64_URL_SAFE_NO_PAD};
use broker_identity::authority::TokenRules;
use broker_identity::{Algorithm, Authority, ClaimName, ClaimRules, Fetched, Grants, KeySet, Keys, Role, StaticToken};
use jsonwebtoken::EncodingKey;

/// 2026-11-23, in ms.
pub(crate) const NOW_MS: u64 = 1_795_404_641_000;
pub(crate) const NOW_S: u64 = NOW_MS / 1000;
pub(crate) const SECRET: &[u8] = b"a secret of at least 32 bytes for tests";

/// A key pair of an issuer.
pub(crate) struct Signer {
    pub(crate) algorithm: jsonwebtoken::Algorithm,
    key: EncodingKey,
    /// SubjectPublicKeyInfo.
    pub(crate) info: Vec<u8>,
    /// The members of its JWK that are the key itself.
    pub(crate) jwk: String,
}

impl Signer {
    pub(crate) fn es256() -> Signer {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        let point = pair.public_key().as_ref().to_vec();
        let (x, y) = (base64url(&point[1..33]), base64url(&point[33..]));
        Signer {
            algorithm: jsonwebtoken::Algorithm::ES256,
            key: EncodingKey::from_ec_der(private.as_ref()),
            info: AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
            jwk: format!(r#""kty":"EC","crv":"P-256","x":"{x}","y":"{y}""#),
        }
    }

    pub(crate) fn eddsa() -> Signer {
        let pair = Ed25519KeyPair::generate().unwrap();
        let private = pair.to_pkcs8v1().unwrap();
        let x = base64url(pair.public_key().as_ref());
        Signer {
            algorithm: jsonwebtoken::Algorithm::EdDSA,
            key: EncodingKey::from_ed_der(private.as_ref()),
            info: AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
            jwk: format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
        }
    }

    pub(crate) fn rs256() -> Signer {
        let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
        let private: Pkcs8V1Der<'_> = pair.as_der().unwrap();
        let (n, e) = (pair.public_key().modulus(), pair.public_key().exponent());
        let (n, e) = (base64url(n.big_endian_without_leading_zero()), base64url(e.big_endian_without_leading_zero()));
        Signer {
            algorithm: jsonwebtoken::Algorithm::RS256,
            // PKCS #1, which is in the PKCS #8 of a key of 2048 bits from its 26th byte.
            key: EncodingKey::from_rsa_der(&private.as_ref()[26..]),
            info: AsDer::<PublicKeyX509Der<'_>>::as_der(pair.public_key()).unwrap().as_ref().to_vec(),
            jwk: format!(r#""kty":"RSA","n":"{n}","e":"{e}""#),
        }
    }

    pub(crate) fn hs256(secret: &[u8]) -> Signer {
        Signer {
            algorithm: jsonwebtoken::Algorithm::HS256,
            key: EncodingKey::from_secret(secret).unwrap(),
            info: Vec::new(),
            jwk: format!(r#""kty":"oct","k":"{}""#, base64url(secret)),
        }
    }

    /// Signs claims with the usual header.
    pub(crate) fn sign(&self, claims: &str) -> String {
        self.sign_with(&format!(r#"{{"typ":"JWT","alg":"{:?}"}}"#, self.algorithm), claims)
    }

    /// Signs claims with a header that is used as it is.
    pub(crate) fn sign_with(&self, header: &str, claims: &str) -> String {
        let signed = format!("{}.{}", base64url(header.as_bytes()), base64url(claims.as_bytes()));
        let signature = jsonwebtoken::crypto::sign(signed.as_bytes(), &self.key, self.algorithm).unwrap();
        format!("{signed}.{signature}")
    }

    pub(crate) fn pem(&self) -> String {
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", BASE64_STANDARD.encode(&self.info))
    }
}

/// An issuer that all tests share: to generate an RSA key takes a while.
pub(crate) fn issuer() -> &'static [Signer; 4] {
    static ISSUER: OnceLock<[Signer; 4]> = OnceLock::new();
    ISSUER.get_or_init(|| [Signer::es256(), Signer::eddsa(), Signer::rs256(), Signer::hs256(SECRET)])
}

pub(crate) fn base64url(bytes: &[u8]) -> String {
    BASE64_URL_SAFE_NO_PAD.encode(bytes)
}

/// Claims that are good, with further members.
pub(crate) fn claims(more: &str) -> String {
    format!(r#"{{"sub":"user-42","aud":"tickcast","exp":{}{more}}}"#, NOW_S + 300)
}

pub(crate) fn rules() -> TokenRules {
    TokenRules {
        bytes_max: 8192,
        algorithms: vec![Algorithm::Es256, Algorithm::EdDsa, Algorithm::Rs256],
        claims: ClaimRules {
            audience: "tickcast".to_owned(),
            issuer: None,
            claim: ClaimName::parse("tickcast").unwrap(),
            roles_claim: None,
            leeway_ms: 30_000,
            lifetime_max_ms: 86_400_000,
        },
    }
}

/// The keys in a text: PEM or JWKS.
pub(crate) fn keys(text: &str) -> Keys {
    Keys::new(Some(Arc::new(KeySet::from_text(text.as_bytes()).unwrap())), Fetched::Nowhere)
}

/// An authority with the public keys of the issuer.
pub(crate) fn authority(roles: Vec<Role>, tokens: Vec<StaticToken>) -> Authority {
    with_rules(rules(), roles, tokens)
}

pub(crate) fn with_rules(rules: TokenRules, roles: Vec<Role>, tokens: Vec<StaticToken>) -> Authority {
    let pem: String = issuer()[..3].iter().map(Signer::pem).collect();
    Authority::new(rules, Grants::new(roles, tokens).unwrap()).with_keys(keys(&pem))
}

/// An authority with the secret of the issuer, and nothing else.
pub(crate) fn with_secret(algorithms: &[Algorithm]) -> Authority {
    let rules = TokenRules { algorithms: algorithms.to_vec(), ..rules() };
    let set = KeySet::from_secret(SECRET).unwrap();
    Authority::new(rules, Grants::default()).with_keys(Keys::new(Some(Arc::new(set)), Fetched::Nowhere))
}
