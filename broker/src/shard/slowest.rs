//! Finds and reports the slowest connections, in portions: between two portions the shard delivers.

use std::vec::IntoIter;

use broker_engine::{ConnId, Slowest};
use serde::Serialize;
use tokio::sync::oneshot;

use super::Driver;
use crate::clock::now;

/// One connection as `/v1/connections` shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ConnectionRow {
    /// Its session, as in `hello`.
    pub session: String,
    /// The client's address, with its port unless a proxy named an address alone.
    pub remote: String,
    /// Who its client is, if clients are asked and it has said so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sub: Option<String>,
    /// The names of that client's roles.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub roles: Option<Vec<String>>,
    /// When it connected, in microseconds since the UNIX epoch.
    pub connected_ts: u64,
    /// The number of its subscriptions.
    pub subscriptions: u64,
    /// The number of updates that are pending for it.
    pub lag_updates: u64,
    /// Their bytes.
    pub lag_bytes: u64,
    /// The time since which something has been pending, in microseconds since the UNIX epoch; `None` if nothing is.
    pub lagging_since: Option<u64>,
}

/// The connections that are reported in one round, each with a name and an address to be formatted: some 100 µs.
const REPORTED_PER_ROUND: usize = 128;

/// A request for the slowest connections.
pub(super) struct Asked {
    answer: oneshot::Sender<Vec<ConnectionRow>>,
    part: Part,
}

enum Part {
    Looking(Slowest),
    Reporting { left: IntoIter<ConnId>, rows: Vec<ConnectionRow> },
}

impl Asked {
    pub(super) fn new(count: usize, answer: oneshot::Sender<Vec<ConnectionRow>>) -> Self {
        Self { answer, part: Part::Looking(Slowest::new(count)) }
    }
}

impl Driver {
    /// Does a portion of the oldest request. Returns whether there is more to do.
    pub(super) fn report_slowest(&mut self) -> bool {
        let Some(Asked { answer, part }) = self.asked.pop_front() else { return false };
        // If nobody waits for the answer any more, the request is dropped.
        if !answer.is_closed() {
            match self.portion(part) {
                Ok(rows) => drop(answer.send(rows)),
                Err(part) => self.asked.push_front(Asked { answer, part }),
            }
        }
        !self.asked.is_empty()
    }

    /// Does a portion. Returns the rows, or what is left to do.
    fn portion(&self, part: Part) -> Result<Vec<ConnectionRow>, Part> {
        match part {
            Part::Looking(mut slowest) => Err(match self.shard.look_for_slowest(&mut slowest) {
                true => Part::Looking(slowest),
                false => Part::Reporting { left: slowest.into_ids().into_iter(), rows: Vec::new() },
            }),
            Part::Reporting { mut left, mut rows } => {
                rows.extend(left.by_ref().take(REPORTED_PER_ROUND).filter_map(|id| self.row(id)));
                if left.len() == 0 { Ok(rows) } else { Err(Part::Reporting { left, rows }) }
            }
        }
    }

    /// Returns a connection's row; `None` if it is gone.
    pub(super) fn row(&self, id: ConnId) -> Option<ConnectionRow> {
        let clock = now();
        let wall = |mono_us: u64| clock.wall_us.saturating_sub(clock.mono_us.saturating_sub(mono_us));
        let (snapshot, socket) = self.shard.snapshot(id)?;
        let identity = self.shard.session(id).and_then(|session| self.logins.get(id, session));
        Some(ConnectionRow {
            sub: identity.and_then(|identity| identity.sub.as_deref().map(str::to_owned)),
            roles: identity.map(|identity| identity.roles.iter().map(|role| role.to_string()).collect()),
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
