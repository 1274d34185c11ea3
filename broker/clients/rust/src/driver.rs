//! The life of a client: connection after connection, until the program closes it or the broker closes it for good.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use broker_protocol::CloseReason;

use crate::addresses::Addresses;
use crate::book::{Book, Delivery};
use crate::connection_event::ConnectionEvent;
use crate::course::{Asked, Course};
use crate::elsewhere::{Signs, better};
use crate::error::{ClosedReason, ConnectError, one_line};
use crate::handle::Handle;
use crate::options::Options;
use crate::reconnect::{Next, Refusals, after, is_about_token};
use crate::run::{Outcome, deliver_rest, run};
use crate::shared::{Count, Shared};
use crate::sync::lock;
use crate::transport::{self, Connection, Connector};

/// Makes the first connection, and starts the task that owns it and its successors. Each address is tried once.
pub(crate) async fn start(options: Options) -> Result<Handle, ConnectError> {
    let addresses = Addresses::new(&options, &mut rand::rng())?;
    let mut course = Course::new(addresses, options.backoff);
    let connector = Connector::default();
    let mut refusals = Refusals::default();
    let mut errors = Vec::new();
    let connection = loop {
        let error = match transport::connect(course.addresses.present(), &options, &connector).await {
            Ok(connection) => break connection,
            Err(error) => error,
        };
        if is_about_token(&error) && options.token.can_change() && refusals.refused() {
            continue;
        }
        if is_about_token(&error) || is_for_every_address(&error) || course.addresses.count() == 1 {
            return Err(error);
        }
        let asked = asked_by(&error);
        errors.push(error);
        if errors.len() == course.addresses.count() {
            return Err(ConnectError::NoBroker(errors));
        }
        tokio::time::sleep(Duration::from_millis(course.failed(asked, rand::random()))).await;
    };
    let url = course.addresses.present().url.clone();
    let shared = Arc::new(Shared::new(options, connection.hello.clone(), &url));
    tokio::spawn(drive(shared.clone(), connector, course, connection));
    Ok(Handle(shared))
}

/// Whether an attempt at another address would fail in the same way.
fn is_for_every_address(error: &ConnectError) -> bool {
    match error {
        ConnectError::Token { .. } | ConnectError::Url { .. } => true,
        ConnectError::Closed { code, .. } => after(Some(*code)) == Next::Never,
        _ => false,
    }
}

/// The wait that the broker asked for when it refused an attempt.
fn asked_by(error: &ConnectError) -> Asked {
    match error {
        ConnectError::Refused { retry_after_ms: Some(after_ms), .. } => Asked::Wait { after_ms: *after_ms },
        ConnectError::Closed { code, .. } if after(Some(*code)) == Next::Later => Asked::WaitLong,
        _ => Asked::Nothing,
    }
}

