//! The broker's authority on tokens: which keys, roles and revocations count now.
//!
//! ```text
//! settings, roles ──────────────┐
//! files (keys, secret, revoked) ┼─▶ Tokens ─▶ Authority, swapped whole, read without a lock by every thread
//! the issuer's address (JWKS) ──┘
//! ```
//!
//! Files are read at the start, where a wrong one stops it, and again when their content has changed, where a wrong one
//! changes nothing. The keys at an address are fetched one at a time for the whole set: regularly, and once more when a
//! token names a key that is not known, at most once in `jwks_cooldown_ms` for all such tokens together. So nobody can
//! make the broker ask the issuer more often.

mod counts;
mod fetch;
mod files;
mod held;
mod schedule;
#[cfg(test)]
mod tests;
mod url;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use broker_engine::Now;
use broker_identity::{Authority, BadToken, Identity};
use tokio::sync::{Notify, watch};

pub use self::counts::Counts;
use self::fetch::FETCH_TIME_MAX;
pub use self::files::{Prepared, Sources};
use self::held::Held;
use self::schedule::Wish;
pub use self::url::KeysUrl;

/// The authority, and what it is made from.
pub struct Tokens {
    current: ArcSwap<Authority>,
    held: Mutex<Held>,
    counts: Counts,
    now: fn() -> Now,
    /// How often files are looked at; `None` is never.
    files_every: Option<Duration>,
    /// Something is to be done before its time.
    wake: Notify,
    /// The number of fetches that ended.
    fetched: watch::Sender<u64>,
    /// The number of times that the authority was swapped.
    swapped: watch::Sender<u64>,
}

impl Tokens {
    /// Makes an authority from files that were read. It neither looks at them again nor fetches keys until it
    /// [runs](Self::run).
    pub fn new(prepared: Prepared, now: fn() -> Now, files_every: Option<Duration>) -> Arc<Tokens> {
        let held = Held::new(prepared, now().mono_us / 1000);
        Arc::new(Tokens {
            current: ArcSwap::from_pointee(held.authority()),
            held: Mutex::new(held),
            counts: Counts::default(),
            now,
            files_every,
            wake: Notify::new(),
            fetched: watch::Sender::new(0),
            swapped: watch::Sender::new(0),
        })
    }

    /// The authority that counts now.
    pub fn authority(&self) -> Arc<Authority> {
        self.current.load_full()
    }

    /// The number of times that the authority was swapped. What it said before a swap may not count any more.
    pub fn as_of(&self) -> u64 {
        *self.swapped.borrow()
    }

    /// Whether there is an address that keys are fetched from.
    pub fn fetches_keys(&self) -> bool {
        self.held().fetches_keys()
    }

    /// Tells whoever waits for it that the authority was swapped. What identities give may have changed then.
    pub fn swaps(&self) -> watch::Receiver<u64> {
        self.swapped.subscribe()
    }

    /// Everything that is counted.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Says who has a token, without waiting. Whether a token is good whose key is not known, or not fetched yet, is
    /// decided by [`authenticate_waiting`](Self::authenticate_waiting), so it is not counted here.
    ///
    /// # Errors
    /// Why the token is refused.
    pub fn authenticate(&self, token: &str) -> Result<Arc<Identity>, BadToken> {
        let result = self.look(token);
        if !needs_keys(&result) || self.wish() == Wish::Never {
            self.counts.count(&result);
        }
        result
    }

    /// Says who has a token. If a fetch of keys may bring the one that verifies it, waits for the fetch, which takes a
    /// bounded time.
    ///
    /// # Errors
    /// Why the token is refused.
    pub async fn authenticate_waiting(&self, token: &str) -> Result<Arc<Identity>, BadToken> {
        // Before the first look, so that no end of a fetch is missed.
        let mut fetched = self.fetched.subscribe();
        let mut result = self.look(token);
        if needs_keys(&result) && self.wish() == Wish::Soon {
            // Its time is bounded. What comes before it, a look at the files, is quick.
            let _ = tokio::time::timeout(2 * FETCH_TIME_MAX, fetched.changed()).await;
            result = self.look(token);
        }
        self.counts.count(&result);
        result
    }

