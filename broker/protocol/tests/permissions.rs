//! How patterns lie inside each other and overlap, against all topics of a small alphabet.

use broker_protocol::pattern::Pattern;
use proptest::prelude::*;

/// Segments of topics: those that patterns name, and one that none names.
const SEGMENTS: [&str; 4] = ["a", "b", "$S", "other"];
/// One segment more than the longest pattern has.
const DEPTH: usize = 4;

fn all_topics() -> Vec<String> {
    let mut topics: Vec<String> = SEGMENTS.map(String::from).to_vec();
    let mut begin = 0;
    for _ in 1..DEPTH {
        let end = topics.len();
        for at in begin..end {
            topics.extend(SEGMENTS.map(|segment| format!("{}.{segment}", topics[at])));
        }
        begin = end;
    }
    topics
}

fn pattern() -> impl Strategy<Value = Pattern> {
    let segment = prop::sample::select(&["a", "b", "$S", "*", "*"][..]);
    (prop::collection::vec(segment, 0..DEPTH), any::<bool>()).prop_map(|(mut segments, rest)| {
        if (rest && segments.len() < DEPTH - 1) || segments.is_empty() {
            segments.push(">");
        }
        Pattern::parse(&segments.join(".")).expect("a valid pattern")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn covers_and_overlaps_agree_with_the_topics(one in pattern(), other in pattern()) {
        let topics = all_topics();
        let of = |pattern: &Pattern| topics.iter().filter(|topic| pattern.matches(topic)).count();
        let both = topics.iter().filter(|topic| one.matches(topic) && other.matches(topic)).count();
        prop_assert_eq!(one.overlaps(&other), both > 0, "{} overlaps {}", one, other);
        prop_assert_eq!(one.overlaps(&other), other.overlaps(&one));
        prop_assert_eq!(one.covers(&other), both == of(&other), "{} covers {}", one, other);
    }
}