async fn drive(shared: Arc<Shared>, connector: Connector, course: Course, first: Connection) {
    let book = Mutex::new(Book::default());
    let mut deliveries = VecDeque::new();
    let reason = tokio::select! {
        reason = live(&shared, &book, &connector, course, first, &mut deliveries) => reason,
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
    mut course: Course,
    first: Connection,
    deliveries: &mut VecDeque<Delivery>,
) -> ClosedReason {
    let mut connection = first;
    let mut refusals = Refusals::default();
    loop {
        course.opened();
        begin(shared, book, &mut connection);
        let began = Instant::now();
        let signs = Signs::default();
        let better = better(shared, &course.addresses, connector, &signs);
        let outcome = run(shared, book, connection, deliveries, &signs, better).await;
        course.ended(lock(book).is_restored(), began.elapsed());
        let accepted = lock(book).is_authenticated();
        if accepted {
            refusals.accepted();
        }
        lock(book).lost(shared);

        if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
            return ClosedReason::Here;
        }
        connection = match outcome {
            Outcome::Left(better) => {
                course.addresses.move_to(better.index);
                better.connection
            }
            Outcome::Ended(mut end) => {
                end.reason = shared.without_token(&end.reason);
                let next = after(end.code);
                let is_refused = next == Next::WithAnotherToken;
                if next == Next::Never || (is_refused && !may_try_another_token(shared, &mut refusals)) {
                    report_lost(shared, end.reason.clone(), end.code, None);
                    return for_good(end.code.unwrap_or_default(), end.reason);
                }
                let wait_ms = match (next, end.asked) {
                    (Next::WithAnotherToken, _) if Refusals::is_at_once(accepted, began.elapsed()) => 0,
                    (Next::WithAnotherToken, asked) => course.failed_anywhere(asked, rand::random()),
                    (Next::Later, Asked::Nothing) => course.failed(Asked::WaitLong, rand::random()),
                    (_, asked) => course.failed(asked, rand::random()),
                };
                report_lost(shared, end.reason, end.code, Some(wait_ms));
                let reconnected = reconnect(shared, book, connector, wait_ms, &mut course, &mut refusals);
                tokio::pin!(reconnected);
                // Meanwhile the program may read what is left.
                let reconnected = tokio::select! {
                    reconnected = &mut reconnected => reconnected,
                    () = deliver_rest(shared, deliveries) => reconnected.await,
                };
                match reconnected {
                    Ok(connection) => connection,
                    Err(closed) => return closed,
                }
            }
        };
        shared.count(Count::Reconnects, 1);
        shared.set_hello(connection.hello.clone(), &course.addresses.present().url);
        shared.report(ConnectionEvent::Connected { session: connection.hello.session.clone(), resumed: true });
        // A broker that took over from a stale one is not.
        shared.fresh();
    }
}

/// Begins a connection: sends what goes first.
fn begin(shared: &Shared, book: &Mutex<Book>, connection: &mut Connection) {
    shared.begin(connection.token.clone());
    let mut book = lock(book);
    match connection.authenticated.take() {
        Some(who) => {
            book.connected(connection.hello.limits, None);
            book.authenticated(who, shared);
        }
        None => book.connected(connection.hello.limits, connection.token.take()),
    }
}

/// Makes attempts until one succeeds, the first after `wait_ms`. Returns why the client ends if there are no more.
async fn reconnect(
    shared: &Shared,
    book: &Mutex<Book>,
    connector: &Connector,
    mut wait_ms: u64,
    course: &mut Course,
    refusals: &mut Refusals,
) -> Result<Connection, ClosedReason> {
    loop {
        pause(shared, wait_ms).await;
        if shared.is_closing() && lock(book).is_idle(&shared.outbox) {
            return Err(ClosedReason::Here);
        }
        let error = match transport::connect(course.addresses.present(), &shared.options, connector).await {
            Ok(connection) => return Ok(connection),
            Err(error) => error,
        };
        wait_ms = match error {
            error if is_about_token(&error) => {
                if !may_try_another_token(shared, refusals) {
                    return Err(ClosedReason::Unauthenticated { reason: reason_of(error).into() });
                }
                0
            }
            ConnectError::Closed { code, reason, .. } if after(Some(code)) == Next::Never => {
                return Err(for_good(code, reason));
            }
            error => {
                let wait_ms = match is_for_every_address(&error) {
                    true => course.failed_anywhere(Asked::Nothing, rand::random()),
                    false => course.failed(asked_by(&error), rand::random()),
                };
                shared.report(ConnectionEvent::AttemptFailed { reason: one_line(&error), retry_ms: wait_ms });
                wait_ms
            }
        };
    }
}

/// Records that the broker refused the token. Returns whether another one may be tried.
fn may_try_another_token(shared: &Shared, refusals: &mut Refusals) -> bool {
    refusals.refused() && shared.options.token.can_change()
}

/// The broker's own words.
fn reason_of(error: ConnectError) -> String {
    match error {
        ConnectError::Refused { body: reason, .. } | ConnectError::Closed { reason, .. } => reason,
        other => one_line(other),
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
