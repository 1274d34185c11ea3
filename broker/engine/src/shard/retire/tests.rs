use std::sync::Arc;

use broker_protocol::data::Data;
use broker_protocol::pattern::Pattern;
use broker_protocol::request::Publication;

use super::*;
use crate::clock::Now;
use crate::engine::{Engine, Publisher};
use crate::limits::Limits;
use crate::shard::denied::Denied;
use crate::sink::Wrote;

const BOUND: usize = 3 * NAMES_PER_ROUND + 1;

#[test]
fn a_pass_over_the_names_visits_each_once() {
    let mut retiring = Retiring::default();
    assert_eq!(retiring.names(BOUND), None);
    retiring.begin_names();
    let mut visited = Vec::new();
    while let Some(names) = retiring.names(BOUND) {
        assert!(names.len() <= NAMES_PER_ROUND);
        // A pass that is under way is not begun again.
        retiring.begin_names();
        let end = names.end;
        visited.extend(names);
        assert_eq!(retiring.visited_names(end, BOUND), end < BOUND);
    }
    assert_eq!(visited, (0..BOUND).collect::<Vec<_>>());
}

#[test]
fn a_pass_ends_where_names_were_removed() {
    let mut retiring = Retiring::default();
    retiring.begin_names();
    assert!(retiring.visited_names(2 * NAMES_PER_ROUND, BOUND));
    let names = retiring.names(NAMES_PER_ROUND).expect("a pass is under way");
    assert!(names.is_empty());
    assert!(!retiring.visited_names(names.end, NAMES_PER_ROUND));
    assert_eq!(retiring.names(BOUND), None);
}

#[test]
fn a_pattern_is_forgotten_once_a_whole_pass_has_gone_over_the_names() {
    let mut retiring = Retiring::default();
    assert!(retiring.begin_patterns().is_empty() && !retiring.has_patterns());
    retiring.retire(7);
    assert_eq!(retiring.begin_patterns(), [7]);
    let (mut visited, mut forgotten) = (0, Vec::new());
    while let Some(names) = retiring.names_with_patterns(BOUND) {
        // Names that were visited may still refer to a pattern that is retired now: it waits for the next pass.
        if visited == NAMES_PER_ROUND {
            retiring.retire(9);
        }
        assert!(retiring.begin_patterns().is_empty(), "a pass under way");
        assert_eq!(names.start, visited);
        visited = names.end;
        forgotten.extend(retiring.visited_patterns(visited, BOUND));
        assert_eq!(forgotten.is_empty(), visited < BOUND);
    }
    assert_eq!((forgotten, retiring.has_patterns()), (vec![7], true));
    assert_eq!(retiring.begin_patterns(), [9]);
}

/// Takes everything.
struct Open;

impl Sink for Open {
    fn write(&mut self, bytes: &[u8]) -> Wrote {
        Wrote::Bytes(bytes.len())
    }

    fn finish(&mut self) {}
}

const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

#[test]
fn names_are_dropped_with_the_last_pattern_that_covers_them() {
    let engine = Engine::new(Limits::default(), 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let id = shard.connect(NOW, Open);
    shard.handle(NOW, id, r#"{"op":"subscribe","topics":["a.*","a.>"]}"#);
    let data = Data::check("1").expect("a number");
    for number in 0..BOUND {
        let topic = format!("a.t{number}").into();
        let update = Publication { topic, kind: None, data, source: None, source_ts: None };
        engine.publish(NOW, &update, Publisher::Client).expect("it is taken");
    }
    while shard.take_in(NOW) | shard.turn(&mut || NOW) {}
    let followed = |shard: &Shard<Open>| shard.stats().local_topics.get();
    assert_eq!(followed(&shard), BOUND as u64);

    shard.handle(NOW, id, r#"{"op":"unsubscribe","topics":["a.>"]}"#);
    while shard.retire_patterns() {}
    assert_eq!(followed(&shard), BOUND as u64, "the other pattern covers them");

    shard.handle(NOW, id, r#"{"op":"unsubscribe","topics":["a.*"]}"#);
    let patterns = ["a.*", "a.>"].map(|text| Pattern::parse(text).expect("a pattern"));
    assert!(
        patterns.iter().all(|pattern| shard.follows.group(pattern, &Denied::default()).is_none()),
        "found by no new name at once"
    );
    let mut rounds = 1;
    while shard.retire_patterns() {
        rounds += 1;
        assert!(rounds < 10 * BOUND, "retiring never ends");
    }
    assert!(rounds > BOUND / NAMES_PER_ROUND, "the names were visited in {rounds} rounds");
    assert_eq!(followed(&shard), 0);
    assert_eq!((shard.follows.names.bound(), shard.follows.groups.bound()), (0, 0));
}

#[test]
fn a_retired_pattern_counts_until_no_name_refers_to_it() {
    let now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };
    let engine = Engine::new(Limits::default(), 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let id = shard.connect(now, Open);
    let names: Vec<String> = (0..4 * NAMES_PER_ROUND).map(|n| format!(r#""a.{n}""#)).collect();
    shard.handle(now, id, &format!(r#"{{"op":"subscribe","topics":[{}]}}"#, names.join(",")));
    let rest = |shard: &mut Shard<Open>| while shard.take_in(now) | shard.turn(&mut || now) | shard.tick(now) {};
    rest(&mut shard);
    let before = engine.budget().subscriptions();
    shard.handle(now, id, r#"{"op":"subscribe","topics":["a.*"]}"#);
    rest(&mut shard);
    let with_pattern = engine.budget().subscriptions();
    shard.handle(now, id, r#"{"op":"unsubscribe","topics":["a.*"]}"#);
    shard.tick(now);
    assert!(engine.budget().subscriptions() > before, "the names refer to it still");
    assert!(engine.budget().subscriptions() < with_pattern, "its subscription is gone");
    rest(&mut shard);
    assert_eq!(engine.budget().subscriptions(), before);
}
