//! Which keys a token leads to, and which documents are keys.

use std::sync::Arc;

use broker_identity::keys::{KEYS_BYTES_MAX, KEYS_MAX};
use broker_identity::{Authority, BadToken, Fetched, Grants, KeySet, Keys};

use super::signing::{NOW_MS, Signer, base64url, claims, issuer, keys, rules};

fn outcome(keys: &Keys, token: &str) -> Result<(), BadToken> {
    let authority = Authority::new(rules(), Grants::default()).with_keys(keys.clone());
    authority.authenticate(token, NOW_MS).map(|_| ())
}

fn problem(text: &str) -> String {
    KeySet::from_text(text.as_bytes()).expect_err("a bad document")
}

#[test]
fn a_name_is_looked_up_in_the_set() {
    let (first, second) = (Signer::es256(), Signer::es256());
    let rsa = &issuer()[2];
    let document = format!(
        r#"{{"keys":[{{{},"kid":"one"}},{{{},"kid":"two"}},{{{},"kid":"rsa"}}]}}"#,
        first.jwk, second.jwk, rsa.jwk
    );
    let keys = keys(&document);
    let token = |kid: &str| first.sign_with(&format!(r#"{{"alg":"ES256"{kid}}}"#), &claims(""));
    let long = format!(r#","kid":"{}""#, "x".repeat(5000));
    let table = [
        (r#","kid":"one""#, Ok(())),
        (r#","kid":"two""#, Err(BadToken::Signature)),
        // It is good, but for another algorithm.
        (r#","kid":"rsa""#, Err(BadToken::KeyOfOther)),
        (r#","kid":"three""#, Err(BadToken::UnknownKey)),
        (r#","kid":"ONE""#, Err(BadToken::UnknownKey)),
        (r#","kid":"""#, Err(BadToken::UnknownKey)),
        (r#","kid":"../../etc/passwd""#, Err(BadToken::UnknownKey)),
        (r#","kid":"http://127.0.0.1:1/""#, Err(BadToken::UnknownKey)),
        (long.as_str(), Err(BadToken::UnknownKey)),
        // Without a name those of its algorithm are tried.
        ("", Ok(())),
    ];
    for (kid, expected) in table {
        assert_eq!(outcome(&keys, &token(kid)), expected, "{kid}");
    }
}

#[test]
fn keys_without_names_are_tried_whatever_the_issuer_calls_them() {
    let pem: String = issuer()[..3].iter().map(Signer::pem).collect();
    let token = issuer()[0].sign_with(r#"{"alg":"ES256","kid":"2026-11"}"#, &claims(""));
    assert_eq!(outcome(&keys(&pem), &token), Ok(()));
    assert_eq!(outcome(&keys(&issuer()[2].pem()), &token), Err(BadToken::UnknownKey));
}

#[test]
fn few_keys_are_tried() {
    let signers: Vec<Signer> = (0..5).map(|_| Signer::es256()).collect();
    let document = |count: usize| {
        let entries = signers.iter().take(count).enumerate();
        let entries: Vec<String> =
            entries.map(|(number, signer)| format!(r#"{{{},"kid":"{number}"}}"#, signer.jwk)).collect();
        format!(r#"{{"keys":[{}]}}"#, entries.join(","))
    };
    let token = signers[3].sign(&claims(""));
    assert_eq!(outcome(&keys(&document(4)), &token), Ok(()));
    assert_eq!(outcome(&keys(&document(5)), &token), Err(BadToken::KeyNotNamed));
    let pem: String = signers.iter().map(Signer::pem).collect();
    assert!(problem(&pem).contains("more than 4 keys of one algorithm"), "{}", problem(&pem));
}

#[test]
fn keys_that_are_not_there_yet() {
    let token = issuer()[0].sign_with(r#"{"alg":"ES256","kid":"x"}"#, &claims(""));
    assert_eq!(outcome(&Keys::new(None, Fetched::NotYet), &token), Err(BadToken::KeysUnavailable));
    // A file's keys are there, and its tokens are taken meanwhile.
    let file = |signer: &Signer| Arc::new(KeySet::from_text(signer.pem().as_bytes()).unwrap());
    assert_eq!(outcome(&Keys::new(Some(file(&issuer()[0])), Fetched::NotYet), &token), Ok(()));
    assert_eq!(outcome(&Keys::new(Some(file(&issuer()[1])), Fetched::NotYet), &token), Err(BadToken::KeysUnavailable));
}

#[test]
fn a_jwk_fits_its_algorithm() {
    let (es, ed, rsa) = (&issuer()[0].jwk, &issuer()[1].jwk, &issuer()[2].jwk);
    let swap = |jwk: &str, from: &str, to: &str| jwk.replace(from, to);
    let good = [
        es.clone(),
        format!(r#"{es},"use":"sig""#),
        format!(r#"{es},"alg":"ES256","kid":"a","x5c":["AAAA"],"other":{{}}"#),
        format!(r#"{es},"key_ops":["verify"]"#),
        format!(r#"{ed},"alg":"EdDSA""#),
        format!(r#"{rsa},"alg":"RS256""#),
    ];
    for members in good {
        let set = KeySet::from_text(format!(r#"{{"keys":[{{{members}}}]}}"#).as_bytes());
        assert_eq!(set.map(|set| set.len()), Ok(1), "{members}");
    }
    let n = rsa.split(r#""n":""#).nth(1).unwrap().split('"').next().unwrap();
    let bad = [
        (format!(r#"{es},"use":"enc""#), "its use is not"),
        (format!(r#"{es},"use":5"#), "its use is not a string"),
        (format!(r#"{es},"key_ops":["sign"]"#), "key_ops lack"),
        (format!(r#"{es},"key_ops":"verify""#), "key_ops lack"),
        (format!(r#"{es},"alg":"ES384""#), "its alg is not ES256"),
        (format!(r#"{rsa},"alg":"PS256""#), "its alg is not RS256"),
        (format!(r#"{rsa},"alg":"RSA-OAEP""#), "its alg is not RS256"),
        (format!(r#"{es},"alg":"HS256""#), "its alg is not ES256"),
        (format!(r#"{es},"kid":5"#), "its kid is not a string"),
        (format!(r#"{es},"kty":"EC""#), "each name occurs once"),
        (issuer()[3].jwk.clone(), "a secret (oct)"),
        (format!(r#"{},"alg":"HS256","use":"sig""#, issuer()[3].jwk), "a secret (oct)"),
        (swap(es, "P-256", "P-384"), "neither EC with P-256"),
        (swap(es, "P-256", "secp256k1"), "neither EC with P-256"),
        (swap(ed, "Ed25519", "X25519"), "neither EC with P-256"),
        (swap(ed, "OKP", "EC"), "neither EC with P-256"),
        (swap(es, r#""y":""#, r#""y":"AAAA"#), "a coordinate has not 32 bytes"),
        (format!(r#""kty":"EC","crv":"P-256","x":"{0}","y":"{0}""#, base64url(&[1; 32])), "not on P-256"),
        (swap(es, r#""x""#, r#""X""#), "its x is missing"),
        (r#""kty":"OKP","crv":"Ed25519","x":"AAAA""#.to_owned(), "x has not 32 bytes"),
        (format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, base64url(&[255; 128])), "2048 to 8192 bits, not 1024"),
        (format!(r#""kty":"RSA","n":"{}","e":"AQAB""#, base64url(&[255; 2048])), "2048 to 8192 bits, not 16384"),
        (format!(r#""kty":"RSA","n":"{n}","e":"AA""#), "not an RSA key"),
        (String::new(), "neither EC with P-256"),
    ];
    for (members, expected) in bad {
        let problem = problem(&format!(r#"{{"keys":[{{{members}}}]}}"#));
        assert!(problem.contains("no key in it") && problem.contains(expected), "{members}: {problem}");
    }
}

#[test]
fn what_cannot_be_used_is_left_out() {
    let document = format!(r#"{{"keys":[{{{},"use":"enc"}},5,{{{}}}]}}"#, issuer()[2].jwk, issuer()[1].jwk);
    let set = KeySet::from_jwks(document.as_bytes()).unwrap();
    assert_eq!((set.len(), set.ignored().len()), (1, 2));
    assert!(set.ignored()[0].starts_with("key 1: its use is not"), "{:?}", set.ignored());
}

#[test]
fn documents_that_are_no_keys() {
    let entry = |jwk: &str| format!("{{{jwk}}}");
    let many = vec![entry(&issuer()[1].jwk); KEYS_MAX + 1].join(",");
    let table = [
        ("", "neither a PEM public key nor a JWKS"),
        ("hello", "neither a PEM public key nor a JWKS"),
        ("{}", "no list named"),
        (r#"{"keys":{}}"#, "no list named"),
        (r#"{"keys":[]}"#, "no key in it"),
        (r#"{"keys":[],"keys":[]}"#, "each name occurs once"),
        ("{\"keys\":[", "each name occurs once"),
        (&format!(r#"{{"keys":[{many}]}}"#), "65 keys, at most 64"),
        (&format!("{{{}", " ".repeat(KEYS_BYTES_MAX)), "at most 65536 are read"),
        (&"x".repeat(KEYS_BYTES_MAX + 1), "at most 65536 are read"),
    ];
    for (text, expected) in table {
        let problem = problem(text);
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(KeySet::from_text(b"{\"keys\":\xff}").unwrap_err().contains("UTF-8"));
}

#[test]
fn pem_files() {
    let [es, ed, rsa, _] = issuer();
    let all = format!("a comment\n{}\n{}{}", es.pem(), ed.pem(), rsa.pem().replace('\n', "\r\n"));
    assert_eq!(KeySet::from_text(all.as_bytes()).map(|set| set.len()), Ok(3));
    let renamed = |name: &str| es.pem().replace("PUBLIC KEY", name);
    let table = [
        (renamed("PRIVATE KEY"), "section 1 is a PRIVATE KEY"),
        (renamed("CERTIFICATE"), "section 1 is a CERTIFICATE"),
        (format!("{}{}", ed.pem(), renamed("EC PRIVATE KEY")), "section 2 is a PRIVATE KEY"),
        (es.pem().replace("-----END PUBLIC KEY-----", ""), "its END line is missing"),
        (es.pem().replace("-----\nM", "-----\n!"), "not base64"),
        (es.pem().replace("-----\nM", "-----\nN"), "neither P-256 nor Ed25519 nor RSA"),
        (RSA_1024.to_owned(), "an RSA key has 2048 to 8192 bits, not 1024"),
        (P_384.to_owned(), "neither P-256 nor Ed25519 nor RSA"),
        (X25519.to_owned(), "neither P-256 nor Ed25519 nor RSA"),
    ];
    for (text, expected) in table {
        assert!(problem(&text).contains(expected), "{}", problem(&text));
    }
}

#[test]
fn secrets() {
    let sign = |secret: &[u8]| Signer::hs256(secret).sign(&claims(""));
    let check = |content: &[u8], secret: &[u8]| {
        let set = KeySet::from_secret(content).unwrap();
        let mut rules = rules();
        rules.algorithms = vec![broker_identity::Algorithm::Hs256];
        let authority =
            Authority::new(rules, Grants::default()).with_keys(Keys::new(Some(Arc::new(set)), Fetched::Nowhere));
        authority.authenticate(&sign(secret), NOW_MS).is_ok()
    };
    let text = b"0123456789abcdef0123456789abcdef";
    assert!(check(text, text));
    // An editor ends a text with a line end.
    assert!(check(&[&text[..], b"\n"].concat(), text) && check(&[&text[..], b"\r\n"].concat(), text));
    assert!(!check(&[&text[..], b" "].concat(), text));
    // Random bytes may end with one.
    let bytes = [&[0xff; 32][..], b"\n"].concat();
    assert!(check(&bytes, &bytes));
    for short in [&b""[..], &text[1..], &[&text[1..], b"\n"].concat()] {
        assert!(KeySet::from_secret(short).unwrap_err().contains("at least 32"), "{short:?}");
    }
    assert!(KeySet::from_secret(issuer()[0].pem().as_bytes()).unwrap_err().contains("HS256 needs a secret"));
}

// Public keys of other kinds, made with OpenSSL.
const RSA_1024: &str = "-----BEGIN PUBLIC KEY-----
MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDjyKtjAwtmliXkPhWwrvEEoCzn
mWtNvQRuCJH5rf2gDwxJ2mQPelZu1W0GBXu188eR6im31+dtLfLfPvLl9nbyGUq5
LkYyCz3PexBD1nVGbbpXHSl+ebIpyo3jTr2Z9N5d2Ih3xzeXZtYuvIJnPkMd5vFs
rf+eMF++p3LPF4QKnQIDAQAB
-----END PUBLIC KEY-----
";
const P_384: &str = "-----BEGIN PUBLIC KEY-----
MHYwEAYHKoZIzj0CAQYFK4EEACIDYgAEppQc00siA/CrZfZ53QLQQ3li4IGrpkqc
7Ly3GHssaZEP33AfdbxFAxn2N6Jwm6l2lxQPA3zHwB6r7lBmH9MEJsR7ZkFuajhb
uRbuawNJLwaMhtj028euC0jpwkErl9pP
-----END PUBLIC KEY-----
";
const X25519: &str = "-----BEGIN PUBLIC KEY-----
MCowBQYDK2VuAyEA16GNtk2XFDbNW6Dom/uTT+1sEDzpoSlSUBiyzurCHBM=
-----END PUBLIC KEY-----
";
