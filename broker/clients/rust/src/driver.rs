//! The life of a client: connection after connection, until the program closes it or the broker closes it for good.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker_protocol::CloseReason;

use crate::book::Book;
use crate::connection_event::ConnectionEvent;
use crate::error::{ClosedReason, ConnectError};
use crate::handle::Handle;
use crate::options::Options;
use crate::reconnect::{self, Attempts, Next};
use crate::run::run;
use crate::shared::{Count, Shared};
use crate::sync::lock;
use crate::transport::{self, Connection};

/// The HTTP status that refuses a handshake without a valid token.
const UNAUTHORIZED: u16 = 401;

/// Makes the first connection, and starts the task that owns it and its successors.
pub(crate) async fn start(options: Options) -> Result<Handle, ConnectError> {
    let connection = transport::connect(&options).await?;
    let shared = Arc::new(Shared::new(options, connection.hello.clone()));
    tokio::spawn(drive(shared.clone(), connection));
    Ok(Handle(shared))
}

async fn drive(shared: Arc<Shared>, first: Connection) {
    let book = Mutex::new(Book::default());
    let reason = tokio::select! {
        reason = live(&shared, &book, first) => reason,
        () = close_timeout(&shared) => ClosedReason::Here,
    };
    // No call is accepted any more, and the callers that still wait get an error.
    shared.outbox.close(reason.clone());
    book.into_inner().unwrap_or_else(PoisonError::into_inner).close(&shared, &reason);
    shared.end(reason);
}

/// Returns `close_timeout_ms` after closing began.
async fn close_timeout(shared: &Shared) {
    shared.closing().await;
    tokio::time::sleep(Duration::from_millis(shared.options.close_timeout_ms)).await;
}

async fn live(shared: &Shared, book: &Mutex<Book>, first: Connection) -> ClosedReason {
    let backoff = shared.options.backoff;
    let mut connection = first;
    let mut attempts = Attempts::default();
    loop {
        lock(book).connected(connection.hello.limits);
        let began = Instant::now();
        let end = run(shared, book, connection).await;
        attempts.ended(lock(book).is_restored(), began.elapsed(), &backoff);
        lock(book).lost(shared);

        if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
            return ClosedReason::Here;
        }
        let next = reconnect::after(end.code);
        if next == Next::Never {
            report_lost(shared, end.reason.clone(), end.code, None);
            return for_good(end.code.unwrap_or_default(), end.reason);
        }
        let mut wait_ms = match (next, end.after_ms) {
            (Next::Later, _) => backoff.delay_ms(u32::MAX, rand::random()),
            (_, Some(after_ms)) => backoff.delay_after_ms(after_ms, rand::random()),
            (_, None) => backoff.delay_ms(attempts.next(), rand::random()),
        };
        report_lost(shared, end.reason, end.code, Some(wait_ms));
        connection = loop {
            attempts.begun();
            pause(shared, wait_ms).await;
            if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
                return ClosedReason::Here;
            }
            match transport::connect(&shared.options).await {
                Ok(connection) => break connection,
                Err(ConnectError::Closed { code, reason, .. }) if reconnect::after(Some(code)) == Next::Never => {
                    return for_good(code, reason);
                }
                Err(ConnectError::Refused { status: UNAUTHORIZED, body, .. }) => {
                    return ClosedReason::Unauthenticated { reason: body.into() };
                }
                Err(error) => {
                    wait_ms = backoff.delay_ms(attempts.next(), rand::random());
                    let reason = one_line(&error);
                    shared.report(ConnectionEvent::AttemptFailed { reason, retry_ms: wait_ms });
                }
            }
        };
        shared.count(Count::Reconnects, 1);
        shared.set_hello(connection.hello.clone());
        shared.report(ConnectionEvent::Connected { session: connection.hello.session.clone(), resumed: true });
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
