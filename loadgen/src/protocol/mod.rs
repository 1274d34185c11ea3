//! The protocols of servers: the messages that subscribe and publish, and the meaning of received messages.

mod centrifugo;
mod generic;
mod mqtt;
mod nats;
mod tickcast;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use generic::Templates;

use ws_frames::{self as wire, FIN};

/// The name of a protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Name {
    /// Tickcast's own, `tickcast.v1.json`: every stream is checked by its sequence numbers.
    #[default]
    Tickcast,
    /// The NATS client protocol inside WebSocket frames.
    Nats,
    /// MQTT 3.1.1 inside WebSocket frames, quality of service 0.
    Mqtt,
    /// Centrifugo's client protocol in JSON.
    Centrifugo,
    /// Any server: sent messages are made from templates, received ones are searched for the payload.
    Generic,
}

/// The meaning of a received message.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Received<'a> {
    /// An update with its payload.
    Update {
        /// Empty if the server does not name it: then the payload does.
        topic: &'a [u8],
        /// The server's own number of the update.
        seq: Option<u64>,
        /// The first of the updates that it stands for, if it stands for several.
        from: Option<u64>,
        /// When the server took it in, µs since the UNIX epoch.
        ts_us: u64,
        data: &'a [u8],
    },
    /// The state, which stands for everything up to `seq`.
    Image { topic: &'a [u8], seq: u64, ts_us: u64, data: &'a [u8] },
    /// Updates that were announced as lost.
    Gap { topic: &'a [u8], from: u64, to: u64 },
    /// A stream begins.
    Begins { topic: &'a [u8], epoch: &'a str, after: After },
    /// The topic ended.
    Closed { topic: &'a [u8] },
    /// The subscriptions are in effect.
    Subscribed,
    /// A request was refused.
    Refused(String),
    /// It has to be answered with these bytes of the protocol.
    Reply(&'static [u8]),
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// After this `seq`.
    Seq(u64),
    /// With whatever arrives next, an image or an update.
    Anything,
    /// After the last update, as if nothing had happened.
    Last,
}

/// The options of a subscription.
#[derive(Debug, Clone, Default)]
pub(crate) struct Options {
    pub(crate) conflate_ms: u32,
    pub(crate) on_slow: Option<Box<str>>,
    pub(crate) from: Option<Box<str>>,
}

/// A topic that a subscriber wants, as the plan names it: segments joined by `.`, patterns with `*` and `>`.
#[derive(Debug, Clone)]
pub(crate) struct Entry<'a> {
    pub(crate) name: &'a str,
    /// The epoch and the `seq` up to which the subscriber has everything.
    pub(crate) has: Option<(&'a str, u64)>,
}

/// A protocol with its parameters.
#[derive(Debug, Clone)]
pub(crate) enum Protocol {
    Tickcast,
    Nats,
    Mqtt,
    Centrifugo,
    Generic(Templates),
}

impl Protocol {
    /// The path if the target has none.
    pub(crate) fn default_path(&self) -> &'static str {
        match self {
            Self::Tickcast => "/v1/ws",
            Self::Mqtt => "/mqtt",
            Self::Centrifugo => "/connection/websocket",
            Self::Nats | Self::Generic(_) => "/",
        }
    }

    /// The value of `Sec-WebSocket-Protocol`, if the server wants one.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        match self {
            Self::Tickcast => Some("tickcast.v1.json"),
            Self::Mqtt => Some("mqtt"),
            Self::Nats | Self::Centrifugo => None,
            Self::Generic(templates) => templates.subprotocol.as_deref(),
        }
    }

    /// The path for one subscriber: some servers take the topic from it.
    pub(crate) fn subscriber_path(&self, path: &str, entries: &[Entry<'_>]) -> String {
        match self {
            Self::Generic(templates) => templates.path(path, entries),
            _ => path.to_owned(),
        }
    }

    /// Whether each topic needs a publisher's connection of its own, because the topic is in the path.
    pub(crate) fn publishes_by_path(&self) -> bool {
        matches!(self, Self::Generic(templates) if templates.publish_path.as_ref().is_some_and(|path| path.contains("{topic}")))
    }

    /// The path for a publisher.
    pub(crate) fn publisher_path(&self, path: &str, topic: &str) -> String {
        match self {
            Self::Generic(templates) => templates.publish_path.as_deref().unwrap_or(path).replace("{topic}", topic),
            _ => path.to_owned(),
        }
    }

    /// Whether the server answers a subscription with where its streams begin.
    pub(crate) fn answers(&self) -> bool {
        matches!(self, Self::Tickcast)
    }

    /// Whether a message may span several WebSocket frames, and a frame may hold several messages.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Nats | Self::Mqtt)
    }

    /// Whether a WebSocket message may hold several messages of the protocol, a line each.
    pub(crate) fn is_lines(&self) -> bool {
        matches!(self, Self::Centrifugo)
    }

    /// The opcode of messages to the server.
    pub(crate) fn opcode(&self) -> u8 {
        match self {
            Self::Tickcast | Self::Centrifugo => wire::TEXT,
            Self::Nats | Self::Mqtt => wire::BINARY,
            Self::Generic(templates) => {
                if templates.binary {
                    wire::BINARY
                } else {
                    wire::TEXT
                }
            }
        }
    }

    /// The name of a topic or pattern as this server writes it.
    pub(crate) fn spelled(&self, name: &str) -> String {
        match self {
            Self::Mqtt => name.replace('.', "/").replace('*', "+").replace('>', "#"),
            _ => name.to_owned(),
        }
    }

    /// Appends the first frames of a subscriber.
    pub(crate) fn subscribe(&self, out: &mut Vec<u8>, number: u32, entries: &[Entry<'_>], options: &Options) {
        let mut text = Vec::new();
        match self {
            Self::Tickcast => tickcast::subscribe(&mut text, entries, options),
            Self::Nats => nats::subscribe(&mut text, entries),
            Self::Mqtt => mqtt::subscribe(&mut text, number, entries),
            Self::Centrifugo => centrifugo::subscribe(&mut text, entries),
            Self::Generic(templates) => {
                for line in templates.subscriptions(number, entries) {
                    wire::masked(out, FIN | self.opcode(), line.as_bytes());
                }
                return;
            }
        }
        wire::masked(out, FIN | self.opcode(), &text);
    }

    /// Appends the first frames of the publisher with this number.
    pub(crate) fn hello(&self, out: &mut Vec<u8>, number: usize) {
        let mut text = Vec::new();
        match self {
            Self::Tickcast => return,
            Self::Nats => nats::connect(&mut text),
            Self::Mqtt => mqtt::connect(&mut text, &format!("publisher-{number}")),
            Self::Centrifugo => centrifugo::connect(&mut text),
            Self::Generic(templates) => match &templates.publisher_hello {
                Some(hello) => text.extend(hello.as_bytes()),
                None => return,
            },
        }
        wire::masked(out, FIN | self.opcode(), &text);
    }

    /// Appends the frame that publishes a payload. `text` is a scratch buffer.
    pub(crate) fn publish(&self, out: &mut Vec<u8>, text: &mut Vec<u8>, topic: &str, kind: &str, payload: &[u8]) {
        text.clear();
        match self {
            Self::Tickcast => tickcast::publish(text, topic, kind, payload),
            Self::Nats => nats::publish(text, topic, payload),
            Self::Mqtt => mqtt::publish(text, topic, payload),
            Self::Centrifugo => centrifugo::publish(text, topic, payload),
            Self::Generic(templates) => templates.publish(text, topic, payload),
        }
        wire::masked(out, FIN | self.opcode(), text);
    }

    /// Adds an update to the message of a batch, for protocols that have such.
    pub(crate) fn batch(&self, message: &mut Vec<u8>, topic: &str, kind: &str, payload: &[u8]) {
        tickcast::batch(message, topic, kind, payload);
    }

    /// Appends the frame of a batch, and begins another one.
    pub(crate) fn end_batch(&self, out: &mut Vec<u8>, message: &mut Vec<u8>) {
        message.extend(b"]}");
        wire::masked(out, FIN | self.opcode(), message);
        message.clear();
    }

    /// Decodes `bytes`, and calls `each` with the meaning of each message. Returns how many bytes were used up: in a
    /// stream, the rest is the beginning of a message; otherwise `bytes` is one message, which is used up.
    pub(crate) fn decode(&self, bytes: &[u8], each: &mut impl FnMut(Received<'_>)) -> Result<usize, String> {
        match self {
            Self::Tickcast => tickcast::decode(bytes, each),
            Self::Nats => return nats::decode(bytes, each),
            Self::Mqtt => return mqtt::decode(bytes, each),
            Self::Centrifugo => bytes.split(|byte| *byte == b'\n').for_each(|line| centrifugo::decode(line, each)),
            Self::Generic(_) => generic::decode(bytes, each),
        }
        Ok(bytes.len())
    }
}
