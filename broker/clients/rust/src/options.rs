//! A client's options. Every field has a default that suits a program near its broker.

use crate::backoff::Backoff;
use crate::tls::Tls;
use crate::token::Token;

/// How to connect, and how much to hold. [`Options::new`] gives the defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// The broker's WebSocket endpoint, such as `ws://127.0.0.1:9000/v1/ws` or `wss://md.example`. The default path is
    /// `/v1/ws`. `https` and `http` mean `wss` and `ws`.
    pub url: String,
    /// The endpoints of other brokers that serve the same topics from the same journal. An address that fails is
    /// followed by the next at once; only when all have failed in a row does the client wait. It also goes to another
    /// one that is not stale when its broker is ([`ConnectionEvent::Stale`](crate::ConnectionEvent::Stale)), and when
    /// its broker stops.
    pub other_urls: Vec<String>,
    /// Whether this client goes through the addresses in a random order of its own, so that clients spread over the
    /// brokers. Otherwise it begins with `url`.
    pub shuffle: bool,
    /// The longest time until the client looks at the other addresses because its broker is stale or about to stop, in
    /// milliseconds. The time is random: a journal that is away concerns all brokers and their clients at once, and is
    /// mostly back soon.
    pub look_within_ms: u64,
    /// Who the client is. By default it is anonymous.
    pub token: Token,
    /// The certificates for `wss://`, beside those of the platform.
    pub tls: Tls,
    /// The waits between attempts to reconnect. They start over after a connection on which everything was restored,
    /// and grow with each of these that does not last as long as the longest wait. The client also waits like this
    /// before it asks again for entries that the broker refused for now.
    pub backoff: Backoff,
    /// The longest time from the beginning of an attempt to the broker's `hello`, in milliseconds.
    pub connect_timeout_ms: u64,
    /// The most updates that wait in the queue of one [`Subscription`](crate::Subscription). A full queue drops
    /// nothing: it stops the reading of the socket, so that the broker sees a slow client and does what `on_slow` says.
    /// Because there is one socket, a full queue also blocks everything else that comes over it, including the answers
    /// to requests.
    pub queue_updates_max: usize,
    /// The most bytes of requests that wait to be written. At this bound, publishing waits.
    pub outgoing_bytes_max: usize,
    /// The most bytes of publishes that are written and not answered. At this bound, no more are written.
    pub unanswered_bytes_max: usize,
    /// The longest message accepted from the broker, in bytes, whatever its `hello` says.
    pub message_bytes_max: usize,
    /// The size of the connection's read buffer.
    pub read_buffer_bytes: usize,
    /// How long a request waits for its answer, reconnecting included, in milliseconds; 0 means forever.
    pub answer_timeout_ms: u64,
    /// How long [`Client::close`](crate::Client::close) waits for requests to be written and answered, in milliseconds.
    pub close_timeout_ms: u64,
}

impl Options {
    /// The defaults, for one URL.
    pub fn new(url: impl Into<String>) -> Options {
        Options { url: url.into(), ..Options::default() }
    }

    /// The defaults, for brokers that serve the same topics from the same journal. Without any, connecting fails.
    ///
    /// ```
    /// use broker_client::Options;
    ///
    /// let options = Options::any_of(["wss://md-1.example", "wss://md-2.example"]);
    /// assert_eq!(options, Options::new("wss://md-1.example").also("wss://md-2.example"));
    /// ```
    pub fn any_of(urls: impl IntoIterator<Item = impl Into<String>>) -> Options {
        let mut urls = urls.into_iter().map(Into::into);
        Options { url: urls.next().unwrap_or_default(), other_urls: urls.collect(), ..Options::default() }
    }

    /// Adds the URL of another broker that serves the same topics from the same journal.
    #[must_use]
    pub fn also(mut self, url: impl Into<String>) -> Options {
        self.other_urls.push(url.into());
        self
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            url: "ws://127.0.0.1:9000/v1/ws".to_owned(),
            other_urls: Vec::new(),
            shuffle: true,
            look_within_ms: 2_000,
            token: Token::none(),
            tls: Tls::default(),
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
