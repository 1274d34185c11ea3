//! The state that the program's handles and the connection's task share.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{broadcast, watch};

use crate::authenticated::Authenticated;
use crate::connection_event::{ConnectionEvent, ConnectionEvents};
use crate::error::{ClosedReason, PublishError, UnacknowledgedError};
use crate::hello::Hello;
use crate::options::Options;
use crate::outbox::Outbox;
use crate::sync::lock;
use crate::token::{Secret, TokenError};
use crate::wire::entry::Entry;

/// Connection events kept for a receiver that falls behind.
const EVENTS_KEPT: usize = 256;

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) outbox: Outbox,
    counters: [AtomicU64; 4],
    hello: Mutex<Arc<Hello>>,
    url: Mutex<Arc<str>>,
    authenticated: Mutex<Option<Arc<Authenticated>>>,
    /// The last token, so that no text shows it.
    token: Mutex<Option<Secret>>,
    watchers: Mutex<Watchers>,
    phase: watch::Sender<Phase>,
    subscriptions: AtomicU64,
}

#[derive(Debug)]
struct Watchers {
    /// The `Connected` of the current connection. A new receiver gets it first.
    current: Option<ConnectionEvent>,
    /// Since when the broker of the current connection is stale, if it is. A new receiver gets it second.
    stale_since: Option<u64>,
    /// `None` once the client is over, so that receivers end.
    events: Option<broadcast::Sender<ConnectionEvent>>,
}

/// The client's phase of life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Open,
    /// No new calls are accepted; those accepted before are being finished.
    Closing,
    Over,
}

/// Counts of what went wrong since the client began.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Counters {
    /// Connections that replaced a lost one, or one that was left for a better broker.
    pub reconnects: u64,
    /// Violations of continuity.
    pub violations: u64,
    /// Updates published without waiting for an answer that were refused.
    pub unacknowledged_refused: u64,
    /// Updates published without waiting and without a source, whose answer was lost with a connection: they may or may
    /// not have been published.
    pub unacknowledged_unanswered: u64,
}

#[derive(Debug, Clone, Copy)]
pub(crate) enum Count {
    Reconnects,
    Violations,
    Refused,
    Unanswered,
}

impl Shared {
    /// `hello` is that of the first connection, `url` its address.
    pub(crate) fn new(options: Options, hello: Hello, url: &str) -> Shared {
        let current = ConnectionEvent::Connected { session: hello.session.clone(), resumed: false };
        let events = Some(broadcast::channel(EVENTS_KEPT).0);
        Shared {
            outbox: Outbox::new(options.outgoing_bytes_max),
            options,
            counters: Default::default(),
            hello: Mutex::new(Arc::new(hello)),
            url: Mutex::new(url.into()),
            authenticated: Mutex::default(),
            token: Mutex::default(),
            watchers: Mutex::new(Watchers { current: Some(current), stale_since: None, events }),
            phase: watch::Sender::new(Phase::Open),
            subscriptions: AtomicU64::new(0),
        }
    }

    pub(crate) fn hello(&self) -> Arc<Hello> {
        lock(&self.hello).clone()
    }

    pub(crate) fn url(&self) -> Arc<str> {
        lock(&self.url).clone()
    }

    /// Records the `hello` of another connection, and its address.
    pub(crate) fn set_hello(&self, hello: Hello, url: &str) {
        *lock(&self.hello) = Arc::new(hello);
        *lock(&self.url) = url.into();
    }

    pub(crate) fn authenticated(&self) -> Option<Arc<Authenticated>> {
        lock(&self.authenticated).clone()
    }

    /// Records whom the broker takes this client for. Returns whether that is news.
    pub(crate) fn set_authenticated(&self, who: &Authenticated) -> bool {
        let mut known = lock(&self.authenticated);
        let is_news = known.as_deref() != Some(who);
        *known = Some(Arc::new(who.clone()));
        is_news
    }

    /// Begins a connection with this token.
    pub(crate) fn begin(&self, token: Option<Secret>) {
        *lock(&self.authenticated) = None;
        *lock(&self.token) = token;
    }

    /// Asks for the token, to renew it.
    pub(crate) async fn ask_token(&self) -> Result<Option<Secret>, TokenError> {
        let token = self.options.token.ask().await?;
        lock(&self.token).clone_from(&token);
        Ok(token)
    }

