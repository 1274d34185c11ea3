//! Stopping: no new connections, `goaway`, time to read it and what is pending, close frames, the end. It takes at most
//! `drain_ms` and two seconds, whatever clients do and whatever state a shard is in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use broker_protocol::codes::CloseReason;
use broker_protocol::message;
use tokio::time::{Instant, sleep, timeout_at};

use crate::listen::Shared;
use crate::shard::{Command, Handle};
use crate::{Broker, systemd};

/// The time that clients have to close their connections after the close frames.
const CLOSE_TIME: Duration = Duration::from_millis(1500);
/// The time that connections have to end that are hung up after that.
const HANG_UP_TIME: Duration = Duration::from_millis(100);
/// The time that threads have to end after that.
const END_TIME: Duration = Duration::from_millis(300);
/// The interval between two checks whether all have gone.
const LOOK: Duration = Duration::from_millis(5);

impl Broker {
    /// Stops the broker: no new connections, `goaway`, time to read it and what is pending, close frames, the end.
    /// Takes at most `drain_ms` and two seconds. The topics remain until the broker is dropped, which takes seconds
    /// with a million of them; until then the admin listener reports that the broker is going away.
    pub async fn stop(&self) {
        let shared = &self.shared;
        let drain_ms = shared.config.get().drain_ms;
        systemd::stopping();
        tracing::info!(connections = shared.admission.count(), drain_ms, "going away");
        // From now on handshakes are refused. A connection whose handshake was answered before still arrives at its
        // shard, and gets there what the others got.
        shared.draining.send_replace(true);
        self.accepting.iter().for_each(tokio::task::AbortHandle::abort);
        let mut payload = Vec::new();
        message::goaway(&mut payload, "shutdown", drain_ms.into());
        let payload: Arc<[u8]> = payload.into();
        let drained = Instant::now() + Duration::from_millis(drain_ms.into());
        tell(shared, drained, || Command::SendAll(payload.clone())).await;
        until_empty(shared, drained).await;
        let closed = Instant::now() + CLOSE_TIME;
        tell(shared, closed, || Command::CloseAll(CloseReason::GoingAway)).await;
        until_empty(shared, closed).await;
        // The connections that are still there have had their time.
        shared.clients.hang_up();
        // Those that speak HTTP write their last answer now.
        until(Instant::now() + HANG_UP_TIME, || shared.clients.count() == 0).await;
        // Before the shards: what was published is answered.
        if let Some(journal) = &self.journal {
            journal.stop().await;
        }
        threads(&shared.shards, &shared.ending).await;
        self.tasks.iter().for_each(tokio::task::AbortHandle::abort);
    }
}

/// Sends every shard a command, unless it is too busy to take one in time.
async fn tell(shared: &Shared, end: Instant, command: impl Fn() -> Command) {
    for shard in shared.shards.iter() {
        // The other shards get it however busy this one is.
        let end = end.min(Instant::now() + END_TIME);
        if timeout_at(end, shard.send(command())).await.is_err() {
            tracing::warn!("a shard is too busy to learn that the broker is going away");
        }
    }
}

/// Waits until there is no connection of any kind left.
async fn until_empty(shared: &Shared, end: Instant) {
    until(end, || shared.admission.count() == 0 && shared.clients.count() == 0).await;
}

/// Waits until something is so, at most until that time.
async fn until(end: Instant, is_so: impl Fn() -> bool) {
    while !is_so() && Instant::now() < end {
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
