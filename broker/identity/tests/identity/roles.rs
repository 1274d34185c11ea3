//! What roles give, and to whom.

use broker_identity::{BadToken, Grants, Line, Quotas, Role, StaticToken, TokenDigest, TokenRules};
use broker_protocol::Pattern;

use super::signing::{NOW_MS, NOW_S, authority, claims, issuer, rules, with_rules};

pub(crate) fn lines(texts: &[&str]) -> Vec<Line> {
    texts.iter().map(|text| Line::parse(text).unwrap()).collect()
}

pub(crate) fn role(name: &str, sub: &[&str], publish: &[&str], deny: &[&str]) -> Role {
    Role { name: name.to_owned(), sub: lines(sub), publish: lines(publish), deny: lines(deny), ..Role::default() }
}

fn names(patterns: &[Pattern]) -> Vec<&str> {
    patterns.iter().map(Pattern::as_str).collect()
}

/// A token with this `sub` and these roles.
fn token(sub: &str, roles: &str, more: &str) -> String {
    let sub = serde_json::to_string(sub).unwrap();
    issuer()[1].sign(&format!(
        r#"{{"sub":{sub},"aud":"tickcast","exp":{},"tickcast":{{"roles":{roles}{more}}}}}"#,
        NOW_S + 300
    ))
}

