//! The life of a client: connection after connection, until the program closes it or the broker closes it for good.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker_protocol::CloseReason;

use crate::book::{Book, Delivery};
use crate::connection_event::ConnectionEvent;
use crate::error::{ClosedReason, ConnectError};
use crate::handle::Handle;
use crate::options::Options;
use crate::reconnect::{Attempts, Next, Refusals, after};
use crate::run::{deliver_rest, run};
use crate::shared::{Count, Shared};
use crate::sync::lock;
use crate::transport::{self, Connection, Connector};

/// The HTTP status that refuses a handshake without a valid token.
const UNAUTHORIZED: u16 = 401;

/// Makes the first connection, and starts the task that owns it and its successors.
pub(crate) async fn start(options: Options) -> Result<Handle, ConnectError> {
    let connector = Connector::default();
    let mut refusals = Refusals::default();
    let connection = loop {
        match transport::connect(&options, &connector).await {
            Err(error) if is_about_token(&error) && options.token.can_change() && refusals.refused() => {}
            other => break other?,
        }
    };
    let shared = Arc::new(Shared::new(options, connection.hello.clone()));
    tokio::spawn(drive(shared.clone(), connector, connection));
    Ok(Handle(shared))
}

async fn drive(shared: Arc<Shared>, connector: Connector, first: Connection) {
    let book = Mutex::new(Book::default());
    let mut deliveries = VecDeque::new();
    let reason = tokio::select! {
        reason = live(&shared, &book, &connector, first, &mut deliveries) => reason,
        () = close_timeout(&shared) => ClosedReason::Here,
    };
    // No call is accepted any more, and the callers that still wait get an error.
    shared.outbox.close(reason.clone());
    book.into_inner().unwrap_or_else(PoisonError::into_inner).close(&shared, &reason);
    // The callers are answered first: the reader of a full queue may be one of them.
    deliver_rest(&shared, &mut deliveries).await;
    shared.end(reason);
}

/// Returns `close_timeout_ms` after closing began.
async fn close_timeout(shared: &Shared) {
    shared.closing().await;
    tokio::time::sleep(Duration::from_millis(shared.options.close_timeout_ms)).await;
}

async fn live(
    shared: &Shared,
    book: &Mutex<Book>,
    connector: &Connector,
    first: Connection,
    deliveries: &mut VecDeque<Delivery>,
) -> ClosedReason {
    let backoff = shared.options.backoff;
    let mut connection = first;
    let mut attempts = Attempts::default();
    let mut refusals = Refusals::default();
    loop {
        shared.begin(connection.token.clone());
        lock(book).connected(connection.hello.limits, connection.token.take());
        let began = Instant::now();
        let mut end = run(shared, book, connection, deliveries).await;
        end.reason = shared.without_token(&end.reason);
        attempts.ended(lock(book).is_restored(), began.elapsed(), &backoff);
        let accepted = lock(book).is_authenticated();
        if accepted {
            refusals.accepted();
        }
        lock(book).lost(shared);

        if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
            return ClosedReason::Here;
        }
        let next = after(end.code);
        let is_refused = next == Next::WithAnotherToken;
        if next == Next::Never || (is_refused && !may_try_another_token(shared, &mut refusals)) {
            report_lost(shared, end.reason.clone(), end.code, None);
            return for_good(end.code.unwrap_or_default(), end.reason);
        }
        let wait_ms = match (next, end.after_ms) {
            (Next::WithAnotherToken, _) if Refusals::is_at_once(accepted, began.elapsed()) => 0,
            (Next::Later, None) => backoff.delay_ms(u32::MAX, rand::random()),
            (_, Some(after_ms)) => backoff.delay_after_ms(after_ms, rand::random()),
            (_, None) => backoff.delay_ms(attempts.next(), rand::random()),
        };
        report_lost(shared, end.reason, end.code, Some(wait_ms));
        let reconnected = reconnect(shared, book, connector, wait_ms, &mut attempts, &mut refusals);
        tokio::pin!(reconnected);
        // Meanwhile the program may read what is left.
        let reconnected = tokio::select! {
            reconnected = &mut reconnected => reconnected,
            () = deliver_rest(shared, deliveries) => reconnected.await,
        };
        connection = match reconnected {
            Ok(connection) => connection,
            Err(closed) => return closed,
        };
        shared.count(Count::Reconnects, 1);
        shared.set_hello(connection.hello.clone());
        shared.report(ConnectionEvent::Connected { session: connection.hello.session.clone(), resumed: true });
    }
}

