//! A line as a pattern and the next line as a topic, compared with a naive implementation of the rules.
#![no_main]

use broker_fuzz::matches;
use broker_protocol::Pattern;
use broker_protocol::topic::{check_topic, is_pattern};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let (one, other) = text.split_once('\n').unwrap_or((text, "a.b"));
    for name in [one, other] {
        let literal = |segment: &str| {
            let allowed = |c: char| c.is_ascii_alphanumeric() || "_-:/=+@^$~".contains(c);
            !segment.is_empty() && segment.chars().all(allowed)
        };
        let segments: Vec<_> = name.split('.').collect();
        let sized = name.len() <= 255 && segments.len() <= 16;
        assert_eq!(check_topic(name).is_ok(), sized && segments.iter().all(|segment| literal(segment)));
        let valid = segments
            .iter()
            .enumerate()
            .all(|(at, &segment)| literal(segment) || segment == "*" || segment == ">" && at + 1 == segments.len());
        assert_eq!(Pattern::parse(name).is_ok(), sized && valid);
        for error in [check_topic(name).err(), Pattern::parse(name).err()].into_iter().flatten() {
            assert!(error.to_string().len() < 1_000);
        }
    }
    let Ok(pattern) = Pattern::parse(one) else { return };
    assert_eq!(pattern.segments().count(), one.split('.').count());
    if check_topic(other).is_ok() {
        let segments: Vec<_> = one.split('.').collect();
        let hidden = other.starts_with('$') && is_pattern(segments[0]);
        let model = !hidden && matches(&segments, &other.split('.').collect::<Vec<_>>());
        assert_eq!(pattern.matches(other), model);
        assert!(!model || other.starts_with(pattern.literal_prefix()));
    }
    if let Ok(second) = Pattern::parse(other) {
        let order = pattern.specificity().cmp(&second.specificity());
        assert_eq!(order.reverse(), second.specificity().cmp(&pattern.specificity()));
    }
});
