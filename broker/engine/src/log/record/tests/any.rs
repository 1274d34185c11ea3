//! Any record, any bytes, and records that were damaged.

use broker_protocol::{Data, Kind, Pattern};
use proptest::prelude::*;

use super::super::{Entry, Record, Rule, Settings, VERSION};
use super::{decode, encode};
use crate::log::digest::Digest;

/// An entry whose texts are its own.
#[derive(Debug, Clone)]
enum Owned {
    Publish(String, Option<Kind>, Option<(String, u64)>, Option<u64>, String),
    End(String, Option<(String, u64)>),
    Control(Control),
}

#[derive(Debug, Clone)]
enum Control {
    Open(String),
    Beat(String, u64, Option<(u64, u64)>),
    CheckpointBegins(String),
    Checkpoint(u64, String),
    Generation(u64, u64),
    Settings([u64; 5], Vec<(String, Option<Kind>)>),
    Barrier,
}

impl Owned {
    fn entry(&self, session: u64) -> Entry<'_> {
        match self {
            Owned::Publish(topic, kind, source, source_ts, data) => Entry::Publish {
                topic,
                kind: *kind,
                source: source.as_ref().map(|(source, seq)| (&**source, *seq)),
                source_ts: *source_ts,
                data: Data::check(data).expect("valid"),
            },
            Owned::End(topic, only) => Entry::End { topic, only: only.as_ref().map(|(epoch, seq)| (&**epoch, *seq)) },
            Owned::Control(control) => match control {
                Control::Open(node) => Entry::Open { node, session },
                Control::Beat(node, position, digest) => {
                    let digest = digest.map(|(block, value)| Digest { block, value });
                    Entry::Beat { node, position: *position, digest }
                }
                Control::CheckpointBegins(node) => Entry::CheckpointBegins { node },
                Control::Checkpoint(position, object) => Entry::Checkpoint { position: *position, object },
                Control::Barrier => Entry::Barrier,
                Control::Generation(nonce, rules) => Entry::Generation { nonce: *nonce, rules: *rules },
                Control::Settings([image_bytes, message_bytes, topics_max, images_bytes_max, topic_sources], rules) => {
                    let rule = |(pattern, kind): &(String, Option<Kind>)| Rule {
                        pattern: Pattern::parse(pattern).expect("valid"),
                        kind: *kind,
                    };
                    Entry::Settings(Settings {
                        image_bytes: *image_bytes,
                        message_bytes: *message_bytes,
                        topics_max: *topics_max,
                        images_bytes_max: *images_bytes_max,
                        topic_sources: *topic_sources,
                        rules: rules.iter().map(rule).collect(),
                    })
                }
            },
        }
    }
}

fn kind() -> impl Strategy<Value = Option<Kind>> {
    prop::option::of(prop::sample::select(vec![Kind::Event, Kind::State, Kind::Patch]))
}

fn topic() -> impl Strategy<Value = String> {
    prop_oneof!["[A-Za-z0-9_:/=+@^$~-]{1,8}(\\.[a-z0-9]{1,4}){0,4}", "[a-z]{255}"]
}

fn exact() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..300, 0u64..1 << 53, Just((1 << 53) - 1)]
}

fn whole() -> impl Strategy<Value = u64> {
    prop_oneof![0u64..300, any::<u64>(), (0u32..64).prop_map(|bit| 1 << bit)]
}

fn update() -> impl Strategy<Value = Owned> {
    let data = prop_oneof![
        any::<i64>().prop_map(|number| number.to_string()),
        any::<String>().prop_map(|text| serde_json::json!([text, { "a b": null }]).to_string()),
        "[a-z ]{100,200}".prop_map(|text| format!("\"{text}\"")),
    ];
    let patch = any::<String>().prop_map(|text| serde_json::json!({ "a b": { "c": text }, "d": null }).to_string());
    let source = prop::option::of((any::<String>().prop_filter("short", |name| name.len() <= 64), exact()));
    (topic(), kind(), source, prop::option::of(exact()), data, patch).prop_map(
        |(topic, kind, source, source_ts, data, patch)| {
            let data = if kind == Some(Kind::Patch) { patch } else { data };
            Owned::Publish(topic, kind, source, source_ts, data)
        },
    )
}

fn control() -> impl Strategy<Value = Owned> {
    let node = || "[A-Za-z0-9_-][A-Za-z0-9._-]{0,63}";
    let rules = prop::collection::vec(("[a-z]{1,3}(\\.[*]){0,3}(\\.>)?", kind()), 0..4);
    let settings = (prop::array::uniform5(whole()), rules);
    let control = prop_oneof![
        node().prop_map(Control::Open),
        (node(), whole(), prop::option::of((whole(), whole()))).prop_map(|(node, at, of)| Control::Beat(node, at, of)),
        node().prop_map(Control::CheckpointBegins),
        (whole(), node()).prop_map(|(position, object)| Control::Checkpoint(position, object)),
        (whole(), whole()).prop_map(|(nonce, rules)| Control::Generation(nonce, rules)),
        settings.prop_map(|(values, rules)| Control::Settings(values, rules)),
        Just(Control::Barrier),
    ];
    control.prop_map(Owned::Control)
}

/// A session, a number and commands, at most one of them a control entry.
fn record() -> impl Strategy<Value = (u64, u64, Vec<Owned>)> {
    let end =
        (topic(), prop::option::of(("[A-Za-z0-9]{1,32}", exact()))).prop_map(|(topic, only)| Owned::End(topic, only));
    let commands = prop::collection::vec(prop_oneof![4 => update(), 1 => end], 0..5);
    (whole(), exact(), commands, prop::option::of(control()), any::<prop::sample::Index>()).prop_map(
        |(session, number, mut commands, control, at)| {
            let opens = matches!(control, Some(Owned::Control(Control::Open(_))));
            if let Some(control) = control {
                commands.insert(at.index(commands.len() + 1), control);
            }
            (session, if opens { 0 } else { number }, commands)
        },
    )
}

fn bytes_of((session, number, commands): &(u64, u64, Vec<Owned>)) -> Vec<u8> {
    let commands = commands.iter().map(|command| command.entry(*session)).collect();
    encode(&Record { session: *session, number: *number, commands })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_record_comes_back(record in record()) {
        let bytes = bytes_of(&record);
        let decoded = decode(&bytes).expect("it was encoded");
        let (session, number, commands) = record;
        prop_assert_eq!((decoded.session, decoded.number), (session, number));
        let expected: Vec<_> = commands.iter().map(|command| command.entry(session)).collect();
        prop_assert_eq!(format!("{:?}", decoded.commands), format!("{expected:?}"));
    }

    #[test]
    fn any_bytes_are_one_record_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = decode(&bytes);
    }

    #[test]
    fn any_commands_are_one_record_or_none(count in 0u8..4, tag in 0u8..10, rest in prop::collection::vec(0u8..130, 0..60)) {
        let bytes = [&[VERSION][..], &[0; 16], &[count, 0, 0, 0, tag], &rest].concat();
        let _ = decode(&bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 100, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_damaged_record_is_another_one_or_none(record in record()) {
        let mut bytes = bytes_of(&record);
        for len in 0..bytes.len() {
            prop_assert!(decode(&bytes[..len]).is_err(), "it was cut at {}", len);
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            let _ = decode(&bytes);
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        prop_assert!(decode(&bytes).is_ok());
    }
}
