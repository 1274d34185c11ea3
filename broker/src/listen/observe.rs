//! What the admin listener reads from the broker.

use std::net::SocketAddr;
use std::time::Duration;

use super::Shared;
use crate::http::Observe;
use crate::shard::Command;
use crate::shard::ConnectionRow;

/// The time that shards have to report their connections, so that the request is answered within 100 ms. A shard
/// reports after its current round.
const REPORT_TIME: Duration = Duration::from_millis(60);

impl Observe for Shared {
    fn ready(&self) -> Result<(), String> {
        if self.is_draining() {
            return Err("the broker is going away".to_owned());
        }
        Ok(())
    }

    fn metrics(&self) -> String {
        self.metrics.text()
    }

    fn clients_at(&self) -> SocketAddr {
        self.clients_at
    }

    async fn connections(&self, slowest: usize) -> (Vec<ConnectionRow>, Vec<usize>) {
        let mut asked = Vec::new();
        for (index, shard) in self.shards.iter().enumerate() {
            let (answer, report) = tokio::sync::oneshot::channel();
            // A shard with a full queue of commands is too busy to answer.
            let _ = shard.try_send(Command::Slowest(slowest, answer));
            asked.push((index, report));
        }
        let (mut rows, mut silent) = (Vec::new(), Vec::new());
        let end = tokio::time::Instant::now() + REPORT_TIME;
        for (index, report) in asked {
            match tokio::time::timeout_at(end, report).await {
                Ok(Ok(some)) => rows.extend(some),
                _ => silent.push(index),
            }
        }
        (rows, silent)
    }
}
