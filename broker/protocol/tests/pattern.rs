//! Patterns against a naive model, and the errors of invalid ones.

use broker_protocol::pattern::{Pattern, Segment};
use broker_protocol::topic::{check_topic, is_pattern};
use proptest::prelude::*;

/// The rules as written, by recursion over lists of segments.
fn matches_model(pattern: &[&str], topic: &[&str]) -> bool {
    match (pattern, topic) {
        ([], []) => true,
        ([">"], [_, ..]) => true,
        (["*", pattern @ ..], [_, topic @ ..]) => matches_model(pattern, topic),
        ([literal, pattern @ ..], [name, topic @ ..]) => literal == name && matches_model(pattern, topic),
        _ => false,
    }
}

fn segments(text: &str) -> Vec<&str> {
    text.split('.').collect()
}

fn topic() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(&["a", "b", "ab", "$S", "$"][..]);
    prop::collection::vec(segment, 1..6).prop_map(|segments| segments.join("."))
}

fn pattern() -> impl Strategy<Value = String> {
    let segment = prop::sample::select(&["a", "b", "ab", "$S", "*", "*"][..]);
    (prop::collection::vec(segment, 0..5), any::<bool>()).prop_map(|(mut segments, rest)| {
        if rest || segments.is_empty() {
            segments.push(">");
        }
        segments.join(".")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn matching_agrees_with_the_model(text in pattern(), topic in topic()) {
        let pattern = Pattern::parse(&text).expect("valid");
        let list = segments(&text);
        let reserved_unnamed = topic.starts_with('$') && (list[0] == "*" || list[0] == ">");
        let model = !reserved_unnamed && matches_model(&list, &segments(&topic));
        prop_assert_eq!(pattern.matches(&topic), model, "{} on {}", text, topic);
        if model {
            prop_assert!(topic.starts_with(pattern.literal_prefix()));
        }
    }

    #[test]
    fn specificity_follows_the_rule(one in pattern(), other in pattern()) {
        let literals = |text: &str| -> Vec<usize> {
            let positions = text.split('.').enumerate().filter(|(_, segment)| !is_pattern(segment));
            positions.map(|(position, _)| position).collect()
        };
        let (one_literals, other_literals) = (literals(&one), literals(&other));
        // More literals are more specific; of equally many, those further left.
        let model = one_literals.len().cmp(&other_literals.len()).then(other_literals.cmp(&one_literals));
        let specificity = |text: &str| Pattern::parse(text).expect("valid").specificity();
        prop_assert_eq!(specificity(&one).cmp(&specificity(&other)), model, "{} and {}", one, other);
    }

    #[test]
    fn any_text_is_judged_as_a_name(text in "[ab.*>$é \"\u{0}-]{0,12}") {
        let list = segments(&text);
        let plain = |segment: &&str| !segment.is_empty() && segment.bytes().all(|byte| b"ab$-".contains(&byte));
        prop_assert_eq!(check_topic(&text).is_ok(), list.iter().all(plain), "{}", text);
        let last = list.len() - 1;
        let valid = list.iter().enumerate().all(|(at, segment)| {
            plain(segment) || *segment == "*" || *segment == ">" && at == last
        });
        prop_assert_eq!(Pattern::parse(&text).is_ok(), valid, "{}", text);
        for error in [check_topic(&text).err(), Pattern::parse(&text).err()].into_iter().flatten() {
            prop_assert!(!error.to_string().ends_with("is not a name"), "{}", error);
        }
    }
}

#[test]
fn the_error_describes_what_is_wrong() {
    let hostile = "*".repeat(200);
    let table = [
        ("a.>.b", "segment 2 of \"a.>.b\" is `>`, which can only be the last"),
        (">.>", "segment 1 of \">.>\" is `>`, which can only be the last"),
        ("a*.b", "segment 1 of \"a*.b\" mixes a wildcard with other characters"),
        ("**", "segment 1 of \"**\" mixes a wildcard with other characters"),
        ("a..>", "segment 2 of \"a..>\" is empty"),
        ("*. ", "segment 2 of \"*. \" contains the character ' '"),
        ("", "the name is empty"),
        (&hostile, &format!("segment 1 of \"{}…\" mixes a wildcard with other characters", &hostile[..64])),
    ];
    for (text, sentence) in table {
        assert_eq!(Pattern::parse(text).expect_err(text).to_string(), sentence);
    }
}

#[test]
fn a_pattern_is_its_text() {
    let pattern = Pattern::parse("sports.*.score.>").expect("valid");
    assert_eq!(pattern, Pattern::parse("sports.*.score.>").expect("valid"));
    assert_ne!(pattern, Pattern::parse("sports.*.score.*").expect("valid"));
    assert_eq!(pattern.as_str(), "sports.*.score.>");
    assert_eq!(pattern.literal_prefix(), "sports.");
    let segments: Vec<_> = pattern.segments().collect();
    assert_eq!(segments, [Segment::Literal("sports"), Segment::One, Segment::Literal("score"), Segment::Rest]);
    assert_eq!(Pattern::parse(">").expect("valid").literal_prefix(), "");
    assert_eq!(Pattern::parse("a.b").expect("valid").literal_prefix(), "a.b");
    assert!(Pattern::parse("$SYS.>").expect("valid").matches("$SYS.stats"));
    assert!(!Pattern::parse("*.stats").expect("valid").matches("$SYS.stats"));
    let sixteen = ["*"; 16].join(".");
    assert!(Pattern::parse(&sixteen).is_ok());
    assert!(Pattern::parse(&format!("{sixteen}.>")).is_err());
}
