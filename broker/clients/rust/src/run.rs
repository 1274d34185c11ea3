//! One connection at work: a loop that reads and a loop that writes, until one of them ends.
//!
//! They are two futures of one task, not one loop over both: reading a frame is not safe to cancel, so the reading loop
//! is only dropped together with its connection.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::sync::Notify;
use tokio::sync::mpsc::error::TrySendError;
use tokio::time::Instant;

use crate::book::{Book, Delivery};
use crate::course::Asked;
use crate::elsewhere::{Better, Signs};
use crate::renewal::renew;
use crate::shared::Shared;
use crate::sync::lock;
use crate::transport::{Broken, Connection, Frames, Reader, Received, Writer, utf8};
use crate::wire::incoming::{self, Incoming};

/// How long the broker may take to accept our close frame.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);

/// The reason of a `goaway` that concerns only the broker that sends it.
const SHUTDOWN: &str = "shutdown";

/// How a connection ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct End {
    pub(crate) reason: String,
    /// The broker's close code.
    pub(crate) code: Option<u16>,
    /// The code and reason of the close frame to send before the connection ends.
    close_frame: Option<(u16, String)>,
    /// The wait that `goaway` asked for, or the refusal of a token.
    pub(crate) asked: Asked,
}

/// What became of a connection.
#[derive(Debug)]
pub(crate) enum Outcome {
    Ended(End),
    /// It was left for another one.
    Left(Box<Better>),
}

/// What the reading loop passes to the writing loop.
#[derive(Debug, Default)]
struct Control {
    urgent: Mutex<Urgent>,
    /// The reading loop waits for room in a subscription's queue.
    blocked: AtomicBool,
    /// Wakes the loop that asks for another token.
    token_wanted: Notify,
}

#[derive(Debug, Default)]
struct Urgent {
    /// The wait that `goaway` asked for.
    asked: Asked,
    /// The payload of the last ping: of several, only the last needs an answer (RFC 6455 §5.5.3).
    pong: Option<Vec<u8>>,
    close: Option<(u16, String)>,
}

/// Runs a connection until it ends, or until `better` is there. What speaks against its broker goes to `signs`.
/// `deliveries` has the events of the last connection that are still to be delivered,
/// and then those of this one: the book counts them as received, and resumes after them.
pub(crate) async fn run(
    shared: &Shared,
    book: &Mutex<Book>,
    connection: Connection,
    deliveries: &mut VecDeque<Delivery>,
    signs: &Signs,
    better: impl Future<Output = Better>,
) -> Outcome {
    let control = Control::default();
    if connection.reauth {
        control.token_wanted.notify_one();
    }
    let heartbeat = Duration::from_millis(connection.hello.heartbeat_ms.clamp(100, 86_400_000));
    let write = write(shared, book, connection.writer, &control, heartbeat);
    tokio::pin!(write);
    let outcome = tokio::select! {
        end = read(shared, book, connection.reader, &control, signs, deliveries) => Outcome::Ended(end),
        mut end = &mut write => {
            end.asked = control.lock().asked;
            return Outcome::Ended(end);
        }
        end = renew(shared, book, &control.token_wanted) => match end {},
        better = better => Outcome::Left(Box::new(better)),
    };
    let (outcome, close_frame) = match outcome {
        Outcome::Ended(mut end) => {
            if end.asked == Asked::Nothing {
                end.asked = control.lock().asked;
            }
            let close_frame = end.close_frame.clone();
            (Outcome::Ended(end), close_frame)
        }
        left @ Outcome::Left(_) => (left, Some((1000, String::new()))),
    };
    if let Some(close_frame) = close_frame {
        control.lock().close = Some(close_frame);
        shared.outbox.wake();
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, write).await;
    }
    outcome
}

async fn read(
    shared: &Shared,
    book: &Mutex<Book>,
    mut reader: Reader,
    control: &Control,
    signs: &Signs,
    deliveries: &mut VecDeque<Delivery>,
) -> End {
    let mut taken = Vec::new();
    deliver(shared, control, deliveries).await;
    loop {
        let bytes = match reader.next().await {
            Ok(Received::Text(bytes)) => bytes,
            Ok(Received::Ping(payload)) => {
                control.lock().pong = Some(payload);
                shared.outbox.wake();
                continue;
            }
            Ok(Received::Close { code, reason }) => {
                // A frame may not carry 1005, which means that there was no code.
                let close_frame = Some((if code == 1005 { 1000 } else { code }, String::new()));
                let reason = if reason.is_empty() { "the broker closed the connection".to_owned() } else { reason };
                return End { reason, code: Some(code), close_frame, asked: Asked::Nothing };
            }
            Err(broken) => return End::broken(broken),
        };
        let result = take(&bytes, shared, book, &mut taken, (control, signs));
        deliveries.extend(taken.drain(..));
        match result {
            Ok(false) => {}
            Ok(true) => control.token_wanted.notify_one(),
            Err(broken) => return End::broken(broken),
        }
        deliver(shared, control, deliveries).await;
    }
}

