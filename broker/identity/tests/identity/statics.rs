//! Who is known without a JWT.

use broker_identity::{Authority, BadToken, Grants, Role, Source, StaticToken, TokenDigest};

use super::roles::role;
use super::signing::{NOW_MS, authority, claims, issuer, rules};

fn token(name: &str, text: &str, roles: &[&str]) -> StaticToken {
    let roles = roles.iter().map(|role| (*role).to_owned()).collect();
    StaticToken { name: name.to_owned(), sha256: TokenDigest::of(text), roles }
}

#[test]
fn a_static_token_has_its_name_and_no_end() {
    let roles = vec![role("feed", &["{sub}.>"], &["in.{sub}"], &[])];
    let grants = Grants::new(roles, vec![token("feed-a", "s3cret", &["feed"]), token("feed-b", "other", &[])]).unwrap();
    let authority = Authority::new(rules(), grants);
    let identity = authority.authenticate("s3cret", NOW_MS).unwrap();
    assert_eq!(identity.sub.as_deref(), Some("feed-a"));
    assert_eq!(identity.permissions.publish()[0].as_str(), "in.feed-a");
    assert_eq!((identity.expires_ms, identity.ends_ms(), identity.reauth_ms()), (None, None, None));
    assert_eq!(authority.authenticate("other", NOW_MS).unwrap().sub.as_deref(), Some("feed-b"));
    for wrong in ["", "s3cre", "s3cret ", "S3CRET", "feed-a", &TokenDigest::of("s3cret").to_hex()] {
        assert_eq!(authority.authenticate(wrong, NOW_MS), Err(BadToken::Unknown), "{wrong}");
    }
    // Without keys a JWT is not looked at.
    assert_eq!(authority.authenticate(&issuer()[0].sign(&claims("")), NOW_MS), Err(BadToken::Unknown));
}

#[test]
fn both_kinds_of_tokens_together() {
    let both = authority(vec![], vec![token("odd", "a.b.c", &[])]);
    assert_eq!(both.authenticate("a.b.c", NOW_MS).unwrap().sub.as_deref(), Some("odd"));
    assert_eq!(both.authenticate(&issuer()[0].sign(&claims("")), NOW_MS).unwrap().sub.as_deref(), Some("user-42"));
    assert_eq!(both.authenticate("a.b.d", NOW_MS), Err(BadToken::Malformed));
}

#[test]
fn certificates_lead_to_roles() {
    let named = |name: &str, sub: &[&str], names: &[&str]| Role {
        client_cert: names.iter().map(|name| (*name).to_owned()).collect(),
        ..role(name, sub, &[], &[])
    };
    let roles = vec![
        named("one", &["one.>", "{sub}.>"], &["feed-a.internal", "spiffe://desk/feed-A"]),
        named("two", &["two.>"], &["FEED-A.internal"]),
    ];
    let authority = authority(roles, vec![]);
    let read = |name: &str| {
        let identity = authority.certificate(name)?;
        assert_eq!((identity.sub.as_deref(), &identity.source), (Some(&*name.to_lowercase()), &Source::Certificate));
        Some(identity.permissions.sub().iter().map(|pattern| pattern.as_str().to_owned()).collect::<Vec<_>>())
    };
    // A name with dots is no segment, so the line with {sub} is void.
    assert_eq!(read("feed-a.internal"), Some(vec!["one.>".to_owned(), "two.>".to_owned()]));
    assert_eq!(read("Feed-A.Internal"), read("feed-a.internal"));
    assert_eq!(authority.certificate("spiffe://desk/feed-A").unwrap().roles.len(), 1);
    for other in ["spiffe://desk/feed-a", "feed-b.internal", "internal", "", "x.feed-a.internal", "one"] {
        assert_eq!(authority.certificate(other), None, "{other}");
    }
}

#[test]
fn anonymous_is_a_role() {
    let with = authority(vec![role("anonymous", &["public.>", "users.{sub}"], &[], &[])], vec![]);
    let identity = with.anonymous().unwrap();
    assert_eq!((identity.sub.as_deref(), identity.permissions.sub().len()), (None, 1));
    assert!(authority(vec![role("Anonymous", &[], &[], &[])], vec![]).anonymous().is_none());
}

#[test]
fn nothing_is_asked_where_nothing_is_configured() {
    let bare = Authority::new(rules(), Grants::default());
    assert!(!bare.is_configured());
    assert_eq!(bare.authenticate(&issuer()[0].sign(&claims("")), NOW_MS), Err(BadToken::Unknown));
    assert!(authority(vec![], vec![]).is_configured());
    for grants in [Grants::new(vec![role("a", &[], &[], &[])], vec![]), Grants::new(vec![], vec![token("a", "x", &[])])]
    {
        assert!(Authority::new(rules(), grants.unwrap()).is_configured());
    }
    assert!(bare.with_keys(broker_identity::Keys::new(None, broker_identity::Fetched::NotYet)).is_configured());
}
