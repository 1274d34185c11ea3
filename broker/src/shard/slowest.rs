//! Which connections are slow, found and told in portions: between two of them the shard delivers.

use std::vec::IntoIter;

use broker_engine::{ConnId, Slowest};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Driver;
use crate::clock::now;

/// One connection as `/v1/connections` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionRow {
    /// Its session, as `hello` named it.
    pub session: String,
    /// The peer's address and port.
    pub remote: String,
    /// When it connected.
    pub connected_ts: u64,
    /// Its subscriptions.
    pub subscriptions: u64,
    /// Updates that wait for it.
    pub lag_updates: u64,
    /// Their bytes.
    pub lag_bytes: u64,
    /// Since when it is behind; `None` where it is not.
    pub lagging_since: Option<u64>,
}

/// Connections that are told of in one round, each with a name and an address to be written: some 100 µs.
const TOLD_PER_ROUND: usize = 128;

/// Somebody who wants to know.
pub(super) struct Asked {
    answer: oneshot::Sender<Vec<ConnectionRow>>,
    part: Part,
}

enum Part {
    Looking(Slowest),
    Telling { left: IntoIter<ConnId>, rows: Vec<ConnectionRow> },
}

impl Asked {
    pub(super) fn new(count: usize, answer: oneshot::Sender<Vec<ConnectionRow>>) -> Self {
        Self { answer, part: Part::Looking(Slowest::new(count)) }
    }
}

impl Driver {
    /// Does a portion for whoever asked first. Returns whether there is more to do.
    pub(super) fn tell_slowest(&mut self) -> bool {
        let Some(Asked { answer, part }) = self.asked.pop_front() else { return false };
        // Whoever does not wait any more needs no answer.
        if !answer.is_closed() {
            match self.portion(part) {
                Ok(rows) => drop(answer.send(rows)),
                Err(part) => self.asked.push_front(Asked { answer, part }),
            }
        }
        !self.asked.is_empty()
    }

    /// The rows, or what is left to do.
    fn portion(&self, part: Part) -> Result<Vec<ConnectionRow>, Part> {
        match part {
            Part::Looking(mut slowest) => Err(match self.shard.look_for_slowest(&mut slowest) {
                true => Part::Looking(slowest),
                false => Part::Telling { left: slowest.into_ids().into_iter(), rows: Vec::new() },
            }),
            Part::Telling { mut left, mut rows } => {
                rows.extend(left.by_ref().take(TOLD_PER_ROUND).filter_map(|id| self.row(id)));
                if left.len() == 0 { Ok(rows) } else { Err(Part::Telling { left, rows }) }
            }
        }
    }

    /// `None` where it has gone since.
    fn row(&self, id: ConnId) -> Option<ConnectionRow> {
        let clock = now();
        let wall = |mono_us: u64| clock.wall_us.saturating_sub(clock.mono_us.saturating_sub(mono_us));
        let (snapshot, socket) = self.shard.snapshot(id)?;
        Some(ConnectionRow {
            session: snapshot.session.into(),
            remote: socket.remote().to_string(),
            connected_ts: snapshot.connected_ts,
            subscriptions: snapshot.subscriptions,
            lag_updates: snapshot.lag_updates,
            lag_bytes: snapshot.lag_bytes,
            lagging_since: snapshot.lagging_since_us.map(wall),
        })
    }
}
