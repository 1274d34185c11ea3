//! The memory that bodies may take together: the bodies of requests while they are read and processed, and large
//! answers while they are written. Over the budget the largest body of the address that holds most is given up, never
//! the small one that has just arrived.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;
use tokio::sync::Notify;

use super::Peer;
use crate::address::Block;
use crate::sync::lock;

/// The budget.
#[derive(Debug)]
pub struct BodyBudget {
    bytes_max: AtomicU64,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: u64,
    given_up: u64,
    next: u64,
    holders: HashMap<Block, Holder>,
}

/// What one address holds.
#[derive(Debug, Default)]
struct Holder {
    bytes: u64,
    bodies: HashMap<u64, Body>,
}

#[derive(Debug)]
struct Body {
    bytes: u64,
    end: Arc<End>,
}

/// The signal to a body that it is given up.
#[derive(Debug)]
struct End {
    given_up: AtomicBool,
    told: Notify,
    /// Whether it is an answer. Then only the task of the connection waits for the signal.
    is_written: AtomicBool,
    hang_up: Arc<Notify>,
}

impl End {
    fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
        self.told.notify_one();
        if self.is_written.load(Ordering::Relaxed) {
            self.hang_up.notify_one();
        }
    }
}

impl BodyBudget {
    /// Makes a budget of `bytes_max` bytes.
    pub fn new(bytes_max: u64) -> Arc<Self> {
        Arc::new(Self { bytes_max: bytes_max.into(), state: Mutex::default() })
    }

    /// Bytes held now.
    pub fn bytes(&self) -> u64 {
        self.lock().bytes
    }

    /// Bytes that may be held.
    pub fn bytes_max(&self) -> u64 {
        self.bytes_max.load(Ordering::Relaxed)
    }

    /// Changes that bound. What is held over a lower one is given up as soon as any body grows.
    pub(crate) fn change_bytes_max(&self, bytes_max: u64) {
        self.bytes_max.store(bytes_max, Ordering::Relaxed);
    }

    /// Bodies that were given up since the start.
    pub fn given_up(&self) -> u64 {
        self.lock().given_up
    }

    /// Registers a body of this peer, which holds nothing yet.
    pub(super) fn hold(self: &Arc<Self>, peer: &Peer) -> Held {
        let block = peer.address.block();
        let (given_up, is_written) = (AtomicBool::new(false), AtomicBool::new(false));
        let end = Arc::new(End { given_up, told: Notify::new(), is_written, hang_up: peer.hang_up.clone() });
        let mut state = self.lock();
        let id = state.next;
        state.next += 1;
        state.holders.entry(block).or_default().bodies.insert(id, Body { bytes: 0, end: end.clone() });
        Held { budget: self.clone(), block, id, end }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    /// Gives up the largest body of the address that holds most. Returns whether there was one.
    fn give_up_largest(&mut self) -> bool {
        let Some(holder) = self.holders.values_mut().max_by_key(|holder| holder.bytes) else { return false };
        // Of two bodies of the same size, the older one is given up.
        let largest = holder.bodies.iter_mut().max_by_key(|(id, body)| (body.bytes, std::cmp::Reverse(**id)));
        let Some((_, body)) = largest.filter(|(_, body)| body.bytes > 0) else { return false };
        let bytes = std::mem::take(&mut body.bytes);
        body.end.give_up();
        holder.bytes -= bytes;
        self.bytes -= bytes;
        self.given_up += 1;
        true
    }
}

/// One body's share of the budget. It is returned when this is dropped.
#[derive(Debug)]
pub(super) struct Held {
    budget: Arc<BodyBudget>,
    block: Block,
    id: u64,
    end: Arc<End>,
}

impl Held {
    /// Adds to what the body holds.
    ///
    /// # Errors
    /// `unavailable` if this body was given up, now or before.
    pub(super) fn grow(&self, bytes: u64) -> Result<(), Refusal> {
        let mut state = self.budget.lock();
        if self.is_given_up() {
            return Err(unavailable());
        }
        state.bytes += bytes;
        if let Some(holder) = state.holders.get_mut(&self.block) {
            holder.bytes += bytes;
            if let Some(body) = holder.bodies.get_mut(&self.id) {
                body.bytes += bytes;
            }
        }
        while state.bytes > self.budget.bytes_max() && state.give_up_largest() {}
        if self.is_given_up() { Err(unavailable()) } else { Ok(()) }
    }

    /// Sets what the body holds.
    ///
    /// # Errors
    /// As [`Held::grow`].
    pub(super) fn set(&self, bytes: u64) -> Result<(), Refusal> {
        let before = self.bytes();
        if bytes < before {
            self.shrink(before - bytes);
        }
        self.grow(bytes.saturating_sub(before))
    }

