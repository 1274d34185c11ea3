//! Clients are told when this broker is cut off from the log that it shares with others, and when that is over.

use std::sync::Arc;

use broker_journal::nats::NatsStatus;
use broker_protocol::message;

use crate::shard::{Command, Handle};

/// Tells them, as long as the broker runs.
pub(crate) async fn tell(status: Arc<NatsStatus>, shards: Arc<Vec<Handle>>) {
    let mut changes = status.stale();
    // The journal's thread has ended: so does the broker.
    while changes.changed().await.is_ok() {
        let since_ms = *changes.borrow_and_update();
        let mut payload = Vec::new();
        match since_ms {
            // As every time of the protocol, in µs.
            Some(since_ms) => message::stale(&mut payload, since_ms * 1000),
            None => message::fresh(&mut payload),
        }
        let payload: Arc<[u8]> = payload.into();
        for shard in shards.iter() {
            shard.send(Command::Stale(payload.clone(), since_ms.map(|_| payload.clone()))).await;
        }
    }
    std::future::pending().await
}
