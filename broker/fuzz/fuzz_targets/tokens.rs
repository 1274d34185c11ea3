//! Two lines as the header and the claims of a token, which is signed; a single line as the token itself. What is taken is
//! compared with what serde_json reads, and nothing that was not signed is taken.
#![no_main]

use std::collections::BTreeSet;
use std::sync::{Arc, LazyLock};

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use broker_identity::{
    Algorithm, Authority, BadToken, ClaimName, ClaimRules, Fetched, Grants, Identity, KeySet, Keys, Line, Role,
    TokenRules,
};
use broker_protocol::Pattern;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NOW_MS: u64 = 1_795_404_641_000;
const LEEWAY_S: u64 = 30;
const LIFETIME_S: u64 = 86_400;

static AUTHORITY: LazyLock<Authority> = LazyLock::new(|| {
    let lines = |texts: &[&str]| texts.iter().map(|text| Line::parse(text).unwrap()).collect();
    let role = |name: &str, sub: &[&str], deny: &[&str]| Role {
        name: name.to_owned(),
        sub: lines(sub),
        deny: lines(deny),
        ..Role::default()
    };
    let roles = vec![role("trader", &["own.{sub}.>", "fixed.>"], &[]), role("denying", &["all.>"], &["all.{tenant}"])];
    let claims = ClaimRules {
        audience: "tickcast".to_owned(),
        issuer: None,
        claim: ClaimName::parse("tickcast").unwrap(),
        roles_claim: None,
        leeway_ms: LEEWAY_S * 1000,
        lifetime_max_ms: LIFETIME_S * 1000,
    };
    let rules = TokenRules { bytes_max: 8192, algorithms: Algorithm::ALL.to_vec(), claims };
    let keys = Keys::new(Some(Arc::new(KeySet::from_secret(SECRET).unwrap())), Fetched::Nowhere);
    Authority::new(rules, Grants::new(roles, vec![]).unwrap()).with_keys(keys)
});

fuzz_target!(|text: &str| {
    let Some((header, claims)) = text.split_once('\n') else {
        // Nobody guesses a signature.
        return check_refusal(AUTHORITY.authenticate(text, NOW_MS).expect_err("a token that was not signed"));
    };
    let encode = |text: &str| BASE64_URL_SAFE_NO_PAD.encode(text);
    let signed = format!("{}.{}", encode(header), encode(claims));
    let key = hmac::Key::new(hmac::HMAC_SHA256, SECRET);
    let signature = BASE64_URL_SAFE_NO_PAD.encode(hmac::sign(&key, signed.as_bytes()));
    match AUTHORITY.authenticate(&format!("{signed}.{signature}"), NOW_MS) {
        Err(bad) => check_refusal(bad),
        Ok(identity) => {
            check_header(header);
            check_claims(claims, &identity);
            assert_eq!(AUTHORITY.renew(&identity, NOW_MS).as_deref(), Ok(&*identity));
        }
    }
    // Other claims under the same signature.
    let other = format!("{}.{}.{signature}", encode(header), encode(&format!("{claims} ")));
    AUTHORITY.authenticate(&other, NOW_MS).expect_err("claims that were not signed");
});

fn check_refusal(bad: BadToken) {
    assert!(bad.to_string().len() < 200 && BadToken::LABELS.contains(&bad.label()));
}

/// What serde_json reads. `None` if that is nothing because of half a surrogate pair (`\ud800`), which is JSON, but no
/// text: it may be in what nobody reads.
fn value(text: &str) -> Option<Value> {
    let value = serde_json::from_str(text).ok();
    assert!(value.is_some() || (broker_fuzz::is_json(text) && text.contains("\\u")), "JSON");
    value
}

fn check_header(header: &str) {
    let Some(header) = value(header) else { return };
    assert!(header["alg"] == "HS256" && header.get("crit").is_none());
}

fn check_claims(claims: &str, identity: &Identity) {
    let Some(claims) = value(claims) else { return };
    let now = NOW_MS / 1000;
    let exp = claims["exp"].as_u64().expect("exp");
    assert!(exp + LEEWAY_S > now && exp <= now + LIFETIME_S + LEEWAY_S);
    assert_eq!((identity.expires_ms, identity.ends_ms()), (Some(exp * 1000), Some((exp + LEEWAY_S) * 1000)));
    assert!(identity.reauth_ms().is_some_and(|notice| notice <= exp * 1000));
    assert!(claims.get("nbf").is_none_or(|nbf| nbf.as_u64().is_some_and(|nbf| nbf <= now + LEEWAY_S)));
    let audience = &claims["aud"];
    assert!(audience == "tickcast" || audience.as_array().is_some_and(|all| all.iter().any(|one| one == "tickcast")));
    let sub = claims["sub"].as_str().expect("sub");
    assert_eq!(identity.sub.as_deref(), Some(sub));

    let list = |name: &str| -> Vec<&str> {
        let items = claims["tickcast"].get(name).map_or(&[][..], |list| list.as_array().expect("a list"));
        items.iter().map(|item| item.as_str().expect("a string")).collect()
    };
    let is_segment = |value: &str| {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "_-:/=+@^$~".contains(c);
        !value.is_empty() && !value.starts_with('$') && value.chars().all(allowed)
    };
    let mut sets =
        ["sub", "pub", "deny"].map(|name| list(name).into_iter().map(str::to_owned).collect::<BTreeSet<_>>());
    let roles = list("roles");
    if roles.contains(&"trader") {
        sets[0].insert("fixed.>".to_owned());
        // At most 255 bytes in all, and a `sub` has at most 128.
        if is_segment(sub) {
            sets[0].insert(format!("own.{sub}.>"));
        }
    }
    // Without a tenant the line that denies is void, and with it the role.
    if let Some(tenant) = claims["tenant"].as_str().filter(|tenant| roles.contains(&"denying") && is_segment(tenant)) {
        sets[0].insert("all.>".to_owned());
        sets[2].insert(format!("all.{tenant}"));
    }
    let permissions = &identity.permissions;
    let found = [permissions.sub(), permissions.publish(), permissions.deny()];
    let found = found.map(|list| list.iter().map(Pattern::as_str).map(str::to_owned).collect::<BTreeSet<_>>());
    assert_eq!(found, sets);
}
