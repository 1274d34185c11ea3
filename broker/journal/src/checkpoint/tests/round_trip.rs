//! What is written is what is read, whatever the topics are.

use std::collections::BTreeMap;

use proptest::option;
use proptest::prelude::*;

use super::*;

fn name() -> impl Strategy<Value = String> {
    prop::collection::vec("[A-Za-z0-9_:/=+@^~-]{1,6}", 1..5).prop_map(|segments| segments.join("."))
}

/// A number as small or large as it may be.
fn number(max: u64) -> impl Strategy<Value = u64> {
    prop_oneof![0..=200u64, 0..=max, Just(max)]
}

prop_compose! {
    fn any_topic()(
        epoch in "[A-Za-z0-9_-]{1,32}",
        is_event in any::<bool>(),
        place in number(COUNT_MAX),
        (last_ts, age_us) in (number(COUNT_MAX), number(u64::MAX)),
        last_source_ts in option::of(number((1 << 53) - 1)),
        has_patches in any::<bool>(),
        image in option::of(prop_oneof!["[a-zé ]{0,300}".prop_map(|text| format!("{{\"k\":\"{text}\"}}")), Just("7".into())]),
        sources in prop::collection::vec(("\\PC{0,12}", number((1 << 53) - 1)), 0..16),
        dropped_ordinal in number(1 << 60),
        updates in prop::collection::vec((1..1_000u64, number(u64::MAX), "\\PC{0,300}"), 0..20),
        newer in number(1 << 50),
    ) -> SavedTopic {
        let mut ordinal = dropped_ordinal;
        let updates: Vec<SavedUpdate> = updates.into_iter().map(|(step, age_us, message)| {
            ordinal += step;
            SavedUpdate { ordinal, age_us, message: message.into_bytes() }
        }).collect();
        SavedTopic {
            name: "".into(),
            epoch: epoch.into(),
            kind: if is_event { Kind::Event } else { Kind::State },
            seq: updates.len() as u64 + newer,
            place, last_ts, age_us, last_source_ts, has_patches,
            image: image.map(String::into_bytes),
            sources: sources.into_iter().map(|(source, source_seq)| (source.into(), source_seq)).collect(),
            dropped_ordinal,
            updates,
        }
    }
}

prop_compose! {
    fn any_head()(
        (nonce, record_check) in any::<(u64, u64)>(),
        [start_us, position, commands, saved_us] in prop::array::uniform4(number(COUNT_MAX)),
        sessions in prop::collection::btree_map("[a-z]{1,8}", (any::<u64>(), 1..1_000u64, number(COUNT_MAX)), 0..5),
        settings in option::of((prop::array::uniform5(any::<u64>()), prop::collection::vec((name(), 0..4u8), 0..5))),
    ) -> Head {
        Head {
            generation: Generation { nonce, start_us, first_ordinal: position },
            position, commands, record_check, saved_us,
            sessions: sessions.into_iter().map(|(node, (session, next, position))| {
                NodeSession { node: node.into(), session, next, position }
            }).collect(),
            settings: settings.map(|([image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources], rules)| {
                let kinds = [None, Some(Kind::Event), Some(Kind::State), Some(Kind::Patch)];
                let rule = |(pattern, kind): (String, u8)| Rule {
                    pattern: Pattern::parse(&pattern).unwrap(),
                    kind: kinds[usize::from(kind)],
                };
                let rules = rules.into_iter().map(rule).collect();
                Settings { image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources, rules }
            }),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_is_what_is_read(
        head in any_head(),
        topics in prop::collection::btree_map(name(), any_topic(), 0..12),
        ended in prop::collection::btree_map(name(), number(COUNT_MAX), 0..6),
        (first, refused) in (number(COUNT_MAX / 2), prop::collection::vec(any::<u8>(), 0..4)),
        complete_at in number(COUNT_MAX),
    ) {
        let topics: BTreeMap<String, SavedTopic> = topics;
        let topics: Vec<SavedTopic> =
            topics.into_iter().map(|(name, topic)| SavedTopic { name: name.into(), ..topic }).collect();
        let ended = ended.into_iter().map(|(name, place)| (name.into(), place)).collect();
        let refused = Places::from_parts(first * 2, &refused).unwrap_or_default();
        let tail = Tail { meanwhile: Meanwhile { ended, refused }, complete_at };
        let dir = test_dir();
        let file = write(dir.path(), &head, &topics, &tail);
        prop_assert_eq!(file.bytes, file.path.metadata().unwrap().len());
        let summary = verify(&file.path).unwrap();
        prop_assert_eq!(summary.topics, topics.len() as u64);
        prop_assert_eq!(read(&file.path).unwrap(), (head, topics, tail));
    }
}