    /// A text without the token, in case someone has written it there.
    pub(crate) fn without_token(&self, text: &str) -> String {
        lock(&self.token).as_ref().map_or_else(|| text.to_owned(), |token| token.hide(text))
    }

    pub(crate) fn next_subscription(&self) -> u64 {
        self.subscriptions.fetch_add(1, Ordering::Relaxed)
    }

    pub(crate) fn count(&self, what: Count, number: u64) {
        self.counters[what as usize].fetch_add(number, Ordering::Relaxed);
    }

    pub(crate) fn counters(&self) -> Counters {
        let [reconnects, violations, unacknowledged_refused, unacknowledged_unanswered] =
            [0, 1, 2, 3].map(|index: usize| self.counters[index].load(Ordering::Relaxed));
        Counters { reconnects, violations, unacknowledged_refused, unacknowledged_unanswered }
    }

    /// Sends an event to the program's receivers.
    pub(crate) fn report(&self, event: ConnectionEvent) {
        let mut watchers = self.watchers();
        match &event {
            ConnectionEvent::Connected { .. } => watchers.current = Some(event.clone()),
            ConnectionEvent::Disconnected { .. } | ConnectionEvent::Closed(_) => {
                (watchers.current, watchers.stale_since) = (None, None);
            }
            ConnectionEvent::Stale { since } => watchers.stale_since = Some(*since),
            ConnectionEvent::Fresh => watchers.stale_since = None,
            _ => {}
        }
        if let Some(events) = &watchers.events {
            // An error only means that there are no receivers.
            let _ = events.send(event);
        }
    }

    pub(crate) fn is_stale(&self) -> bool {
        self.watchers().stale_since.is_some()
    }

    /// Records that the broker is stale. Returns whether that is news.
    pub(crate) fn stale(&self, since: u64) -> bool {
        let is_news = !self.is_stale();
        if is_news {
            self.report(ConnectionEvent::Stale { since });
        }
        is_news
    }

    /// Records that the broker is not stale.
    pub(crate) fn fresh(&self) {
        if self.is_stale() {
            self.report(ConnectionEvent::Fresh);
        }
    }

    pub(crate) fn events(&self) -> ConnectionEvents {
        let watchers = self.watchers();
        let events = match &watchers.events {
            Some(events) => events.subscribe(),
            None => broadcast::channel(1).1,
        };
        let stale = watchers.stale_since.map(|since| ConnectionEvent::Stale { since });
        ConnectionEvents { current: watchers.current.clone().into_iter().chain(stale).collect(), events }
    }

    fn watchers(&self) -> MutexGuard<'_, Watchers> {
        lock(&self.watchers)
    }

    /// Counts and reports the failure of an update whose caller does not wait.
    pub(crate) fn unacknowledged(&self, entry: &Entry, error: PublishError) {
        let lost = matches!(error, PublishError::Unanswered);
        self.count(if lost { Count::Unanswered } else { Count::Refused }, 1);
        let (topic, kind) = entry.topic_and_kind();
        self.report(ConnectionEvent::Unacknowledged(UnacknowledgedError { topic, kind, error }));
    }

    /// Stops accepting calls, finishes those accepted before, and closes.
    pub(crate) fn close(&self) {
        self.phase.send_if_modified(|phase| {
            let was_open = *phase == Phase::Open;
            if was_open {
                *phase = Phase::Closing;
            }
            was_open
        });
        if self.outbox.closed().is_none() {
            self.outbox.close(ClosedReason::Here);
        }
    }

    /// Ends the client, and wakes the callers that wait for its end.
    pub(crate) fn end(&self, reason: ClosedReason) {
        self.report(ConnectionEvent::Closed(reason));
        self.watchers().events = None;
        self.phase.send_replace(Phase::Over);
    }

    pub(crate) fn is_closing(&self) -> bool {
        *self.phase.borrow() != Phase::Open
    }

    /// Waits until the client is closing, or is over.
    pub(crate) async fn closing(&self) {
        // The sender is a field of `self`, so it is not dropped while this waits.
        let _ = self.phase.subscribe().wait_for(|phase| *phase != Phase::Open).await;
    }

    /// Waits until the client is over.
    pub(crate) async fn finished(&self) {
        let _ = self.phase.subscribe().wait_for(|phase| *phase == Phase::Over).await;
    }
}
