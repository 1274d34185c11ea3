//! What an identity gives after the configuration, the keys or the revocations changed.

use std::sync::Arc;

use broker_identity::refusal::Claim;
use broker_identity::{
    Authority, BadToken, ClaimName, Ended, Fetched, Grants, KeySet, Keys, Revocations, Role, StaticToken, TokenDigest,
};

use super::roles::role;
use super::signing::{NOW_MS, NOW_S, Signer, authority, claims, issuer, keys, rules, with_rules};

fn revoked(text: &str) -> Arc<Revocations> {
    let (revoked, bad) = Revocations::parse(text.as_bytes());
    assert_eq!(bad, []);
    Arc::new(revoked)
}

#[test]
fn a_token_gives_what_its_roles_give_now() {
    let token = issuer()[0].sign(&claims(r#","tickcast":{"roles":["r","later"],"sub":["own"]}"#));
    let before = authority(vec![role("r", &["a"], &[], &[])], vec![]);
    let identity = before.authenticate(&token, NOW_MS).unwrap();
    let read = |identity: &broker_identity::Identity| {
        identity.permissions.sub().iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(read(&identity), ["a", "own"]);
    assert_eq!(*before.renew(&identity, NOW_MS + 1000).unwrap(), *identity);
    let after = authority(vec![role("r", &["b.{sub}"], &[], &[]), role("later", &["c"], &[], &[])], vec![]);
    let renewed = after.renew(&identity, NOW_MS + 1000).unwrap();
    assert_eq!(read(&renewed), ["b.user-42", "c", "own"]);
    // It was taken when it was.
    assert_eq!((renewed.taken_ms, renewed.reauth_ms()), (NOW_MS, identity.reauth_ms()));
}

#[test]
fn a_token_that_would_not_be_taken_ends() {
    let token = issuer()[0].sign(&claims(r#","jti":"t1","iat":100"#));
    let before = authority(vec![], vec![]);
    let identity = before.authenticate(&token, NOW_MS).unwrap();
    let ended = |authority: &Authority, now_ms: u64| authority.renew(&identity, now_ms).map(|_| ()).unwrap_err();
    let mut other = rules();
    other.claims.audience = "other".to_owned();
    assert_eq!(ended(&with_rules(other, vec![], vec![]), NOW_MS), Ended::Token(BadToken::Audience));
    let mut other = rules();
    other.claims.claim = ClaimName::parse("sub").unwrap();
    let refused = ended(&with_rules(other, vec![], vec![]), NOW_MS);
    assert_eq!(refused, Ended::Token(BadToken::Claim(Claim::Permissions)));
    let mut other = rules();
    other.algorithms.remove(0);
    assert_eq!(ended(&with_rules(other, vec![], vec![]), NOW_MS), Ended::Token(BadToken::UnknownKey));
    let mut other = rules();
    other.claims.lifetime_max_ms = 60_000;
    assert_eq!(ended(&with_rules(other, vec![], vec![]), NOW_MS), Ended::Token(BadToken::TooLongLived));
    // The key left the set, or the set is gone.
    assert_eq!(ended(&before.with_keys(keys(&Signer::es256().pem())), NOW_MS), Ended::Token(BadToken::UnknownKey));
    assert_eq!(ended(&before.with_keys(Keys::default()), NOW_MS), Ended::Token(BadToken::UnknownKey));
    // It may come back.
    assert!(before.with_keys(Keys::new(None, Fetched::NotYet)).renew(&identity, NOW_MS).is_ok());
    assert_eq!(ended(&before, (NOW_S + 330) * 1000), Ended::Token(BadToken::Expired));
    assert!(before.renew(&identity, (NOW_S + 329) * 1000).is_ok());
    for entry in ["jti:t1", "sub:user-42 before:101"] {
        let after = before.with_revocations(revoked(entry));
        assert_eq!(ended(&after, NOW_MS), Ended::Token(BadToken::Revoked), "{entry}");
        assert_eq!(after.authenticate(&token, NOW_MS), Err(BadToken::Revoked), "{entry}");
    }
    for entry in ["jti:t2", "sub:user-42 before:100", "sub:user-4 before:101"] {
        assert!(before.with_revocations(revoked(entry)).renew(&identity, NOW_MS).is_ok(), "{entry}");
    }
}

#[test]
fn a_key_that_left_its_file_is_not_waited_for() {
    let token = issuer()[0].sign(&claims(""));
    let set = |signer: &Signer| Some(Arc::new(KeySet::from_text(signer.pem().as_bytes()).unwrap()));
    let with = |keys| Authority::new(rules(), Grants::default()).with_keys(keys);
    let (of_file, fetched) = (set(&issuer()[0]), Fetched::Keys(set(&issuer()[0]).unwrap()));
    let of_file = with(Keys::new(of_file, Fetched::NotYet)).authenticate(&token, NOW_MS).unwrap();
    let fetched = with(Keys::new(None, fetched)).authenticate(&token, NOW_MS).unwrap();
    let other_file = with(Keys::new(set(&Signer::es256()), Fetched::NotYet));
    assert_eq!(other_file.renew(&of_file, NOW_MS), Err(Ended::Token(BadToken::UnknownKey)));
    // It may be among those that are fetched from now on instead.
    assert!(with(Keys::new(None, Fetched::NotYet)).renew(&of_file, NOW_MS).is_ok());
    // Of a key that was fetched, a file says nothing.
    assert!(other_file.renew(&fetched, NOW_MS).is_ok());
}

#[test]
fn static_tokens_certificates_and_anonymous() {
    let token = |text: &str, role: &str| StaticToken {
        name: "feed".to_owned(),
        sha256: TokenDigest::of(text),
        roles: vec![role.to_owned()],
    };
    let roles = |names: &[&str]| -> Vec<Role> {
        let cert = |name: &str| if name == "r" { vec!["a.internal".to_owned()] } else { vec![] };
        names.iter().map(|name| Role { client_cert: cert(name), ..role(name, &[name], &[], &[]) }).collect()
    };
    let before = authority(roles(&["r", "s", "anonymous"]), vec![token("x", "r")]);
    let held = [
        before.authenticate("x", NOW_MS).unwrap(),
        before.certificate("a.internal").unwrap(),
        before.anonymous().unwrap(),
    ];
    let renew = |after: &Authority| {
        held.iter()
            .map(|identity| after.renew(identity, NOW_MS).map(|new| new.roles[0].to_string()))
            .collect::<Vec<_>>()
    };
    let same = [Ok("r".to_owned()), Ok("r".to_owned()), Ok("anonymous".to_owned())];
    assert_eq!(renew(&before), same);
    // Revocations are about JWTs.
    assert_eq!(renew(&before.with_revocations(revoked("sub:feed before:99999999999"))), same);
    let after = authority(roles(&["s"]), vec![token("x", "s")]);
    assert_eq!(renew(&after), [Ok("s".to_owned()), Err(Ended::NoRole), Err(Ended::NoAnonymous)]);
    // Another token has the name now.
    let after = authority(roles(&["r"]), vec![token("y", "r")]);
    assert_eq!(renew(&after)[0], Err(Ended::NotListed));
    let nothing = Authority::new(rules(), Grants::default());
    assert_eq!(renew(&nothing), [Err(Ended::NotListed), Err(Ended::NoRole), Err(Ended::NoAnonymous)]);
}