    fn bytes(&self) -> u64 {
        let state = self.budget.lock();
        state.holders.get(&self.block).and_then(|holder| holder.bodies.get(&self.id)).map_or(0, |body| body.bytes)
    }

    /// Subtracts from what the body holds.
    pub(super) fn shrink(&self, bytes: u64) {
        let mut state = self.budget.lock();
        let Some(holder) = state.holders.get_mut(&self.block) else { return };
        let Some(body) = holder.bodies.get_mut(&self.id) else { return };
        // A body that was given up counts for nothing.
        let bytes = bytes.min(body.bytes);
        body.bytes -= bytes;
        holder.bytes -= bytes;
        state.bytes -= bytes;
    }

    /// Makes it an answer that is written: if it is given up from now on, its connection ends.
    pub(super) fn is_written(&self) {
        self.end.is_written.store(true, Ordering::Relaxed);
        if self.is_given_up() {
            self.end.hang_up.notify_one();
        }
    }

    /// Returns whether this body has to release what it holds.
    pub(super) fn is_given_up(&self) -> bool {
        self.end.given_up.load(Ordering::Relaxed)
    }

    /// Waits until this body is given up.
    pub(super) async fn given_up(&self) {
        while !self.is_given_up() {
            self.end.told.notified().await;
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let mut state = self.budget.lock();
        let Some(holder) = state.holders.get_mut(&self.block) else { return };
        let bytes = holder.bodies.remove(&self.id).map_or(0, |body| body.bytes);
        holder.bytes -= bytes;
        if holder.bodies.is_empty() {
            state.holders.remove(&self.block);
        }
        state.bytes -= bytes;
    }
}

/// The answer to a request whose body was given up.
pub(super) fn unavailable() -> Refusal {
    let message = "the broker holds too many bodies at the moment, and this was the largest (bodies_bytes_max)".into();
    Refusal { code: ErrorCode::Unavailable, message }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn peer(address: &str) -> Peer {
        Peer::new(address.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn the_address_that_holds_most_loses_its_largest_body() {
        let budget = BodyBudget::new(100);
        let large = budget.hold(&peer("192.0.2.1"));
        let many: Vec<Held> = (0..4).map(|_| budget.hold(&peer("2001:db8::1"))).collect();
        let neighbour = budget.hold(&peer("2001:db8::2"));
        large.grow(40).unwrap();
        many.iter().for_each(|held| held.grow(10).unwrap());
        neighbour.grow(5).unwrap();
        assert_eq!(budget.bytes(), 85);
        // The two IPv6 addresses count as one, which holds 45: the first of the largest bodies is given up.
        let new = budget.hold(&peer("192.0.2.2"));
        new.grow(16).unwrap();
        assert!(many[0].is_given_up() && !large.is_given_up() && !new.is_given_up());
        assert_eq!((budget.bytes(), budget.given_up()), (91, 1));
        assert_eq!(many[0].grow(1).unwrap_err().code, ErrorCode::Unavailable);
        // Now the address with the large body holds most, and loses that body by growing it.
        assert_eq!(large.grow(10).unwrap_err().code, ErrorCode::Unavailable);
        assert_eq!(budget.bytes(), 51);
        many[1].shrink(4);
        assert_eq!(budget.bytes(), 47);
        drop((large, many, neighbour, new));
        assert_eq!(budget.bytes(), 0);
        assert!(budget.lock().holders.is_empty());
    }

    #[test]
    fn a_body_larger_than_the_budget_is_the_only_one_given_up() {
        let budget = BodyBudget::new(100);
        let (small, greedy) = (budget.hold(&peer("192.0.2.1")), budget.hold(&peer("192.0.2.1")));
        small.grow(10).unwrap();
        assert!(greedy.grow(1000).is_err());
        assert!(!small.is_given_up());
        assert_eq!(budget.bytes(), 10);
    }

    #[tokio::test]
    async fn an_answer_that_is_given_up_ends_its_connection() {
        let budget = BodyBudget::new(100);
        let (reader, other) = (peer("192.0.2.1"), budget.hold(&peer("192.0.2.2")));
        let answer = budget.hold(&reader);
        answer.grow(90).unwrap();
        answer.is_written();
        tokio::join!(reader.hang_up.notified(), async { other.grow(20).unwrap() });
    }

    #[tokio::test]
    async fn a_waiting_body_learns_that_it_is_given_up() {
        let budget = BodyBudget::new(100);
        let (waits, comes) = (budget.hold(&peer("192.0.2.1")), budget.hold(&peer("192.0.2.2")));
        waits.grow(90).unwrap();
        tokio::join!(waits.given_up(), async { comes.grow(20).unwrap() });
    }
}
