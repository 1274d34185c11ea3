//! Stopping: no new connections, `goaway`, time to read it and what is pending, close frames, the end. Whatever clients do
//! meanwhile, and whatever state a shard is in, it takes `drain_ms` and two seconds at most.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_protocol::codes::CloseReason;
use broker_protocol::message;
use tokio::time::{Instant, sleep, timeout_at};

use crate::Broker;
use crate::listen::Shared;
use crate::shard::{Command, Handle};

/// After the close frames, how long connections have to hang up.
const CLOSE_TIME: Duration = Duration::from_millis(1500);
/// How long threads have to end after that.
const END_TIME: Duration = Duration::from_millis(300);
/// How often it is looked whether all have gone.
const LOOK: Duration = Duration::from_millis(5);

impl Broker {
    /// Stops: no new connections, `goaway`, time to read it and what is pending, close frames, the end. Takes `drain_ms`
    /// and two seconds at most. Until the broker is dropped its topics stay, and the admin listener tells that it is going
    /// away: to drop them takes seconds where they are a million.
    pub async fn stop(&self) {
        let shared = &self.shared;
        let drain_ms = shared.config.drain_ms;
        tracing::info!(connections = shared.admission.count(), drain_ms, "going away");
        // From now on a handshake is refused. One that was answered before arrives at its shard as it would, and hears
        // there what the others heard.
        shared.draining.send_replace(true);
        self.accepting.abort();
        let mut payload = Vec::new();
        message::goaway(&mut payload, "shutdown", drain_ms.into());
        let payload: Arc<[u8]> = payload.into();
        let drained = Instant::now() + Duration::from_millis(drain_ms.into());
        tell(shared, drained, || Command::Tell(payload.clone())).await;
        until_empty(shared, drained).await;
        let closed = Instant::now() + CLOSE_TIME;
        tell(shared, closed, || Command::CloseAll(CloseReason::GoingAway)).await;
        until_empty(shared, closed).await;
        // Whoever is still there has had its time.
        shared.clients.hang_up();
        threads(&shared.shards, &shared.ending).await;
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// Gives every shard a command, where it takes one in time.
async fn tell(shared: &Shared, end: Instant, command: impl Fn() -> Command) {
    for shard in &shared.shards {
        // The others hear of it however busy this one is.
        let end = end.min(Instant::now() + END_TIME);
        if timeout_at(end, shard.send(command())).await.is_err() {
            tracing::warn!("a shard is too busy to hear that the broker is going away");
        }
    }
}

/// Waits until there is no connection any more, of whatever kind.
async fn until_empty(shared: &Shared, end: Instant) {
    while shared.admission.count() > 0 || shared.clients.count() > 0 {
        if Instant::now() >= end {
            return;
        }
        sleep(LOOK).await;
    }
}

/// Ends the shards' threads.
pub(crate) async fn threads(shards: &[Handle], ending: &AtomicBool) {
    ending.store(true, Ordering::Release);
    let end = Instant::now() + END_TIME;
    for shard in shards {
        let _ = timeout_at(end, shard.send(Command::Stop)).await;
    }
    while shards.iter().any(|shard| !shard.has_ended()) {
        if Instant::now() >= end {
            tracing::warn!("a shard is still busy: the broker ends without waiting for it");
            return;
        }
        sleep(LOOK).await;
    }
}
