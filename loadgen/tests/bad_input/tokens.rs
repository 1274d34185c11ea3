//! Tokens that are made, and keys and claims of which none can be made.

use std::process::Command;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, KeyPair as _, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::Value;

use crate::fixture::scratch;

fn tokens(arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_loadgen")).arg("tokens").args(arguments).output().expect("it starts");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn each_token_has_its_own_claims_and_a_signature_of_the_key() {
    let pair = rcgen::KeyPair::generate().expect("a key on P-256");
    let path = scratch("issuer.key");
    std::fs::write(&path, pair.serialize_pem()).expect("a file");
    let file = path.to_str().expect("UTF-8");
    let key = aws_lc_rs::signature::EcdsaKeyPair::from_pkcs8(
        &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING,
        &pair.serialize_der(),
    );
    let public = key.expect("the same key").public_key().as_ref().to_vec();
    let claims = r#"{"sub":"user-{number}","aud":"desk"}"#;
    let (code, out, err) = tokens(&["--key", file, "--count", "3", "--claims", claims, "--seconds", "60"]);
    assert_eq!((code, err.as_str()), (Some(0), ""));
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines.len(), 3);
    for (number, token) in lines.into_iter().enumerate() {
        let (signed, signature) = token.rsplit_once('.').expect("three parts");
        let signature = URL_SAFE_NO_PAD.decode(signature).expect("base64url");
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &public).verify(signed.as_bytes(), &signature).expect("valid");
        let part = |part: &str| -> Value {
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).expect("base64url")).expect("JSON")
        };
        let (head, claims) = signed.split_once('.').expect("three parts");
        assert_eq!(part(head)["alg"], "ES256");
        let claims = part(claims);
        assert_eq!((&claims["sub"], &claims["aud"]), (&format!("user-{number}").into(), &"desk".into()));
        let second = |name: &str| claims[name].as_u64().expect("a number");
        assert_eq!(second("exp") - second("iat"), 60);
    }
    let cases: [(&[&str], &str); 4] = [
        (&["--key", "/nowhere/key.pem"], "/nowhere/key.pem"),
        (&["--key", file, "--claims", "[]"], "JSON object"),
        (&["--key", file, "--claims", r#"{"exp":1}"#], "--seconds"),
        (&["--key", file, "--count", "0"], "--count"),
    ];
    for (arguments, words) in cases {
        let (code, out, err) = tokens(arguments);
        assert_eq!((code, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(words), "{arguments:?}: {err}");
    }
    std::fs::write(&path, rcgen::KeyPair::generate_for(&rcgen::PKCS_ED25519).expect("a key").serialize_pem())
        .expect("a file");
    assert!(tokens(&["--key", file]).2.contains("P-256"));
    std::fs::remove_file(&path).expect("it is there");
}
