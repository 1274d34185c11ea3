//! Claims at the edges, with the time passed in.

use broker_identity::authority::TokenRules;
use broker_identity::refusal::Claim;
use broker_identity::{Authority, BadToken, ClaimName};

use super::signing::{NOW_MS, NOW_S, authority, claims, issuer, rules, with_rules};

fn outcome(authority: &Authority, claims: &str, now_ms: u64) -> Result<(), BadToken> {
    authority.authenticate(&issuer()[1].sign(claims), now_ms).map(|_| ())
}

#[test]
fn times() {
    let authority = authority(vec![], vec![]);
    let (exp, nbf, iat) = (BadToken::Claim(Claim::Exp), BadToken::Claim(Claim::Nbf), BadToken::Claim(Claim::Iat));
    let at = |claim: &str, value: String| format!(r#""{claim}":{value}"#);
    let good = at("exp", (NOW_S + 300).to_string());
    let table = [
        (good.clone(), Ok(())),
        (String::new(), Err(exp)),
        (at("exp", format!("\"{}\"", NOW_S + 300)), Err(exp)),
        (at("exp", format!("{}.5", NOW_S + 300)), Err(exp)),
        (at("exp", format!("{}.0", NOW_S + 300)), Err(exp)),
        (at("exp", "1.8e9".to_owned()), Err(exp)),
        (at("exp", "-1".to_owned()), Err(exp)),
        (at("exp", "null".to_owned()), Err(exp)),
        (at("exp", "[1]".to_owned()), Err(exp)),
        (at("exp", "18446744073709551616".to_owned()), Err(exp)),
        (at("exp", "9223372036854775808".to_owned()), Err(BadToken::TooLongLived)),
        (at("exp", "18446744073709551615".to_owned()), Err(BadToken::TooLongLived)),
        (at("exp", "0".to_owned()), Err(BadToken::Expired)),
        (format!("{good},{good}"), Err(BadToken::NoClaims)),
        (format!("{good},\"e\\u0078p\":1"), Err(BadToken::NoClaims)),
        // The leeway of 30 s, and a second to either side of it.
        (at("exp", (NOW_S - 29).to_string()), Ok(())),
        (at("exp", (NOW_S - 30).to_string()), Err(BadToken::Expired)),
        (at("exp", (NOW_S - 31).to_string()), Err(BadToken::Expired)),
        (at("exp", (NOW_S + 86_400 + 30).to_string()), Ok(())),
        (at("exp", (NOW_S + 86_400 + 31).to_string()), Err(BadToken::TooLongLived)),
        (format!("{good},{}", at("nbf", (NOW_S + 29).to_string())), Ok(())),
        (format!("{good},{}", at("nbf", (NOW_S + 30).to_string())), Ok(())),
        (format!("{good},{}", at("nbf", (NOW_S + 31).to_string())), Err(BadToken::TooEarly)),
        (format!("{good},{}", at("nbf", "0".to_owned())), Ok(())),
        (format!("{good},{}", at("nbf", "9223372036854775808".to_owned())), Err(BadToken::TooEarly)),
        (format!("{good},{}", at("nbf", "-1".to_owned())), Err(nbf)),
        (format!("{good},{}", at("nbf", "1.5".to_owned())), Err(nbf)),
        (format!("{good},{}", at("nbf", "\"1\"".to_owned())), Err(nbf)),
        (format!("{good},{0},{0}", at("nbf", "1".to_owned())), Err(BadToken::NoClaims)),
        (format!("{good},{}", at("iat", (NOW_S + 9999).to_string())), Ok(())),
        (format!("{good},{}", at("iat", "\"1\"".to_owned())), Err(iat)),
    ];
    for (times, expected) in table {
        let separator = if times.is_empty() { "" } else { "," };
        let claims = format!(r#"{{"sub":"user-42","aud":"tickcast"{separator}{times}}}"#);
        assert_eq!(outcome(&authority, &claims, NOW_MS), expected, "{times}");
    }
}

/// JSON, but no text: whether it does harm depends on whether the claim is read.
#[test]
fn half_a_surrogate_pair_is_refused_where_it_is_read() {
    let authority = authority(vec![], vec![]);
    let times = format!("\"exp\":{}", NOW_S + 300);
    for (claims, expected) in [
        (r#""sub":"user-42","aud":"tickcast","nickname":{"\ud800":"\udc00"}"#, Ok(())),
        (r#""sub":"user-\ud800","aud":"tickcast""#, Err(BadToken::Claim(Claim::Sub))),
        (r#""sub":"user-42","aud":"tickcast\ud800""#, Err(BadToken::Claim(Claim::Aud))),
        (r#""sub":"user-42","aud":"tickcast","\ud800":1"#, Err(BadToken::NoClaims)),
    ] {
        assert_eq!(outcome(&authority, &format!("{{{claims},{times}}}"), NOW_MS), expected, "{claims}");
    }
}

#[test]
fn a_token_ends_to_the_millisecond() {
    let authority = authority(vec![], vec![]);
    let claims = claims("");
    let end = (NOW_S + 300 + 30) * 1000;
    assert_eq!(outcome(&authority, &claims, end - 1), Ok(()));
    assert_eq!(outcome(&authority, &claims, end), Err(BadToken::Expired));
    let identity = authority.authenticate(&issuer()[1].sign(&claims), NOW_MS).unwrap();
    assert_eq!((identity.expires_ms, identity.ends_ms()), (Some((NOW_S + 300) * 1000), Some(end)));
}

#[test]
fn a_client_is_warned_a_minute_or_a_quarter_before() {
    let authority = authority(vec![], vec![]);
    for (life_s, notice_ms) in [(3600, 60_000), (300, 60_000), (240, 60_000), (239, 59_750), (4, 1000), (0, 0)] {
        let claims = format!(r#"{{"sub":"a","aud":"tickcast","exp":{}}}"#, NOW_S + life_s);
        let identity = authority.authenticate(&issuer()[1].sign(&claims), NOW_MS).unwrap();
        assert_eq!(identity.reauth_ms(), Some((NOW_S + life_s) * 1000 - notice_ms), "{life_s}");
    }
    // Taken within the leeway after exp.
    let claims = format!(r#"{{"sub":"a","aud":"tickcast","exp":{}}}"#, NOW_S - 5);
    let identity = authority.authenticate(&issuer()[1].sign(&claims), NOW_MS).unwrap();
    assert_eq!(identity.reauth_ms(), Some((NOW_S - 5) * 1000));
}

#[test]
fn audience_issuer_and_subject() {
    let expected = Authority::clone(&with_rules(with_issuer(), vec![], vec![]));
    let (aud, iss, sub) = (BadToken::Claim(Claim::Aud), BadToken::Claim(Claim::Iss), BadToken::Claim(Claim::Sub));
    let long = "x".repeat(128);
    let table = [
        (r#""aud":"tickcast","iss":"https://id.example/","sub":"a""#.to_owned(), Ok(())),
        (r#""aud":["x","tickcast"],"iss":"https://id.example/","sub":"a""#.to_owned(), Ok(())),
        (r#""iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":"other","iss":"https://id.example/","sub":"a""#.to_owned(), Err(BadToken::Audience)),
        (r#""aud":[],"iss":"https://id.example/","sub":"a""#.to_owned(), Err(BadToken::Audience)),
        (r#""aud":["x"],"iss":"https://id.example/","sub":"a""#.to_owned(), Err(BadToken::Audience)),
        (r#""aud":"Tickcast","iss":"https://id.example/","sub":"a""#.to_owned(), Err(BadToken::Audience)),
        (r#""aud":1,"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":-1,"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":1.5,"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":["tickcast",1],"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":{"tickcast":1},"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (r#""aud":null,"iss":"https://id.example/","sub":"a""#.to_owned(), Err(aud)),
        (
            r#""aud":"tickcast","aud":"tickcast","iss":"https://id.example/","sub":"a""#.to_owned(),
            Err(BadToken::NoClaims),
        ),
        (r#""aud":"tickcast","sub":"a""#.to_owned(), Err(iss)),
        (r#""aud":"tickcast","iss":["https://id.example/"],"sub":"a""#.to_owned(), Err(iss)),
        (r#""aud":"tickcast","iss":"https://id.example","sub":"a""#.to_owned(), Err(BadToken::Issuer)),
        (r#""aud":"tickcast","iss":"https://id.example/""#.to_owned(), Err(sub)),
        (r#""aud":"tickcast","iss":"https://id.example/","sub":5"#.to_owned(), Err(sub)),
        (r#""aud":"tickcast","iss":"https://id.example/","sub":null"#.to_owned(), Err(sub)),
        (r#""aud":"tickcast","iss":"https://id.example/","sub":"a\nb""#.to_owned(), Err(sub)),
        (format!(r#""aud":"tickcast","iss":"https://id.example/","sub":"{long}""#), Ok(())),
        (format!(r#""aud":"tickcast","iss":"https://id.example/","sub":"{long}x""#), Err(sub)),
        (
            r#""aud":"tickcast","iss":"https://id.example/","sub":"a","jti":5"#.to_owned(),
            Err(BadToken::Claim(Claim::Jti)),
        ),
        (
            r#""aud":"tickcast","iss":"https://id.example/","sub":"a","tenant":5"#.to_owned(),
            Err(BadToken::Claim(Claim::Tenant)),
        ),
    ];
    for (members, result) in table {
        let claims = format!(r#"{{"exp":{},{members}}}"#, NOW_S + 300);
        assert_eq!(outcome(&expected, &claims, NOW_MS), result, "{members}");
    }
    for text in ["", "[]", "5", "{", "null", "{\"exp\":1}x"] {
        assert_eq!(outcome(&expected, text, NOW_MS), Err(BadToken::NoClaims), "{text}");
    }
}

fn with_issuer() -> TokenRules {
    let mut rules = rules();
    rules.claims.issuer = Some("https://id.example/".to_owned());
    rules
}

#[test]
fn a_wrong_type_or_pattern_in_the_permissions_refuses_the_token() {
    let authority = authority(vec![], vec![]);
    let (form, pattern) = (BadToken::Claim(Claim::Permissions), BadToken::Claim(Claim::Pattern));
    let many = |count: usize| format!("[{}]", vec!["\"a\""; count].join(","));
    let table = [
        (r#"{"roles":["x"],"sub":["a.>"],"pub":["*"],"deny":["a.b"]}"#.to_owned(), Ok(())),
        ("{}".to_owned(), Ok(())),
        (r#"{"sub":[]}"#.to_owned(), Ok(())),
        (r#"[]"#.to_owned(), Err(form)),
        ("null".to_owned(), Err(form)),
        ("\"trader\"".to_owned(), Err(form)),
        (r#"{"sub":"a.>"}"#.to_owned(), Err(form)),
        (r#"{"sub":[5]}"#.to_owned(), Err(form)),
        (r#"{"sub":null}"#.to_owned(), Err(form)),
        (r#"{"sub":[null]}"#.to_owned(), Err(form)),
        (r#"{"roles":"trader"}"#.to_owned(), Err(form)),
        (r#"{"roles":{"trader":true}}"#.to_owned(), Err(form)),
        (r#"{"denied":["a"]}"#.to_owned(), Err(form)),
        (r#"{"sub":["a"],"sub":["b"]}"#.to_owned(), Err(form)),
        (r#"{"sub":["a..b"]}"#.to_owned(), Err(pattern)),
        (r#"{"pub":[""]}"#.to_owned(), Err(pattern)),
        (r#"{"deny":["a.>.b"]}"#.to_owned(), Err(pattern)),
        // Placeholders are for roles: a token knows its own sub.
        (r#"{"sub":["users.{sub}.>"]}"#.to_owned(), Err(pattern)),
        (format!(r#"{{"sub":{}}}"#, many(256)), Ok(())),
        (format!(r#"{{"sub":{},"deny":["x"]}}"#, many(256)), Err(BadToken::TooMuch)),
    ];
    for (claim, expected) in table {
        assert_eq!(outcome(&authority, &claims(&format!(r#","tickcast":{claim}"#)), NOW_MS), expected, "{claim}");
    }
}

#[test]
fn the_claim_has_the_name_that_is_configured() {
    let (form, roles) = (BadToken::Claim(Claim::Permissions), BadToken::Claim(Claim::Roles));
    let table = [
        ("realm_access.tickcast", "", r#""realm_access":{"tickcast":{"sub":["a"]}}"#, Ok(vec!["a"])),
        ("realm_access.tickcast", "", r#""tickcast":{"sub":["a"]}"#, Ok(vec![])),
        ("realm_access.tickcast", "", r#""realm_access":5"#, Err(form)),
        ("https://a.example/tickcast", "", r#""https://a.example/tickcast":{"sub":["a"]}"#, Ok(vec!["a"])),
        ("resource_access.tickcast", "", r#""resource_access":{"tickcast":{"roles":["x"]}}"#, Ok(vec![])),
        ("tickcast", "realm_access.roles", r#""realm_access":{"roles":["x"]}"#, Ok(vec![])),
        ("tickcast", "realm_access.roles", r#""realm_access":{"roles":"x"}"#, Err(roles)),
        ("tickcast", "realm_access.roles", r#""realm_access":["roles"]"#, Err(roles)),
        ("tickcast", "realm_access.roles", r#""tickcast":{"sub":["a"]}"#, Ok(vec!["a"])),
    ];
    for (claim, roles_claim, members, expected) in table {
        let mut rules = rules();
        rules.claims.claim = ClaimName::parse(claim).unwrap();
        rules.claims.roles_claim = ClaimName::parse(roles_claim);
        let token = issuer()[1].sign(&claims(&format!(",{members}")));
        let identity = with_rules(rules, vec![], vec![]).authenticate(&token, NOW_MS);
        let found = identity.map(|identity| {
            identity.permissions.sub().iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>()
        });
        assert_eq!(found, expected.map(|list| list.into_iter().map(str::to_owned).collect()), "{claim} {members}");
    }
}
