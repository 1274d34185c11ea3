//! What a client can be told. Every field has a default that suits a program near its broker.

use crate::backoff::Backoff;

/// How to connect, and how much to hold. [`Options::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The broker's WebSocket endpoint, such as `ws://127.0.0.1:9000/v1/ws`. Without a path it is `/v1/ws`. Only `ws://`
    /// for now.
    pub url: String,
    /// The waits between attempts to connect again. They begin anew after a connection that had everything again, and grow
    /// with each of those that does not last for the longest wait. The same waits are kept before what the broker has refused
    /// for now is subscribed again.
    pub backoff: Backoff,
    /// The time from the first byte of an attempt to the broker's `hello`.
    pub connect_timeout_ms: u64,
    /// The updates that wait for one [`Subscription`](crate::Subscription)'s owner. A full queue pushes back on the
    /// socket and drops nothing: the broker then sees a slow client, and does what `on_slow` says. As there is one socket,
    /// a full queue holds up everything else that comes over it, the answers to requests too.
    pub queue_updates_max: usize,
    /// The bytes of requests that wait to be written. At the bound publishing waits.
    pub outgoing_bytes_max: usize,
    /// The bytes of publishes that were written and not answered yet. At the bound no more are written.
    pub unanswered_bytes_max: usize,
    /// The longest message taken from the broker, whatever its `hello` says.
    pub message_bytes_max: usize,
    /// The read buffer of the connection.
    pub read_buffer_bytes: usize,
    /// How long a request waits for its answer, reconnecting included; 0 means for ever.
    pub answer_timeout_ms: u64,
    /// How long [`Client::close`](crate::Client::close) waits for what is on its way, answers included.
    pub close_timeout_ms: u64,
}

impl Options {
    /// The defaults, for one URL.
    pub fn new(url: impl Into<String>) -> Options {
        Options { url: url.into(), ..Options::default() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "ws://127.0.0.1:9000/v1/ws".to_owned(),
            backoff: Backoff::default(),
            connect_timeout_ms: 5_000,
            queue_updates_max: 1_024,
            outgoing_bytes_max: 1 << 20,
            unanswered_bytes_max: 4 << 20,
            message_bytes_max: 64 << 20,
            read_buffer_bytes: 32 << 10,
            answer_timeout_ms: 30_000,
            close_timeout_ms: 5_000,
        }
    }
}
