//! What the broker tells of itself, on whichever thread it is asked.

use std::net::SocketAddr;
use std::time::Duration;

use super::Shared;
use crate::http::Observe;
use crate::shard::Command;
use crate::shard::ConnectionRow;

/// How long shards may take to tell of their connections: whoever asks has an answer in 100 ms. A shard answers after the
/// round that it is in.
const TELL_TIME: Duration = Duration::from_millis(60);

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
            let (answer, told) = tokio::sync::oneshot::channel();
            // One that has thousands of commands to do is too busy to be asked.
            let _ = shard.try_send(Command::Slowest(slowest, answer));
            asked.push((index, told));
        }
        let (mut rows, mut silent) = (Vec::new(), Vec::new());
        let end = tokio::time::Instant::now() + TELL_TIME;
        for (index, told) in asked {
            match tokio::time::timeout_at(end, told).await {
                Ok(Ok(told)) => rows.extend(told),
                _ => silent.push(index),
            }
        }
        (rows, silent)
    }
}
