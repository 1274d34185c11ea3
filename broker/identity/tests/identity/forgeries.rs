//! Tokens that nobody who has a key made.

use broker_identity::{Algorithm, BadToken};

use super::signing::{
    NOW_MS, SECRET, Signer, authority, base64url, claims, issuer, keys, rules, with_rules, with_secret,
};

#[test]
fn a_signed_token_is_taken() {
    let authority = authority(vec![], vec![]);
    for signer in &issuer()[..3] {
        let identity = authority.authenticate(&signer.sign(&claims("")), NOW_MS).unwrap();
        assert_eq!(identity.sub.as_deref(), Some("user-42"), "{:?}", signer.algorithm);
    }
    let identity = with_secret(&[Algorithm::Hs256]).authenticate(&issuer()[3].sign(&claims("")), NOW_MS).unwrap();
    assert_eq!(identity.sub.as_deref(), Some("user-42"));
}

#[test]
fn no_algorithm_is_no_signature() {
    let mut all = rules();
    all.algorithms = Algorithm::ALL.to_vec();
    let authorities = [authority(vec![], vec![]), with_rules(all, vec![], vec![]), with_secret(&Algorithm::ALL)];
    for name in ["none", "None", "NONE", "nOnE", "", "none\\u0000"] {
        let header = base64url(format!(r#"{{"typ":"JWT","alg":"{name}"}}"#).as_bytes());
        let signed = issuer()[0].sign(&claims(""));
        let signature = signed.rsplit('.').next().unwrap();
        for signature in ["", "AAAA", signature] {
            let token = format!("{header}.{}.{signature}", base64url(claims("").as_bytes()));
            for authority in &authorities {
                assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Algorithm), "{name} {signature}");
            }
        }
    }
}

#[test]
fn an_empty_or_changed_signature_is_wrong() {
    let authority = authority(vec![], vec![]);
    for signer in &issuer()[..3] {
        let token = signer.sign(&claims(""));
        let (signed, signature) = token.rsplit_once('.').unwrap();
        let changed = if signature.starts_with('A') { 'B' } else { 'A' };
        let (short, zeros) = (base64url(&[1; 63]), base64url(&[0; 64]));
        for wrong in ["", &format!("{changed}{}", &signature[1..]), &short, &zeros] {
            let token = format!("{signed}.{wrong}");
            assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Signature), "{:?}", signer.algorithm);
        }
        // Other claims under the signature.
        let other = base64url(claims(r#","tickcast":{"sub":[">"]}"#).as_bytes());
        let token = format!("{}.{other}.{signature}", signed.split('.').next().unwrap());
        assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Signature));
    }
}

#[test]
fn a_public_key_is_no_secret() {
    // The classic: the token says HS256, and its signature is made with the text of the broker's public key.
    let mut all = rules();
    all.algorithms = Algorithm::ALL.to_vec();
    let narrow = authority(vec![], vec![]);
    let wide = with_rules(all, vec![], vec![]);
    for signer in &issuer()[..3] {
        let pem = signer.pem();
        let point = signer.info.len().saturating_sub(65);
        for secret in [pem.as_bytes(), pem.trim().as_bytes(), &signer.info, &signer.info[point..]] {
            let token = Signer::hs256(secret).sign(&claims(""));
            assert_eq!(narrow.authenticate(&token, NOW_MS), Err(BadToken::Algorithm));
            assert_eq!(wide.authenticate(&token, NOW_MS), Err(BadToken::UnknownKey));
        }
    }
}