#[test]
fn a_client_has_what_its_roles_and_its_token_say() {
    let trader = role("trader", &["stocks.>", "users.{sub}.>"], &["chat.>"], &["stocks.*.internal"]);
    let desk = role("desk", &["desk.{sub}"], &[], &["chat.admin"]);
    let authority = authority(vec![trader, desk], vec![]);
    let lists = r#","sub":["news.*"],"pub":["x"],"deny":["news.bad"]"#;
    let identity =
        authority.authenticate(&token("u1", r#"["trader","desk","trader","nobody"]"#, lists), NOW_MS).unwrap();
    assert_eq!(identity.roles.iter().map(|name| &**name).collect::<Vec<_>>(), ["trader", "desk"]);
    assert_eq!(identity.unknown_roles, 1);
    assert_eq!(names(identity.permissions.sub()), ["desk.u1", "news.*", "stocks.>", "users.u1.>"]);
    assert_eq!(names(identity.permissions.publish()), ["chat.>", "x"]);
    assert_eq!(names(identity.permissions.deny()), ["chat.admin", "news.bad", "stocks.*.internal"]);
    // No claim is no permission.
    let none = authority.authenticate(&issuer()[1].sign(&claims("")), NOW_MS).unwrap();
    assert_eq!((names(none.permissions.sub()), none.roles.len(), none.admin), (vec![], 0, false));
}

#[test]
fn a_sub_that_is_no_segment_makes_nothing_wider() {
    let plain = role("plain", &["users.{sub}.>", "news.>"], &["{sub}.out"], &[]);
    let denying = role("denying", &["all.>"], &["all.>"], &["all.{sub}"]);
    let admin = Role { admin: true, ..role("admin", &["{tenant}.>"], &[], &["secret.{tenant}"]) };
    let authority = authority(vec![plain, denying, admin], vec![]);
    for sub in ["*", ">", "a.b", "$SYS", "", "a b", " ", "{sub}", "a|b"] {
        let identity = authority.authenticate(&token(sub, r#"["plain","denying","admin"]"#, ""), NOW_MS).unwrap();
        let permissions = &identity.permissions;
        assert_eq!(names(permissions.sub()), ["news.>"], "{sub}");
        assert_eq!((names(permissions.publish()), names(permissions.deny())), (vec![], vec![]), "{sub}");
        // Without the line that denies, the role is void.
        assert_eq!(identity.roles.iter().map(|name| &**name).collect::<Vec<_>>(), ["plain"], "{sub}");
        assert!(!identity.admin);
    }
    let long = "x".repeat(1024);
    assert!(authority.authenticate(&token(&long, "[]", ""), NOW_MS).is_err());
    let long = authority.authenticate(&token(&"x".repeat(128), r#"["plain"]"#, ""), NOW_MS).unwrap();
    assert_eq!(long.permissions.publish().len(), 1);
}

#[test]
fn a_tenant_is_a_segment() {
    let authority = authority(vec![role("r", &["{tenant}.quotes.>"], &[], &["{tenant}.quotes.{sub}"])], vec![]);
    let read = |tenant: &str| {
        let claims = claims(&format!(r#","tenant":{tenant},"tickcast":{{"roles":["r"]}}"#));
        let identity = authority.authenticate(&issuer()[1].sign(&claims), NOW_MS).unwrap();
        (names(identity.permissions.sub()).join(","), names(identity.permissions.deny()).join(","))
    };
    assert_eq!(read("\"acme\""), ("acme.quotes.>".to_owned(), "acme.quotes.user-42".to_owned()));
    for tenant in ["\"\"", "\"*\"", "\">\"", "\"a.b\"", "\"$SYS\"", "\"a b\""] {
        assert_eq!(read(tenant), (String::new(), String::new()), "{tenant}");
    }
    // Absent.
    let identity = authority.authenticate(&token("u", r#"["r"]"#, ""), NOW_MS).unwrap();
    assert_eq!(identity.permissions.sub().len(), 0);
}

#[test]
fn the_most_generous_of_several_roles_counts() {
    let quotas = |connections_max, publishes_per_s| Quotas { connections_max, publishes_per_s, ..Quotas::default() };
    let with = |name: &str, conflate_ms_min, quotas| Role { conflate_ms_min, quotas, ..role(name, &["a"], &[], &[]) };
    let authority = authority(
        vec![
            with("free", Some(1000), quotas(Some(1), Some(10))),
            with("paid", Some(250), quotas(Some(4), Some(0))),
            with("pro", Some(0), quotas(None, None)),
            Role { admin: true, ..with("bare", None, quotas(None, None)) },
        ],
        vec![],
    );
    let table = [
        (r#"["free"]"#, 1000, quotas(Some(1), Some(10)), false),
        (r#"["free","paid"]"#, 250, quotas(Some(4), Some(0)), false),
        (r#"["paid","free"]"#, 250, quotas(Some(4), Some(0)), false),
        (r#"["free","pro"]"#, 0, quotas(Some(1), Some(10)), false),
        (r#"["free","bare"]"#, 1000, quotas(Some(1), Some(10)), true),
        (r#"["bare"]"#, 0, Quotas::default(), true),
        ("[]", 0, Quotas::default(), false),
    ];
    for (roles, conflate, quotas, admin) in table {
        let identity = authority.authenticate(&token("u", roles, ""), NOW_MS).unwrap();
        let found = (identity.permissions.conflate_ms_min(), identity.quotas, identity.admin);
        assert_eq!(found, (conflate, quotas, admin), "{roles}");
    }
}

#[test]
fn clients_with_the_same_role_share_its_permissions() {
    let authority = authority(vec![role("same", &["a.>"], &[], &[]), role("own", &["u.{sub}"], &[], &[])], vec![]);
    let permissions = |sub: &str, roles: &str, more: &str| {
        authority.authenticate(&token(sub, roles, more), NOW_MS).unwrap().permissions.clone()
    };
    let shared = permissions("u1", r#"["same"]"#, "");
    assert!(std::sync::Arc::ptr_eq(&shared, &permissions("u2", r#"["same","nobody"]"#, "")));
    assert_eq!(names(permissions("u1", r#"["same"]"#, r#","deny":["a.b"]"#).deny()), ["a.b"]);
    assert_eq!(names(permissions("u1", r#"["same","own"]"#, "").sub()), ["a.>", "u.u1"]);
    assert_eq!(names(permissions("u1", r#"["own","same"]"#, "").sub()), ["a.>", "u.u1"]);
}

#[test]
fn one_client_has_a_bounded_number_of_patterns() {
    let many: Vec<String> = (0..250).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let roles: Vec<Role> = (0..5).map(|number| role(&format!("r{number}"), &many, &[], &[])).collect();
    let authority = authority(roles, vec![]);
    let outcome = |roles: &str| authority.authenticate(&token("u", roles, ""), NOW_MS).map(|_| ());
    assert_eq!(outcome(r#"["r0","r1","r2","r3"]"#), Ok(()));
    assert_eq!(outcome(r#"["r0","r1","r2","r3","r4"]"#), Err(BadToken::TooMuch));
    let small: Vec<Role> = (0..65).map(|number| role(&format!("r{number}"), &[], &[], &[])).collect();
    let all: Vec<String> = small.iter().map(|role| format!("{:?}", role.name)).collect();
    let wide = with_rules(TokenRules { bytes_max: 65536, ..rules() }, small, vec![]);
    let outcome =
        |count: usize| wide.authenticate(&token("u", &format!("[{}]", all[..count].join(",")), ""), NOW_MS).map(|_| ());
    assert_eq!((outcome(64), outcome(65)), (Ok(()), Err(BadToken::TooMuch)));
}

#[test]
fn bad_configurations_are_sentences() {
    let digest = TokenDigest::of("a");
    let token = |name: &str, sha256, roles: &[&str]| StaticToken {
        name: name.to_owned(),
        sha256,
        roles: roles.iter().map(|role| (*role).to_owned()).collect(),
    };
    let many: Vec<String> = (0..257).map(|number| format!("t{number}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let plain = || role("a", &["x"], &[], &[]);
    let table: Vec<(Vec<Role>, Vec<StaticToken>, &str)> = vec![
        (vec![plain(), plain()], vec![], "two roles are called \"a\""),
        (vec![role("", &[], &[], &[])], vec![], "a role is called \"\""),
        (vec![role("a\nb", &[], &[], &[])], vec![], "a role is called \"a\\nb\""),
        (vec![role("a", &many, &[], &[])], vec![], "has 257 patterns, at most 256"),
        (vec![plain()], vec![token("t", digest, &["b"])], "the role \"b\", which does not exist"),
        (vec![plain()], vec![token("", digest, &["a"])], "a token is called \"\""),
        (vec![], vec![token("t", digest, &[]), token("t", TokenDigest::of("b"), &[])], "two tokens are called"),
        (vec![], vec![token("t", digest, &[]), token("u", digest, &[])], "have the same sha256"),
    ];
    for (roles, tokens, expected) in table {
        let problems = Grants::new(roles, tokens).expect_err(expected).join("; ");
        assert!(problems.contains(expected), "{problems}");
    }
}
