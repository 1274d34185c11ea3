//! What the simulation cannot bring about: there a publish is one step, while a publisher's thread may be between the
//! beginning of a topic and its first update.

mod start;

use broker_protocol::data::Data;
use broker_protocol::request::Publication;

use super::*;
use crate::engine::{Engine, Publisher};
use crate::limits::Limits;
use crate::sink::Wrote;

/// A socket that takes everything, or nothing.
#[derive(Default)]
struct Socket {
    full: bool,
    took: Vec<u8>,
}

impl Sink for Socket {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        if self.full {
            return Wrote::Full;
        }
        self.took.extend_from_slice(bytes);
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

fn turns(shard: &mut Shard<Socket>) {
    while shard.take_in(NOW) | shard.turn(&mut || NOW) {}
}

const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

#[test]
fn a_topic_that_has_begun_and_has_no_update_yet_is_introduced_although_the_socket_is_full() {
    let limits = Limits { behind_bytes: 1, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let id = shard.connect(NOW, Socket::default());
    shard.handle(NOW, id, r#"{"op":"subscribe","topics":[">"]}"#);
    turns(&mut shard);

    let data = Data::check("1").unwrap();
    let update = Publication { topic: "a".into(), kind: None, data, source: None, source_ts: None };
    shard.sink(id).unwrap().full = true;
    let topic = engine.begin(NOW, &update).unwrap();
    turns(&mut shard);
    engine.publish(NOW, &update, Publisher::Client).unwrap();
    *shard.sink(id).unwrap() = Socket::default();
    shard.writable(id);
    turns(&mut shard);

    let took = String::from_utf8_lossy(&shard.sink(id).unwrap().took).into_owned();
    let at = |op: &str| took.find(&format!(r#""op":"{op}""#)).unwrap_or_else(|| panic!("no {op} in {took}"));
    assert!(at("topic") < at("update") && took.contains(topic.epoch()), "{took}");
}