    fn look(&self, token: &str) -> Result<Arc<Identity>, BadToken> {
        self.current.load().authenticate(token, (self.now)().wall_us / 1000)
    }

    /// Wishes for a fetch.
    fn wish(&self) -> Wish {
        let wish = self.held().wish((self.now)().mono_us / 1000);
        if wish == Wish::Soon {
            self.wake.notify_one();
        }
        wish
    }

    /// Takes a new configuration, whose files were read without a problem.
    pub fn replace(&self, prepared: Prepared) {
        let mut held = self.held();
        held.replace(prepared, (self.now)().mono_us / 1000);
        self.swap(&held);
        drop(held);
        self.wake.notify_one();
    }

    /// Puts the authority of all this in force. Its lock is held, so that no older one follows a newer one.
    fn swap(&self, held: &Held) {
        self.current.store(Arc::new(held.authority()));
        self.swapped.send_modify(|count| *count += 1);
    }

    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks at the files, and fetches keys, for ever.
    pub async fn run(self: Arc<Tokens>) {
        let mut look_ms = self.files_every.map(|every| self.mono_ms() + every.as_millis() as u64);
        loop {
            let next_ms = {
                let held = self.held();
                [held.due_ms(), held.stale_ms(), look_ms].into_iter().flatten().min()
            };
            let pause = next_ms.map(|next| Duration::from_millis(next.saturating_sub(self.mono_ms())));
            tokio::select! {
                () = self.wake.notified() => {}
                () = sleep(pause) => {}
            }
            if let Some(every) = self.files_every.filter(|_| look_ms.is_some_and(|look| look <= self.mono_ms())) {
                self.look_at_files().await;
                look_ms = Some(self.mono_ms() + every.as_millis() as u64);
            }
            if self.held().due_ms().is_some_and(|due| due <= self.mono_ms()) {
                self.fetch().await;
            }
            self.drop_stale();
        }
    }

    fn mono_ms(&self) -> u64 {
        (self.now)().mono_us / 1000
    }

    /// Reads the files again, on a thread that may wait for a disk.
    async fn look_at_files(&self) {
        let seen = self.held().seen();
        let Ok(news) = tokio::task::spawn_blocking(move || seen.look()).await else { return };
        let mut held = self.held();
        if held.take_news(news) {
            self.swap(&held);
        }
    }

    async fn fetch(&self) {
        let Some(fetch) = self.held().begin_fetch(self.mono_ms()) else { return };
        let fetched = fetch.run().await;
        self.counts.count_fetch(fetched.is_ok());
        let mut held = self.held();
        if held.end_fetch(&fetch.url, fetched, self.mono_ms()) {
            self.swap(&held);
        }
        drop(held);
        self.fetched.send_modify(|count| *count += 1);
    }

    /// Forgets fetched keys that are too old.
    fn drop_stale(&self) {
        let mut held = self.held();
        if held.drop_stale(self.mono_ms()) {
            self.swap(&held);
        }
    }

    /// The state of keys and files, for metrics.
    pub fn state(&self) -> State {
        self.held().state()
    }
}

/// What metrics show of the keys and files.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct State {
    /// Keys that verify tokens.
    pub keys: u64,
    /// Entries of the revocation file.
    pub revoked: u64,
    /// Whether the last look at the file of keys, or of the secret, failed.
    pub keys_failed: bool,
    /// Whether the last look at the revocation file failed.
    pub revoked_failed: bool,
    /// Whether the last fetch failed.
    pub fetch_failed: bool,
}

fn needs_keys(result: &Result<Arc<Identity>, BadToken>) -> bool {
    matches!(result, Err(BadToken::UnknownKey | BadToken::KeysUnavailable))
}

async fn sleep(pause: Option<Duration>) {
    match pause {
        Some(pause) => tokio::time::sleep(pause).await,
        None => std::future::pending().await,
    }
}
