//! The sockets that speak HTTP. Their number is bounded, and no client keeps others out by holding them.
//!
//! Most are open for a few milliseconds, for a handshake or a request. When the bound is reached, a client is holding
//! sockets: then, of the address that has most, the socket that began its request, or its wait for one, longest ago is
//! evicted.
//!
//! A proxy's sockets are not one client's: each counts for the client whose request was last on it, and alone until
//! there is one. So the many sockets of a proxy do not make it the address that has most.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;

use crate::address::Block;
use crate::clock::now;
use crate::sync::lock;

/// A socket that began less than this ago is not evicted: in a burst of handshakes all are busy, and those that are
/// done make room.
const AGE_MIN: Duration = Duration::from_millis(250);

/// The bound, and the sockets that count against it.
#[derive(Debug)]
pub(crate) struct HttpSockets {
    max: AtomicUsize,
    state: Mutex<State>,
    /// Notified when a socket has left.
    left: Notify,
}

#[derive(Debug, Default)]
struct State {
    count: usize,
    evicted: u64,
    next: u64,
    holders: HashMap<Holder, HashMap<u64, Arc<Slot>>>,
}

/// Whom a socket counts for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Holder {
    Client(Block),
    /// Nobody yet: it is a proxy's. The number is the socket's own.
    Proxy(u64),
}

/// One socket.
#[derive(Debug)]
struct Slot {
    /// Ends the connection.
    hang_up: Arc<Notify>,
    /// When it began its request, or to wait for one, on the monotonic clock; 0 once it was evicted.
    begun_us: AtomicU64,
}

/// Counts a socket against the bound until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    sockets: Arc<HttpSockets>,
    /// Changed only by the socket's own task.
    holder: Mutex<Holder>,
    id: u64,
    slot: Arc<Slot>,
}

impl HttpSockets {
    /// Bounds the sockets to `max`, at least one.
    pub(crate) fn new(max: usize) -> Arc<Self> {
        Arc::new(Self { max: AtomicUsize::new(max.max(1)), state: Mutex::default(), left: Notify::new() })
    }

    /// The most sockets at the same time.
    pub(crate) fn max(&self) -> usize {
        self.max.load(Ordering::Relaxed)
    }

    /// Changes the bound, to at least one. Sockets over a lower one stay, and no other enters until enough have left.
    pub(crate) fn change_max(&self, max: usize) {
        self.max.store(max.max(1), Ordering::Relaxed);
        self.left.notify_waiters();
    }

    /// The sockets that are there now.
    pub(crate) fn count(&self) -> usize {
        self.lock().count
    }

    /// Sockets that were evicted since the start.
    pub(crate) fn evicted(&self) -> u64 {
        self.lock().evicted
    }

    /// Counts an accepted socket, as soon as there is room for it: for this client, or for nobody yet if a proxy opened
    /// it.
    pub(crate) async fn enter(self: &Arc<Self>, client: Option<Block>) -> Place {
        loop {
            let left = self.left.notified();
            match self.try_enter(client) {
                Ok(place) => return place,
                // After this pause at the latest, a socket may be evicted.
                Err(pause) => _ = timeout(pause, left).await,
            }
        }
    }

    fn try_enter(self: &Arc<Self>, client: Option<Block>) -> Result<Place, Duration> {
        let mut state = self.lock();
        if state.count >= self.max() {
            return Err(state.make_room(now().mono_us));
        }
        let id = state.next;
        let holder = client.map_or(Holder::Proxy(id), Holder::Client);
        let slot = Arc::new(Slot { hang_up: Arc::default(), begun_us: AtomicU64::new(now().mono_us) });
        state.next += 1;
        state.count += 1;
        state.add(holder, id, slot.clone());
        Ok(Place { sockets: self.clone(), holder: Mutex::new(holder), id, slot })
    }

    /// Makes all sockets hang up.
    pub(crate) fn hang_up(&self) {
        let state = self.lock();
        state.holders.values().flat_map(HashMap::values).for_each(|slot| slot.hang_up.notify_one());
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn add(&mut self, holder: Holder, id: u64, slot: Arc<Slot>) {
        self.holders.entry(holder).or_default().insert(id, slot);
    }

    fn remove(&mut self, holder: Holder, id: u64) {
        if let Some(slots) = self.holders.get_mut(&holder) {
            slots.remove(&id);
            if slots.is_empty() {
                self.holders.remove(&holder);
            }
        }
    }

    /// Evicts a socket if one has been there long enough. Returns the time after which to look again.
    fn make_room(&mut self, now_us: u64) -> Duration {
        let stays = |slot: &&Arc<Slot>| slot.begun_us.load(Ordering::Relaxed) > 0;
        let begun_us = |slot: &Arc<Slot>| slot.begun_us.load(Ordering::Relaxed);
        let most = self.holders.values().max_by_key(|slots| {
            let staying = || slots.values().filter(stays);
            (staying().count(), std::cmp::Reverse(staying().map(begun_us).min()))
        });
        let slots = most.into_iter().flat_map(HashMap::values).filter(stays);
        let Some(oldest) = slots.min_by_key(|slot| begun_us(slot)) else { return AGE_MIN };
        let age = Duration::from_micros(now_us.saturating_sub(begun_us(oldest)));
        if age < AGE_MIN {
            return AGE_MIN - age;
        }
        oldest.begun_us.store(0, Ordering::Relaxed);
        oldest.hang_up.notify_one();
        self.evicted += 1;
        AGE_MIN
    }
}

impl Place {
    /// Marks its socket as the first to be evicted: its last answer was sent, and it is there only until the client has
    /// it.
    pub(crate) fn evict_first(&self) {
        let _ = self.slot.begun_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |us| (us > 0).then_some(1));
    }

