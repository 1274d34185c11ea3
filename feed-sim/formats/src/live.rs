//! A recording that is still being written while it is played: a pipe.
//!
//! A read from a pipe blocks until something is written. So a separate thread reads, as far ahead as there is room, and
//! the player can ask whether it would have to wait ([`Feed::poll_ready`]). A record that is only partly written stays
//! with the thread. The thread is never joined.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;

use feed_player::publication::{BadRecord, Counts, Feed, Timed};

/// The most bytes that the thread reads ahead; the player may hold as many again that it took over and has not played
/// yet. A single larger update is read nevertheless.
const AHEAD_BYTES_MAX: usize = 1 << 20;

/// An item, and the feed's counts after it. So the player's counts do not include what it has not played yet.
type Read = (Result<Timed, BadRecord>, Counts);

/// The feed of a pipe.
pub(super) struct Live {
    shared: Arc<Shared>,
    /// Taken over from the thread and not played yet.
    taken: VecDeque<Read>,
    counts: Counts,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    /// Signals each change of the state; both sides wait for it.
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// Appended to by the thread, emptied by the player.
    read: VecDeque<Read>,
    bytes: usize,
    /// Set by the thread when it ends, with the feed's last counts if it reached the end of the feed.
    over: Option<Option<Counts>>,
    /// Set by the player when it is dropped.
    abandoned: bool,
    /// Wakes the player when there is something to play.
    waker: Option<Waker>,
}

impl Live {
    /// Calls `open` and reads the feed on a thread of its own: opening already reads. `name` is for the report if it
    /// cannot be opened.
    pub(super) fn new<F: Feed>(
        name: String,
        open: impl FnOnce() -> io::Result<F> + Send + 'static,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared::default());
        let writer = Writer(shared.clone());
        thread::Builder::new().name("recording".to_owned()).spawn(move || match open() {
            Ok(feed) => writer.pass_on(feed),
            Err(error) => {
                let bad = BadRecord { position: name, reason: error.to_string(), ends_recording: true };
                writer.push(Err(bad), Counts::default());
            }
        })?;
        Ok(Live { shared, taken: VecDeque::new(), counts: Counts::default() })
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        self.changed.wait(state).unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes over what was read. Returns whether there is something, or nothing will come any more.
    fn take_over(&self, state: &mut State, taken: &mut VecDeque<Read>) -> bool {
        if state.read.is_empty() {
            return state.over.is_some();
        }
        std::mem::swap(&mut state.read, taken);
        state.bytes = 0;
        self.changed.notify_all();
        true
    }
}

/// The thread's side. It notifies the player when the thread ends, for any reason.
struct Writer(Arc<Shared>);

impl Writer {
    fn pass_on(&self, mut feed: impl Feed) {
        while let Some(item) = feed.next() {
            if !self.push(item, feed.counts()) {
                return;
            }
        }
        self.0.lock().over = Some(Some(feed.counts()));
    }

    /// Appends an item when there is room. Returns false if the player is gone.
    fn push(&self, item: Result<Timed, BadRecord>, counts: Counts) -> bool {
        let bytes = item.as_ref().map_or(0, |timed| timed.publication.bytes());
        let mut state = self.0.lock();
        while state.bytes + bytes > AHEAD_BYTES_MAX && !state.read.is_empty() && !state.abandoned {
            state = self.0.wait(state);
        }
        state.bytes += bytes;
        state.read.push_back((item, counts));
        self.notify(&mut state);
        !state.abandoned
    }

    fn notify(&self, state: &mut State) {
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
        self.0.changed.notify_all();
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.over.get_or_insert(None);
        self.notify(&mut state);
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.shared.lock().abandoned = true;
        self.shared.changed.notify_all();
    }
}

impl Iterator for Live {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.taken.is_empty() {
            let mut state = self.shared.lock();
            while !self.shared.take_over(&mut state, &mut self.taken) {
                state = self.shared.wait(state);
            }
            if self.taken.is_empty() {
                self.counts = state.over.flatten().unwrap_or(self.counts);
            }
        }
        let (item, counts) = self.taken.pop_front()?;
        self.counts = counts;
        Some(item)
    }
}

impl Feed for Live {
    fn counts(&self) -> Counts {
        self.counts
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if !self.taken.is_empty() {
            return Poll::Ready(());
        }
        let mut state = self.shared.lock();
        if self.shared.take_over(&mut state, &mut self.taken) {
            return Poll::Ready(());
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed_player::publication::{Kind, Publication};

    /// A feed of `left` more updates.
    struct Updates {
        left: u64,
        made: u64,
    }

    impl Iterator for Updates {
        type Item = Result<Timed, BadRecord>;

        fn next(&mut self) -> Option<Self::Item> {
            self.left = self.left.checked_sub(1)?;
            self.made += 1;
            let publication = Publication::new("a.b", Kind::Event, self.made.to_string());
            Some(Ok(Timed { due_us: self.made, publication }))
        }
    }

    impl Feed for Updates {
        fn counts(&self) -> Counts {
            Counts { records: self.made, ..Counts::default() }
        }
    }

    #[test]
    fn everything_comes_in_order_and_no_further_ahead_than_there_is_room() {
        let updates = 4 * AHEAD_BYTES_MAX as u64 / 145;
        let mut live = Live::new("it".into(), move || Ok(Updates { left: updates, made: 0 })).expect("a thread");
        for number in 1..=updates {
            let timed = live.next().expect("not over").expect("good");
            assert_eq!((timed.due_us, live.counts().records), (number, number), "counted as they are taken");
            assert!(live.shared.lock().bytes <= AHEAD_BYTES_MAX);
        }
        assert!(live.next().is_none() && live.next().is_none());
        assert_eq!(live.counts().records, updates);
    }

    #[test]
    fn what_cannot_be_opened_ends_it() {
        let mut live = Live::new("it".into(), || Err::<Updates, _>(io::Error::other("no"))).expect("a thread");
        let bad = live.next().expect("not over").expect_err("bad");
        assert_eq!((bad.to_string().as_str(), bad.ends_recording), ("it: no", true));
        assert!(live.next().is_none());
    }

    #[test]
    fn dropping_the_player_stops_the_thread() {
        let live = Live::new("it".into(), || Ok(Updates { left: u64::MAX, made: 0 })).expect("a thread");
        let shared = Arc::downgrade(&live.shared);
        drop(live);
        while shared.strong_count() > 0 {
            thread::yield_now();
        }
    }
}
