//! One WebSocket connection: making it, reading it, writing to it. This layer knows frames and text, and nothing of
//! topics.

mod handshake;
mod reader;
mod url;
mod watched;
mod wire;
mod writer;

#[cfg(not(feature = "tls"))]
#[path = "no_tls.rs"]
mod tls;
#[cfg(feature = "tls")]
mod tls;

use std::time::Duration;

use crate::authenticated::Authenticated;
use crate::error::ConnectError;
use crate::hello::Hello;
use crate::options::Options;
use crate::token::Secret;
use crate::wire::incoming::{self, Incoming};

pub(crate) use reader::{Broken, Reader, Received, fault, utf8};
pub(crate) use tls::Connector;
pub(crate) use url::Target;
pub(crate) use wire::Writer;
pub(crate) use writer::Frames;

/// A connection whose `hello` has been read.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) hello: Hello,
    pub(crate) reader: Reader,
    pub(crate) writer: Writer,
    /// The token to authenticate it with, if the broker knows tokens.
    pub(crate) token: Option<Secret>,
    /// Whom the broker takes it for, if it was authenticated before it was used.
    pub(crate) authenticated: Option<Authenticated>,
    /// The broker said before it was used that the token ends soon.
    pub(crate) reauth: bool,
}

/// Asks for the token, connects, upgrades and reads `hello`, all within `connect_timeout_ms`.
pub(crate) async fn connect(
    target: &Target,
    options: &Options,
    connector: &Connector,
) -> Result<Connection, ConnectError> {
    let timeout_ms = options.connect_timeout_ms;
    match tokio::time::timeout(Duration::from_millis(timeout_ms), greet(target, options, connector)).await {
        Ok(connected) => connected,
        Err(_) => Err(ConnectError::Timeout { address: target.address.clone(), timeout_ms }),
    }
}

async fn greet(target: &Target, options: &Options, connector: &Connector) -> Result<Connection, ConnectError> {
    let token = options
        .token
        .ask()
        .await
        .map_err(|why| ConnectError::Token { address: target.address.clone(), why: why.to_string() })?;
    let (stream, early) = handshake::upgrade(target, options, connector).await?;
    let (read, writer) = stream.split();
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
        Ok(None) => return Err(not_tickcast("its first message is not a hello".to_owned())),
        Err(malformed) => return Err(not_tickcast(format!("its first message is {malformed}"))),
    };
    reader.set_message_bytes_max(message_bytes_max(&hello, options));
    reader.set_silence_ms_max(silence_ms_max(&hello));
    let token = token.filter(|_| hello.knows_tokens());
    Ok(Connection { hello, reader, writer, token, authenticated: None, reauth: false })
}

/// The longest message that this broker has a reason to send: an image and its envelope, or a list of everything that a
/// connection may subscribe to. Never above the client's own bound.
fn message_bytes_max(hello: &Hello, options: &Options) -> usize {
    /// One row: two names and some numbers.
    const ROW_BYTES_MAX: u64 = 600;
    const ALWAYS_BYTES: u64 = 1 << 20;
    let image_bytes = hello.limits.image_bytes.saturating_add(1_024);
    let list_bytes = hello.limits.subscriptions.saturating_mul(ROW_BYTES_MAX);
    let needed = usize::try_from(image_bytes.max(list_bytes).max(ALWAYS_BYTES)).unwrap_or(usize::MAX);
    needed.min(options.message_bytes_max)
}

/// After two and a half heartbeats without a byte, the broker or the network to it is gone.
fn silence_ms_max(hello: &Hello) -> u64 {
    /// The lower bound keeps a scheduling delay from looking like a dead broker, however short the heartbeat is. The
    /// upper bound keeps sums with a clock from overflowing.
    const RANGE_MS: std::ops::RangeInclusive<u64> = 100..=86_400_000;
    (hello.heartbeat_ms.saturating_mul(5) / 2).clamp(*RANGE_MS.start(), *RANGE_MS.end())
}
