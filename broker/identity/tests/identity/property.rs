//! The permissions of a token with roles, compared with a naive model of the rules: a client may do what some line of its
//! roles or of its token allows, and none denies, where a line that cannot be filled counts against it.

use broker_identity::{Line, Role};
use broker_protocol::Pattern;
use proptest::prelude::*;

use super::signing::{NOW_MS, NOW_S, authority, issuer};

/// Names with few letters, so that they meet often.
fn segment() -> impl Strategy<Value = String> {
    prop_oneof![Just("a".to_owned()), Just("b".to_owned()), Just("$SYS".to_owned()), Just("u1".to_owned())]
}

fn topic() -> impl Strategy<Value = String> {
    prop::collection::vec(segment(), 1..5).prop_map(|segments| segments.join("."))
}

/// Patterns, and with `fill` such with placeholders.
fn pattern(fill: bool) -> impl Strategy<Value = String> {
    let wild = prop_oneof![4 => segment(), 2 => Just("*".to_owned()), 1 => Just("{sub}".to_owned()), 1 => Just("{tenant}".to_owned())];
    let wild = wild.prop_map(move |one| if !fill && one.starts_with('{') { "a".to_owned() } else { one });
    (prop::collection::vec(wild, 1..4), any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest {
            segments.push(">".to_owned());
        }
        segments.join(".")
    })
}

type Lists = [Vec<String>; 3];

fn lists(fill: bool) -> impl Strategy<Value = Lists> {
    let list = move || prop::collection::vec(pattern(fill), 0..3);
    (list(), list(), list()).prop_map(|(sub, publish, deny)| [sub, publish, deny])
}

fn value() -> impl Strategy<Value = Option<String>> {
    let odd = ["*", ">", "a.b", "$SYS", "", "a b", "{sub}", ".", "a.", "{tenant}"].map(str::to_owned).to_vec();
    prop_oneof![
        1 => Just(None),
        4 => prop::sample::select(vec!["u1".to_owned(), "a".to_owned()]).prop_map(Some),
        2 => prop::sample::select(odd).prop_map(Some),
    ]
}

/// Fills a line as the rules say it, without the code that is tested.
fn fill(line: &str, sub: Option<&str>, tenant: Option<&str>) -> Option<Vec<String>> {
    let mut segments = Vec::new();
    for part in line.split('.') {
        let value = match part {
            "{sub}" => sub?,
            "{tenant}" => tenant?,
            other => {
                segments.push(other.to_owned());
                continue;
            }
        };
        let good = |sign: char| sign.is_ascii_alphanumeric() || "_-:/=+@^$~".contains(sign);
        if value.is_empty() || value.starts_with('$') || !value.chars().all(good) {
            return None;
        }
        segments.push(value.to_owned());
    }
    Some(segments)
}

fn matches(pattern: &[String], topic: &[&str], first: bool) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([wild, ..], [name, ..]) if first && ["*", ">"].contains(&wild.as_str()) && name.starts_with('$') => false,
        ([rest], [_, ..]) if rest == ">" => true,
        ([one, pattern @ ..], [name, topic @ ..]) => (one == "*" || one == name) && matches(pattern, topic, false),
        _ => false,
    }
}

fn one_of(patterns: &[Vec<String>], topic: &str) -> bool {
    let topic: Vec<&str> = topic.split('.').collect();
    patterns.iter().any(|pattern| matches(pattern, &topic, true))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn permissions_are_those_of_the_model(
        roles in prop::collection::vec(lists(true), 0..3),
        own in lists(false),
        sub in value(),
        tenant in value(),
        topics in prop::collection::vec(topic(), 1..12),
    ) {
        let sub = sub.unwrap_or_default();
        let line = |text: &String| Line::parse(text).unwrap();
        let made = roles.iter().enumerate().map(|(number, lists)| {
            let [sub, publish, deny] = lists.each_ref().map(|list| list.iter().map(line).collect());
            Role { name: format!("r{number}"), sub, publish, deny, ..Role::default() }
        });
        let authority = authority(made.collect(), vec![]);
        let names: Vec<String> = (0..roles.len()).map(|number| format!("r{number}")).collect();
        let claims = serde_json::json!({
            "sub": sub, "aud": "tickcast", "exp": NOW_S + 300,
            "tickcast": {"roles": names, "sub": own[0], "pub": own[1], "deny": own[2]},
        });
        let mut claims = claims;
        if let Some(tenant) = &tenant {
            claims["tenant"] = tenant.as_str().into();
        }
        let identity = authority.authenticate(&issuer()[1].sign(&claims.to_string()), NOW_MS).unwrap();

        let mut model: [Vec<Vec<String>>; 3] = own.each_ref().map(|list| list.iter().map(|line| line.split('.').map(str::to_owned).collect()).collect());
        for lists in &roles {
            let filled = lists.each_ref().map(|list| list.iter().map(|line| fill(line, Some(&sub), tenant.as_deref())).collect::<Vec<_>>());
            if filled[2].contains(&None) {
                continue;
            }
            for (into, from) in model.iter_mut().zip(filled) {
                into.extend(from.into_iter().flatten());
            }
        }
        for topic in &topics {
            let denied = one_of(&model[2], topic);
            prop_assert_eq!(identity.permissions.may_read(topic), one_of(&model[0], topic) && !denied, "read {}", topic);
            prop_assert_eq!(identity.permissions.may_publish(topic), one_of(&model[1], topic) && !denied, "publish {}", topic);
        }
        // Whatever may be subscribed to as a pattern contains only topics that may be read, or that are denied.
        for pattern in own.iter().chain(&roles.concat()).flatten().filter_map(|text| Pattern::parse(text).ok()) {
            if identity.permissions.may_subscribe(&pattern) {
                for topic in topics.iter().filter(|topic| pattern.matches(topic)) {
                    prop_assert!(one_of(&model[0], topic), "{} within {}", topic, pattern);
                }
            }
        }
    }
}