    /// Is notified when its connection has to end.
    pub(crate) fn hang_up(&self) -> &Arc<Notify> {
        &self.slot.hang_up
    }

    /// Counts its socket for this client from now on.
    pub(crate) fn is_held_by(&self, client: Block) {
        let mut holder = lock(&self.holder);
        let (old, new) = (*holder, Holder::Client(client));
        if old != new {
            let mut state = self.sockets.lock();
            state.remove(old, self.id);
            state.add(new, self.id, self.slot.clone());
            *holder = new;
        }
    }

    /// Notes that an answer was sent, so that the wait for the next request begins now.
    pub(crate) fn begin_anew(&self) {
        // An evicted socket stays evicted.
        let now_us = now().mono_us;
        let _ = self.slot.begun_us.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |us| (us > 0).then_some(now_us));
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.sockets.lock();
        state.count -= 1;
        state.remove(*lock(&self.holder), self.id);
        drop(state);
        self.sockets.left.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Option<Block> {
        Some(Block::of(address.parse().unwrap()))
    }

    fn begun(place: &Place, us: u64) {
        place.slot.begun_us.store(us, Ordering::Relaxed);
    }

    #[tokio::test]
    async fn the_oldest_socket_of_the_address_with_most_is_evicted() {
        let sockets = HttpSockets::new(4);
        let lone = sockets.enter(client("192.0.2.1")).await;
        let mut many = Vec::new();
        for _ in 0..3 {
            many.push(sockets.enter(client("2001:db8::7")).await);
        }
        begun(&lone, 1_000_000);
        begun(&many[0], 3_000_000);
        begun(&many[1], 2_000_000);
        begun(&many[2], 4_000_000);
        // No socket has been there long enough.
        assert_eq!(sockets.lock().make_room(2_100_000), AGE_MIN - Duration::from_millis(100));
        assert_eq!(sockets.evicted(), 0);
        // Later one is evicted, and the next one in its turn.
        for (at_us, gone) in [(5_000_000, 1), (5_000_000, 0)] {
            sockets.lock().make_room(at_us);
            many[gone].hang_up().notified().await;
        }
        assert_eq!(sockets.evicted(), 2);
        // An answer at the last moment changes nothing.
        many[1].begin_anew();
        assert_eq!(many[1].slot.begun_us.load(Ordering::Relaxed), 0);
        assert_eq!(sockets.count(), 4);
        drop((lone, many));
        assert_eq!(sockets.count(), 0);
        assert!(sockets.lock().holders.is_empty());
    }

    #[tokio::test]
    async fn a_proxys_sockets_count_for_its_clients() {
        let sockets = HttpSockets::new(8);
        let (one, other) = (client("192.0.2.1").unwrap(), client("192.0.2.2").unwrap());
        let mut places = Vec::new();
        for at_us in 1..=8 {
            let place = sockets.enter(None).await;
            begun(&place, at_us);
            places.push(place);
        }
        places[5].is_held_by(one);
        places[6].is_held_by(other);
        places[6].is_held_by(one);
        // The client with two loses the older one, although the proxy has six, and all of them are older.
        sockets.lock().make_room(1_000_000);
        places[5].hang_up().notified().await;
        // Now all have one: the oldest goes.
        sockets.lock().make_room(1_000_000);
        places[0].hang_up().notified().await;
        drop(places);
        assert_eq!((sockets.count(), sockets.evicted()), (0, 2));
        assert!(sockets.lock().holders.is_empty());
    }

    #[tokio::test]
    async fn a_new_socket_waits_until_another_leaves() {
        let sockets = HttpSockets::new(1);
        let first = sockets.enter(client("192.0.2.1")).await;
        let hang_up = first.hang_up().clone();
        let second = async { sockets.enter(client("192.0.2.2")).await };
        let first = async {
            hang_up.notified().await;
            drop(first);
        };
        let (second, ()) = tokio::join!(second, first);
        assert_eq!((sockets.count(), sockets.evicted()), (1, 1));
        drop(second);
    }
}
