use std::sync::Arc;

use super::*;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::quota::SharedPublishes;
use crate::sink::Wrote;

const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

/// Takes nothing: whatever is sent to it waits.
struct Full;

impl Sink for Full {
    fn write(&mut self, _bytes: &[u8]) -> Wrote {
        Wrote::Full
    }

    fn finish(&mut self) {}
}

fn shard() -> Shard<Full> {
    let engine = Engine::new(Limits::default(), 1, vec![Box::new(|| {})]);
    Shard::new(engine, 0, Arc::default())
}

fn grant(shard: &mut Shard<Full>, id: ConnId, rates: Rates, publishes: Option<&Arc<SharedPublishes>>) {
    shard.grant(id, Granted { rates, publishes: publishes.cloned() });
}

/// Returns how many of these requests at once are refused.
fn refused_of(shard: &mut Shard<Full>, id: ConnId, request: &str, count: usize) -> u64 {
    let before = shard.stats().errors.get(ErrorCode::RateLimited);
    (0..count).for_each(|_| _ = shard.handle(NOW, id, request));
    shard.stats().errors.get(ErrorCode::RateLimited) - before
}

const LIST: &str = r#"{"op":"list"}"#;
const PUBLISH: &str = r#"{"op":"publish","topic":"a","data":1}"#;

#[test]
fn what_was_used_stays_used_when_more_or_less_is_granted() {
    let mut shard = shard();
    let id = shard.connect(NOW, Full);
    let requests = |requests| Rates { requests, ..Rates::default() };
    assert_eq!(refused_of(&mut shard, id, LIST, 100), 0, "nothing was granted");
    grant(&mut shard, id, requests(10), None);
    assert_eq!(refused_of(&mut shard, id, LIST, 20), 0);
    // Half of four seconds' worth was used, and so it is of another rate.
    grant(&mut shard, id, requests(2), None);
    assert_eq!(refused_of(&mut shard, id, LIST, 5), 1);
    grant(&mut shard, id, requests(10), None);
    assert_eq!(refused_of(&mut shard, id, LIST, 3), 3);
    grant(&mut shard, id, Rates::default(), None);
    assert_eq!(refused_of(&mut shard, id, LIST, 100), 0, "no bound any more");
    assert!(shard.quotas.is_empty());
}

#[test]
fn connections_of_a_user_publish_from_one_bucket() {
    let mut shard = shard();
    let rates = Rates { publishes: 2, ..Rates::default() };
    let user = Arc::default();
    let (one, other, stranger) = (shard.connect(NOW, Full), shard.connect(NOW, Full), shard.connect(NOW, Full));
    for id in [one, other] {
        grant(&mut shard, id, rates, Some(&user));
    }
    grant(&mut shard, stranger, rates, None);
    assert_eq!(refused_of(&mut shard, one, PUBLISH, 6), 0);
    assert_eq!(refused_of(&mut shard, other, PUBLISH, 4), 2);
    assert_eq!(refused_of(&mut shard, stranger, PUBLISH, 8), 0);
    // A new connection has nothing new.
    shard.disconnect(one);
    let again = shard.connect(NOW, Full);
    grant(&mut shard, again, rates, Some(&user));
    assert_eq!(refused_of(&mut shard, again, PUBLISH, 1), 1);
}

#[test]
fn nothing_is_left_of_a_connection_that_is_gone() {
    let mut shard = shard();
    let rates = Rates { requests: 1, ..Rates::default() };
    for _ in 0..10 {
        let id = shard.connect(NOW, Full);
        grant(&mut shard, id, rates, None);
        // Sent away after 20 refusals.
        assert_eq!(refused_of(&mut shard, id, LIST, 24), 20);
        assert!(shard.is_closing(id));
        shard.disconnect(id);
        grant(&mut shard, id, rates, None);
        assert!(shard.quotas.is_empty());
    }
    assert_eq!(shard.stats().closed.get(CloseReason::LimitExceeded), 10);
}
