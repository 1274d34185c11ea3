use std::sync::Arc;

use crate::clock::Now;
use crate::engine::Engine;
use crate::limits::Limits;
use crate::shard::{ConnId, Shard};
use crate::sink::{Sink, Wrote};

/// Takes nothing: whatever is sent to it waits.
struct Full;

impl Sink for Full {
    fn write(&mut self, _bytes: &[u8]) -> Wrote {
        Wrote::Full
    }

    fn finish(&mut self) {}
}

const NOW: Now = Now { mono_us: 1_000_000, wall_us: 1_000_000 };

/// A connection for which `bytes` bytes of answers wait.
fn connect(shard: &mut Shard<Full>, bytes: usize) -> ConnId {
    let id = shard.connect(NOW, Full);
    shard.answer(NOW, id, &vec![b' '; bytes]);
    id
}

#[test]
fn the_largest_pays_whichever_shard_notices() {
    let limits = Limits { buffers_bytes_max: 40_000, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {}), Box::new(|| {})]);
    let mut shards = [0, 1].map(|index| Shard::new(engine.clone(), index, Arc::default()));
    let large = connect(&mut shards[1], 30_000);
    shards[1].tick(NOW);
    let small = connect(&mut shards[0], 12_000);
    assert!(engine.budget().buffers() > 40_000);
    // It holds less than a connection of the other shard: that one pays, when its shard runs.
    shards[0].tick(NOW);
    assert!(!shards[0].is_closing(small) && !shards[1].is_closing(large));
    shards[1].tick(NOW);
    assert!(shards[1].is_closing(large));
    shards[0].tick(NOW);
    assert!(!shards[0].is_closing(small), "closed for what another held");
    assert!(engine.budget().buffers() < 40_000, "what the closed connection held is still counted");
}

#[test]
fn nobody_pays_for_what_a_closing_connection_holds() {
    let limits = Limits { images_partial_bytes_max: 1 << 30, buffers_bytes_max: 40_000, ..Limits::default() };
    let engine = Engine::new(limits, 1, vec![Box::new(|| {})]);
    let mut shard = Shard::new(engine.clone(), 0, Arc::default());
    let others: Vec<ConnId> = (0..3).map(|_| connect(&mut shard, 8_000)).collect();
    let leaving = connect(&mut shard, 14_000);
    // Its answers are sent before the close frame, because it does not have to pay: they count until then.
    shard.close_with(NOW, leaving, 1000, "");
    let small = connect(&mut shard, 4_000);
    assert!(engine.budget().buffers() > 40_000 && engine.budget().leaving() > 0);
    shard.tick(NOW);
    assert!(others.into_iter().chain([small]).all(|id| !shard.is_closing(id)));
}