#[test]
fn an_algorithm_that_is_not_configured_is_refused() {
    let token = issuer()[3].sign(&claims(""));
    assert_eq!(with_secret(&[Algorithm::Es256]).authenticate(&token, NOW_MS), Err(BadToken::Algorithm));
    for algorithm in ["ES256", "EdDSA", "RS256"] {
        // A key of the right kind, and a header that says otherwise.
        for signer in issuer().iter().filter(|signer| format!("{:?}", signer.algorithm) != algorithm) {
            let token = signer.sign_with(&format!(r#"{{"alg":"{algorithm}"}}"#), &claims(""));
            let refused = authority(vec![], vec![]).authenticate(&token, NOW_MS);
            assert_eq!(refused, Err(BadToken::Signature), "{algorithm} {:?}", signer.algorithm);
        }
    }
    for algorithm in ["HS384", "HS512", "ES384", "PS256", "RS512", "es256", "ES256 ", "ES256K"] {
        let token = issuer()[0].sign_with(&format!(r#"{{"alg":"{algorithm}"}}"#), &claims(""));
        assert_eq!(authority(vec![], vec![]).authenticate(&token, NOW_MS), Err(BadToken::Algorithm), "{algorithm}");
    }
}

#[test]
fn keys_and_addresses_in_a_header_are_ignored() {
    let (own, other) = (&issuer()[0], Signer::es256());
    let authority = authority(vec![], vec![]);
    let header = format!(
        r#"{{"alg":"ES256","jwk":{{{}}},"jku":"http://127.0.0.1:1/","x5u":"http://127.0.0.1:1/","x5c":["AAAA"]}}"#,
        other.jwk
    );
    assert_eq!(authority.authenticate(&other.sign_with(&header, &claims("")), NOW_MS), Err(BadToken::Signature));
    assert!(authority.authenticate(&own.sign_with(&header, &claims("")), NOW_MS).is_ok());
}

#[test]
fn what_a_header_demands_is_refused() {
    let authority = authority(vec![], vec![]);
    for crit in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""crit":["b64"],"b64":false"#,
        r#""crit":["b64"],"b64":true"#,
        r#""crit":null"#,
    ] {
        let token = issuer()[0].sign_with(&format!(r#"{{"alg":"ES256",{crit}}}"#), &claims(""));
        assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Critical), "{crit}");
    }
}

#[test]
fn malformed_tokens() {
    let authority = authority(vec![], vec![]);
    let good = issuer()[0].sign(&claims(""));
    let [header, body, signature] = <[&str; 3]>::try_from(good.split('.').collect::<Vec<_>>()).unwrap();
    let headers = [
        "[]",
        "1",
        "{",
        r#"{"alg":5}"#,
        r#"{"alg":null}"#,
        r#"{"typ":"JWT"}"#,
        r#"{"alg":"ES256","alg":"ES256"}"#,
        r#"{"alg":"ES256","kid":5}"#,
        r#"{"alg":"ES256","kid":null}"#,
        r#"{"alg":["ES256"]}"#,
    ];
    let mut tokens: Vec<String> = headers.iter().map(|header| issuer()[0].sign_with(header, &claims(""))).collect();
    tokens.extend([
        String::new(),
        ".".to_owned(),
        "..".to_owned(),
        "...".to_owned(),
        "token".to_owned(),
        format!("{header}.{body}"),
        format!("{good}."),
        format!(".{good}"),
        format!("{header}..{signature}."),
        format!("{good}="),
        format!("{good}\n"),
        format!(" {good}"),
        format!("{header}=.{body}.{signature}"),
        // The alphabet of plain base64.
        format!("{header}.{body}.+{}", &signature[1..]),
    ]);
    for token in tokens {
        assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Malformed), "{token}");
    }
    let long = format!("{good}{}", "A".repeat(8192));
    assert_eq!(authority.authenticate(&long, NOW_MS), Err(BadToken::TooLong));
}

#[test]
fn an_encoding_has_one_spelling() {
    // 64 bytes take 86 signs; the last one has four bits to spare, which have to be 0.
    let authority = authority(vec![], vec![]);
    let token = issuer()[0].sign(&claims(""));
    let last = token.chars().next_back().unwrap();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let position = alphabet.find(last).unwrap();
    assert_eq!(position % 16, 0, "{last}");
    for spare in 1..16 {
        let other = alphabet.as_bytes()[position + spare] as char;
        let token = format!("{}{other}", &token[..token.len() - 1]);
        assert_eq!(authority.authenticate(&token, NOW_MS), Err(BadToken::Malformed), "{other}");
    }
}

#[test]
fn nothing_of_a_token_is_in_a_refusal() {
    let marker = "MARKERMARKER";
    let authority = authority(vec![], vec![]);
    let bodies = [
        format!(r#"{{"sub":"{marker}"}}"#),
        claims(&format!(r#","tickcast":{{"sub":["{marker}..x"]}}"#)),
        claims(&format!(r#","tickcast":{{"{marker}":[]}}"#)),
        claims(&format!(r#","iss":"{marker}","aud":"{marker}""#)),
        format!(r#"{{"sub":"a","exp":{},"aud":"{marker}"}}"#, NOW_MS / 1000 + 9),
        marker.to_owned(),
    ];
    let tokens = bodies.iter().map(|body| issuer()[0].sign(body));
    let headers =
        [format!(r#"{{"alg":"{marker}"}}"#), format!(r#"{{"alg":"ES256","kid":"{marker}","crit":["{marker}"]}}"#)];
    let tokens = tokens.chain(headers.iter().map(|header| issuer()[0].sign_with(header, &claims(""))));
    for token in tokens.chain([marker.to_owned()]) {
        let refused = authority.authenticate(&token, NOW_MS).unwrap_err();
        let said = format!("{refused} {refused:?} {}", refused.label());
        assert!(!said.contains("MARKER") && !said.contains(&base64url(marker.as_bytes())[..12]), "{said}");
        assert!(BadToken::LABELS.contains(&refused.label()));
        let all = format!("{authority:?}");
        assert!(!all.contains("MARKER") && !all.contains(std::str::from_utf8(SECRET).unwrap()), "{all}");
    }
    let taken = authority.authenticate(&issuer()[0].sign(&claims(&format!(r#","x":"{marker}""#))), NOW_MS).unwrap();
    assert!(!format!("{taken:?}").contains("MARKER"));
    assert!(!format!("{:?}", with_secret(&[Algorithm::Hs256])).contains("secret of"));
    assert!(!format!("{:?}", keys(&issuer()[0].pem())).contains("BEGIN"));
}
