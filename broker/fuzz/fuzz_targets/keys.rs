//! A file as a JWKS or PEM, and as the secret of HS256: no panic, bounded, and the same twice.
#![no_main]

use broker_identity::KeySet;
use broker_identity::keys::{KEYS_BYTES_MAX, KEYS_MAX};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|content: &[u8]| {
    let first = KeySet::from_text(content);
    match (&first, KeySet::from_text(content)) {
        (Ok(one), Ok(other)) => {
            assert!(one.is_same(&other) && one.ignored() == other.ignored());
            assert!(!one.is_empty() && one.len() + one.ignored().len() <= KEYS_MAX);
            assert!(content.len() <= KEYS_BYTES_MAX);
        }
        // It may tell of each key of a set.
        (Err(error), Err(other)) => assert!(*error == other && error.len() < 200 * KEYS_MAX),
        _ => panic!("once it is good, and once it is not"),
    }
    // A set in a document is the set that the issuer's address gives.
    if content.first() == Some(&b'{') {
        assert_eq!(KeySet::from_jwks(content).map(|set| set.len()), first.map(|set| set.len()));
    }
    let secret = KeySet::from_secret(content);
    assert!(secret.is_err() || content.len() >= 32 && !content.starts_with(b"-----BEGIN"));
});
