//! All subscribers of one topic leave.

use broker_engine::{ConnId, Limits};
use broker_protocol::codes::CloseReason;

use crate::Row;
use crate::bench::{Bench, NOW, message, subscribe, update};
use crate::pieces::Pieces;

pub(crate) const ROWS: &[Row] = &[
    Row { name: "leaving: 100,000 of one topic, closed by the broker", count: 100_000, run: closed },
    Row { name: "leaving: 100,000 of one topic, vanished", count: 100_000, run: vanished },
];

fn closed(count: usize) -> Pieces {
    leave(count, |bench, id| bench.shard.close(NOW, id, CloseReason::GoingAway, "going away"))
}

fn vanished(count: usize) -> Pieces {
    leave(count, |bench, id| bench.shard.disconnect(id))
}

fn leave(count: usize, leave: impl Fn(&mut Bench, ConnId)) -> Pieces {
    let mut bench = Bench::new(Limits::default());
    bench.publish(&update(&message("hot.topic", "state")));
    let request = subscribe(["hot.topic".to_owned()].into_iter());
    let ids: Vec<ConnId> = (0..count).map(|_| bench.connect(&request)).collect();
    bench.settle();
    let mut pieces = Pieces::default();
    for id in ids {
        pieces.call(|| leave(&mut bench, id));
    }
    pieces.settle(&mut bench);
    pieces
}