/// Delivers what is left while there is no connection.
pub(crate) async fn deliver_rest(shared: &Shared, deliveries: &mut VecDeque<Delivery>) {
    deliver(shared, &Control::default(), deliveries).await;
}

/// Handles one text message. Returns whether another token is wanted.
fn take(
    bytes: &[u8],
    shared: &Shared,
    book: &Mutex<Book>,
    deliveries: &mut Vec<Delivery>,
    (control, signs): (&Control, &Signs),
) -> Result<bool, Broken> {
    let read = incoming::read(utf8(bytes)?, |message| {
        let within_ms = shared.options.look_within_ms;
        match &message {
            Incoming::GoAway { reason, after_ms } if reason == SHUTDOWN => {
                control.lock().asked = Asked::Stops { after_ms: *after_ms };
                signs.leaving(within_ms.min(after_ms / 2));
            }
            Incoming::GoAway { after_ms, .. } => control.lock().asked = Asked::Wait { after_ms: *after_ms },
            Incoming::Stale { since } if shared.stale(*since) => signs.stale(within_ms),
            Incoming::Fresh => {
                shared.fresh();
                signs.fresh();
            }
            _ => {}
        }
        let mut book = lock(book);
        book.receive(message, shared, deliveries).map(|()| book.takes_another_token())
    });
    match read {
        Ok(result) => result,
        Err(malformed) => {
            let detail = std::error::Error::source(&malformed).map(|why| format!(": {why}")).unwrap_or_default();
            Err(Broken::new(format!("the broker sent {malformed}{detail}"), Some(1002)))
        }
    }
}

/// Puts events into their subscriptions' queues. A full queue stops the reading, and with it, through TCP, the broker.
/// If it is cancelled, what was not put into a queue is still in `deliveries`.
async fn deliver(shared: &Shared, control: &Control, deliveries: &mut VecDeque<Delivery>) {
    while let Some((events, event)) = deliveries.pop_front() {
        let Err(TrySendError::Full(event)) = events.try_send(event) else { continue };
        deliveries.push_front((events.clone(), event));
        control.blocked.store(true, Ordering::Relaxed);
        shared.outbox.wake();
        tokio::select! {
            // An error means that the subscription was dropped: no reader misses the event.
            room = events.reserve() => {
                if let (Some((_, event)), Ok(room)) = (deliveries.pop_front(), room) {
                    room.send(event);
                }
            }
            // A program that closes the client does not wait for events that it did not read.
            () = shared.closing() => {
                deliveries.pop_front();
            }
        }
        control.blocked.store(false, Ordering::Relaxed);
    }
}

async fn write(shared: &Shared, book: &Mutex<Book>, mut writer: Writer, control: &Control, heartbeat: Duration) -> End {
    let mut frames = Frames::default();
    let mut close_sent = false;
    // When to ask again for what the broker refused for now.
    let mut again_at = None;
    loop {
        let (pong, close) = {
            let mut urgent = control.lock();
            (urgent.pong.take(), urgent.close.take())
        };
        if let Some(payload) = pong {
            frames.pong(&payload);
        }
        let last = close.is_some();
        if let Some((code, reason)) = close {
            frames.close(code, &reason);
        } else if !close_sent {
            let mut book = lock(book);
            if again_at.is_some_and(|at| at <= Instant::now()) {
                again_at = None;
                book.ask_again();
            }
            let asked_ms = book.takes_asked_ms();
            if !book.waits_to_ask_again() {
                again_at = None;
            } else if again_at.is_none() || asked_ms > 0 {
                let wait_ms = asked_ms + shared.options.backoff.delay_ms(book.attempt(), rand::random());
                // A wait that the broker asks for holds for everything that is asked for again.
                again_at = again_at.max(Some(Instant::now() + Duration::from_millis(wait_ms)));
            }
            book.fill(shared, &mut frames);
            if frames.bytes().is_empty() && shared.is_closing() && book.is_idle(&shared.outbox) {
                frames.close(1000, "");
                close_sent = true;
            }
        }
        if frames.bytes().is_empty() {
            tokio::select! {
                () = shared.outbox.woken() => {}
                () = until(again_at) => {}
                // A program that reads slowly is slow, not dead: this shows the broker that it lives.
                () = tokio::time::sleep(heartbeat), if control.blocked.load(Ordering::Relaxed) => frames.pong(b""),
            }
            continue;
        }
        if let Err(error) = writer.write_all(frames.bytes()).await {
            return End { reason: error.to_string(), code: None, close_frame: None, asked: Asked::Nothing };
        }
        frames.clear();
        if last {
            let _ = writer.shutdown().await;
            return End { reason: String::new(), code: None, close_frame: None, asked: Asked::Nothing };
        }
    }
}

/// Waits until that time, or forever if there is none.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

impl End {
    fn broken(broken: Broken) -> End {
        let close_frame = broken.close_code.map(|code| (code, broken.reason.clone()));
        let asked = broken.after_ms.map_or(Asked::Nothing, |after_ms| Asked::Wait { after_ms });
        End { reason: broken.reason, code: broken.as_code, close_frame, asked }
    }
}

impl Control {
    fn lock(&self) -> MutexGuard<'_, Urgent> {
        lock(&self.urgent)
    }
}
