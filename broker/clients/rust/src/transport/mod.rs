//! One WebSocket connection: made, read from, written to. It knows frames and text, and nothing of topics.

mod handshake;
mod reader;
mod url;
mod watched;
mod writer;

use std::time::Duration;

use tokio::net::tcp::OwnedWriteHalf;

use crate::error::ConnectError;
use crate::hello::Hello;
use crate::options::Options;
use crate::wire::incoming::{self, Incoming};

pub(crate) use reader::{Broken, Reader, Received, fault, utf8};
pub(crate) use writer::Frames;

/// A connection that said `hello`.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) hello: Hello,
    pub(crate) reader: Reader,
    pub(crate) writer: OwnedWriteHalf,
}

/// Connects, upgrades and reads `hello`, all within `connect_timeout_ms`.
pub(crate) async fn connect(options: &Options) -> Result<Connection, ConnectError> {
    let target = url::Target::parse(&options.url)?;
    let timeout_ms = options.connect_timeout_ms;
    match tokio::time::timeout(Duration::from_millis(timeout_ms), greet(&target, options)).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::Timeout { address: target.address, timeout_ms }),
    }
}

async fn greet(target: &url::Target, options: &Options) -> Result<Connection, ConnectError> {
    let (stream, early) = handshake::upgrade(target).await?;
    let (read, writer) = stream.into_split();
    let mut reader = Reader::new(read, early, options.read_buffer_bytes);
    let not_tickcast = |why: String| ConnectError::NotTickcast { address: target.address.clone(), why };
    let text = match reader.next().await {
        Ok(Received::Text(text)) => text,
        Ok(Received::Close { code, reason }) => {
            return Err(ConnectError::Closed { address: target.address.clone(), code, reason });
        }
        Ok(Received::Ping(_)) => return Err(not_tickcast("its first frame is a ping".to_owned())),
        Err(broken) => return Err(not_tickcast(broken.reason)),
    };
    let text = utf8(&text).map_err(|broken| not_tickcast(broken.reason))?;
    let hello = incoming::read(text, |message| match message {
        Incoming::Hello(hello) => Some(hello),
        _ => None,
    });
    let hello = match hello {
        Ok(Some(hello)) => hello,
        Ok(None) => return Err(not_tickcast("its first message is no hello".to_owned())),
        Err(malformed) => return Err(not_tickcast(format!("its first message is {malformed}"))),
    };
    reader.set_message_bytes_max(message_bytes_max(&hello, options));
    reader.set_silence_ms_max(silence_ms_max(&hello));
    Ok(Connection { hello, reader, writer })
}

/// The longest message that this broker has a reason to send: an image and what is around it, or a list of everything
/// that a connection may subscribe to; never above our own bound.
fn message_bytes_max(hello: &Hello, options: &Options) -> usize {
    /// The two names and the numbers of one row.
    const ROW_BYTES_MAX: u64 = 600;
    const ALWAYS_BYTES: u64 = 1 << 20;
    let image_bytes = hello.limits.image_bytes.saturating_add(1_024);
    let list_bytes = hello.limits.subscriptions.saturating_mul(ROW_BYTES_MAX);
    let sensible = usize::try_from(image_bytes.max(list_bytes).max(ALWAYS_BYTES)).unwrap_or(usize::MAX);
    sensible.min(options.message_bytes_max)
}

/// Two heartbeats and a half without a byte: the broker, or the way to it, is gone.
fn silence_ms_max(hello: &Hello) -> u64 {
    /// However fast a broker's heart beats, a scheduler's hiccup is no death; and a sum with a clock must not overflow.
    const SENSIBLE_MS: std::ops::RangeInclusive<u64> = 100..=86_400_000;
    (hello.heartbeat_ms.saturating_mul(5) / 2).clamp(*SENSIBLE_MS.start(), *SENSIBLE_MS.end())
}
