//! Finds the shard of a connection. A client cannot ask for it, but it can make its shard busy and see which one that
//! is.

use std::io;

use crate::broker::{Broker, SHARDS};
use crate::link::{Link, text};
use crate::patience::Patience;
use crate::wire::Options;

/// The pings at once: they take about half a millisecond of a shard's time.
const PINGS: usize = 500;
/// The shard that answers has to be this many times as busy as the other one.
const TIMES: f64 = 4.0;
/// The shard that answers has to be busy for at least this long.
const BUSY_SECONDS: f64 = 100e-6;

/// Returns the shard of a connection.
pub(crate) fn shard_of(link: &mut Link, broker: &Broker, patience: &Patience) -> io::Result<usize> {
    let pings = text(r#"{"op":"ping"}"#).repeat(PINGS);
    loop {
        let before = broker.metrics(patience)?;
        link.wire.send(&pings, patience)?;
        for _ in 0..PINGS {
            link.expect("pong", patience)?;
        }
        let after = broker.metrics(patience)?;
        let busy = std::array::from_fn::<f64, SHARDS, _>(|shard| after.busy(shard) - before.busy(shard));
        for shard in 0..SHARDS {
            let others: f64 = busy.iter().sum::<f64>() - busy[shard];
            if busy[shard] > BUSY_SECONDS.max(TIMES * others) {
                return Ok(shard);
            }
        }
    }
}

/// Connects until a connection is on this shard. The others stay as fillers, because a broker gives the next connection
/// to the shard with fewer.
pub(crate) fn link_on(
    shard: usize,
    broker: &Broker,
    options: Options,
    fillers: &mut Vec<Link>,
    patience: &Patience,
) -> io::Result<Link> {
    loop {
        let mut link = Link::connect(broker.listen, options, patience)?;
        if shard_of(&mut link, broker, patience)? == shard {
            return Ok(link);
        }
        fillers.push(link);
    }
}