/// Makes attempts until one succeeds, the first after `wait_ms`. Returns why the client ends if there are no more.
async fn reconnect(
    shared: &Shared,
    book: &Mutex<Book>,
    connector: &Connector,
    mut wait_ms: u64,
    attempts: &mut Attempts,
    refusals: &mut Refusals,
) -> Result<Connection, ClosedReason> {
    let backoff = shared.options.backoff;
    loop {
        attempts.begun();
        pause(shared, wait_ms).await;
        if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
            return Err(ClosedReason::Here);
        }
        match transport::connect(&shared.options, connector).await {
            Ok(connection) => return Ok(connection),
            Err(error) if is_about_token(&error) => {
                if !may_try_another_token(shared, refusals) {
                    return Err(ClosedReason::Unauthenticated { reason: reason_of(error).into() });
                }
                wait_ms = 0;
            }
            Err(ConnectError::Closed { code, reason, .. }) if after(Some(code)) == Next::Never => {
                return Err(for_good(code, reason));
            }
            Err(error) => {
                wait_ms = match &error {
                    ConnectError::Refused { retry_after_ms: Some(after_ms), .. } => {
                        backoff.delay_after_ms(*after_ms, rand::random())
                    }
                    ConnectError::Closed { code, .. } if after(Some(*code)) == Next::Later => {
                        backoff.delay_ms(u32::MAX, rand::random())
                    }
                    _ => backoff.delay_ms(attempts.next(), rand::random()),
                };
                let reason = one_line(&error);
                shared.report(ConnectionEvent::AttemptFailed { reason, retry_ms: wait_ms });
            }
        }
    }
}

/// Records that the broker refused the token. Returns whether another one may be tried.
fn may_try_another_token(shared: &Shared, refusals: &mut Refusals) -> bool {
    refusals.refused() && shared.options.token.can_change()
}

/// Whether the broker refused an attempt because of its token.
fn is_about_token(error: &ConnectError) -> bool {
    match error {
        ConnectError::Refused { status, .. } => *status == UNAUTHORIZED,
        ConnectError::Closed { code, .. } => *code == CloseReason::Unauthenticated.code(),
        _ => false,
    }
}

/// The broker's own words.
fn reason_of(error: ConnectError) -> String {
    match error {
        ConnectError::Refused { body: reason, .. } | ConnectError::Closed { reason, .. } => reason,
        other => one_line(&other),
    }
}

/// Waits, at most until the client is closed.
async fn pause(shared: &Shared, wait_ms: u64) {
    let waited = tokio::time::sleep(Duration::from_millis(wait_ms));
    if shared.is_closing() {
        waited.await;
    } else {
        tokio::select! {
            () = waited => {}
            () = shared.closing() => {}
        }
    }
}

fn report_lost(shared: &Shared, reason: String, code: Option<u16>, retry_ms: Option<u64>) {
    tracing::info!(%reason, ?code, ?retry_ms, "connection lost");
    shared.report(ConnectionEvent::Disconnected { reason, code, retry_ms });
}

fn for_good(code: u16, reason: String) -> ClosedReason {
    match code == CloseReason::Unauthenticated.code() {
        true => ClosedReason::Unauthenticated { reason: reason.into() },
        false => ClosedReason::ByBroker { code, reason: reason.into() },
    }
}

/// An error and its sources in one line.
fn one_line(error: &dyn std::error::Error) -> String {
    let mut line = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        line.push_str(": ");
        line.push_str(&error.to_string());
        source = error.source();
    }
    line
}
