//! The session rule: which records count. A broker numbers its records from 0 in each of its sessions, and sends again
//! what it has not seen in the log; so records may be lost, repeated, late, or from a session that is over. Those that
//! count are each session's, in order, each once, and the same on every broker.
//!
//! ```text
//! the record opens a session:  it counts if the session is above the broker's; then session, next = session, 1
//! any other record:            it counts if session and number are the broker's session and next; then next += 1
//! ```
//!
//! A session must be above those before it, because the record that opened an old one may come late as well: if that
//! opened the session once more, its first record would count twice, and the records of the newer session no longer.

#[cfg(test)]
mod tests;

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::record::{EXACT_MAX, Flaw, NAME_BYTES_MAX, Record, check_node};
use crate::fault::{self, Fault};

/// Maximum number of brokers whose sessions are known. The one that wrote longest ago is forgotten for another; its
/// records count again once it has opened another session.
pub const NODES_MAX: usize = 1_024;

/// The newest session of each broker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sessions {
    /// In the order of their names, because a checkpoint lists them and must not depend on a hash.
    nodes: BTreeMap<Box<str>, Progress>,
}

/// How far a broker's newest session has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    session: u64,
    next: u64,
    position: u64,
}

/// A broker's newest session, as a checkpoint keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeSession {
    /// The broker.
    pub node: Box<str>,
    /// The session.
    pub session: u64,
    /// The number of the record that counts next.
    pub next: u64,
    /// The position in the log of the last record that counted.
    pub position: u64,
}

/// Why a record does not count. Every broker drops it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Dropped {
    /// The broker, or another one of its name, has opened a newer session.
    #[error("its session is over: the broker has opened a newer one")]
    StaleSession,
    /// A record of this session and number has counted.
    #[error("a record of this number has counted already")]
    Repeated,
    /// A record before it has not counted: it was lost, and will be sent again. So is one whose session nobody opened.
    #[error("a record before it is missing")]
    Ahead,
    /// It opens a session of another broker than the one that wrote it.
    #[error("it opens a session of another broker")]
    OtherNode,
}

impl Dropped {
    /// The reasons.
    pub const ALL: [Dropped; 4] = [Dropped::StaleSession, Dropped::Repeated, Dropped::Ahead, Dropped::OtherNode];

    /// The reason as a metric's label.
    pub fn as_str(self) -> &'static str {
        match self {
            Dropped::StaleSession => "stale_session",
            Dropped::Repeated => "repeated",
            Dropped::Ahead => "ahead",
            Dropped::OtherNode => "other_node",
        }
    }
}

/// Why sessions of a checkpoint are not valid.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RestoreError {
    /// More brokers than are ever known.
    #[error("there are {0} brokers; the maximum is {NODES_MAX}")]
    TooMany(usize),
    /// A broker is listed twice.
    #[error("the broker {0} is listed twice")]
    Twice(Box<str>),
    /// A broker's name is not valid.
    #[error("the name of a broker has more than {NAME_BYTES_MAX} bytes, or other characters than are allowed")]
    Node(#[source] Flaw),
    /// A session without the record that opened it, or with more than are ever written.
    #[error("the session of {node} goes on with record {next}")]
    Next {
        /// The broker.
        node: Box<str>,
        /// The number.
        next: u64,
    },
}

impl Sessions {
    /// Decides whether a record counts that `node` wrote and that stands at `position` in the log.
    ///
    /// Records must be passed in the order of the log, and applied if they count.
    pub fn counts(&mut self, node: &str, position: u64, record: &Record<'_>) -> Result<(), Dropped> {
        let opened = record.opens();
        if opened.is_some_and(|opened| opened != node) {
            return Err(Dropped::OtherNode);
        }
        let Some(known) = self.nodes.get_mut(node) else {
            return match opened {
                Some(_) => self.open(node, position, record.session),
                None => Err(Dropped::Ahead),
            };
        };
        match record.session.cmp(&known.session) {
            Ordering::Less => Err(Dropped::StaleSession),
            Ordering::Greater if opened.is_some() => self.open(node, position, record.session),
            Ordering::Greater => Err(Dropped::Ahead),
            Ordering::Equal => match record.number.cmp(&known.next) {
                Ordering::Less if record.number + 1 == known.next && fault::strikes(Fault::LastRecordTwice) => Ok(()),
                Ordering::Less => Err(Dropped::Repeated),
                Ordering::Greater => Err(Dropped::Ahead),
                Ordering::Equal => {
                    known.next = known.next.saturating_add(1);
                    known.position = position;
                    Ok(())
                }
            },
        }
    }

    /// Returns the newest session of a broker, above which it has to open its next one.
    pub fn newest(&self, node: &str) -> Option<u64> {
        self.nodes.get(node).map(|known| known.session)
    }

    /// Returns the sessions in the order of the brokers' names.
    pub fn list(&self) -> Vec<NodeSession> {
        if fault::planted(Fault::SessionsForgotten) {
            return Vec::new();
        }
        let sessions = self.nodes.iter().map(|(node, &Progress { session, next, position })| NodeSession {
            node: node.clone(),
            session,
            next,
            position,
        });
        sessions.collect()
    }

    /// Restores what [`Sessions::list`] returned.
    pub fn restore(sessions: Vec<NodeSession>) -> Result<Sessions, RestoreError> {
        if sessions.len() > NODES_MAX {
            return Err(RestoreError::TooMany(sessions.len()));
        }
        let mut nodes = BTreeMap::new();
        for NodeSession { node, session, next, position } in sessions {
            check_node(&node).map_err(RestoreError::Node)?;
            if next == 0 || next > EXACT_MAX {
                return Err(RestoreError::Next { node, next });
            }
            if nodes.insert(node.clone(), Progress { session, next, position }).is_some() {
                return Err(RestoreError::Twice(node));
            }
        }
        Ok(Sessions { nodes })
    }

    /// Begins a session with the record that opens it, which counts.
    fn open(&mut self, node: &str, position: u64, session: u64) -> Result<(), Dropped> {
        if self.nodes.len() >= NODES_MAX && !self.nodes.contains_key(node) {
            // Of two at the same place, which a log does not have, the first by name.
            let oldest = self.nodes.iter().min_by_key(|(_, known)| known.position).map(|(node, _)| node.clone());
            oldest.map(|oldest| self.nodes.remove(&oldest));
        }
        self.nodes.insert(node.into(), Progress { session, next: 1, position });
        Ok(())
    }
}
