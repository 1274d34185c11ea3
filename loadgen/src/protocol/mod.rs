//! How servers are spoken to: what to say to get topics and to publish, and what their messages mean.

mod centrifugo;
mod generic;
mod mqtt;
mod nats;
mod tickcast;

use clap::ValueEnum;
use serde::{Deserialize, Serialize};

pub(crate) use generic::Templates;

use ws_frames::{self as wire, FIN};

/// A server's language.
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
    /// Any server: what is sent comes from templates, what arrives is found by the payload in it.
    Generic,
}

/// What a message means to the load.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Heard<'a> {
    /// An update with its payload.
    Update {
        /// Empty where the server does not say: then the payload does.
        topic: &'a [u8],
        /// The server's own number of it.
        seq: Option<u64>,
        /// The first of the updates that it stands for, where it stands for several.
        from: Option<u64>,
        /// When the server took it in, µs since the UNIX epoch.
        ts_us: u64,
        data: &'a [u8],
    },
    /// The state, in place of everything up to `seq`.
    Image { topic: &'a [u8], seq: u64, ts_us: u64, data: &'a [u8] },
    /// What is lost, and was said to be.
    Gap { topic: &'a [u8], from: u64, to: u64 },
    /// A stream begins: after this `seq`, or anywhere where `None`.
    Begins { topic: &'a [u8], epoch: &'a str, after: After },
    /// The topic ended.
    Closed { topic: &'a [u8] },
    /// The subscriptions are in effect.
    Subscribed,
    /// Something that was asked for was refused.
    Refused(String),
    /// To be answered with these bytes of the protocol.
    Reply(&'static [u8]),
}

/// Where a stream begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum After {
    /// The next is the one after this.
    Seq(u64),
    /// The next is whatever comes, an image or an update.
    Anything,
    /// It goes on as if nothing had happened.
    Last,
}

/// What a subscriber asks for.
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
    /// What it has already: the epoch and the `seq`.
    pub(crate) has: Option<(&'a str, u64)>,
}

/// A language with what it needs to be spoken.
#[derive(Debug, Clone)]
pub(crate) enum Protocol {
    Tickcast,
    Nats,
    Mqtt,
    Centrifugo,
    Generic(Templates),
}

impl Protocol {
    /// What stands behind host and port where the target says nothing.
    pub(crate) fn default_path(&self) -> &'static str {
        match self {
            Self::Tickcast => "/v1/ws",
            Self::Mqtt => "/mqtt",
            Self::Centrifugo => "/connection/websocket",
            Self::Nats | Self::Generic(_) => "/",
        }
    }

    /// `Sec-WebSocket-Protocol`, where the server wants one.
    pub(crate) fn subprotocol(&self) -> Option<&str> {
        match self {
            Self::Tickcast => Some("tickcast.v1.json"),
            Self::Mqtt => Some("mqtt"),
            Self::Nats | Self::Centrifugo => None,
            Self::Generic(templates) => templates.subprotocol.as_deref(),
        }
    }

    /// The path for one subscriber: some servers want the topic there.
    pub(crate) fn subscriber_path(&self, path: &str, entries: &[Entry<'_>]) -> String {
        match self {
            Self::Generic(templates) => templates.path(path, entries),
            _ => path.to_owned(),
        }
    }

    /// The topics for which a publisher needs a connection of its own: where the topic stands in the path.
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

    /// Whether subscribing is answered, so that a subscriber without an answer is not there yet.
    pub(crate) fn answers(&self) -> bool {
        matches!(self, Self::Tickcast)
    }

    /// Whether a message may lie in several WebSocket frames, and a frame may hold several messages.
    pub(crate) fn is_stream(&self) -> bool {
        matches!(self, Self::Nats | Self::Mqtt)
    }

    /// Whether a message may hold several of the protocol's, a line each.
    pub(crate) fn is_lines(&self) -> bool {
        matches!(self, Self::Centrifugo)
    }

    /// How messages go out.
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

    /// Appends the frames that a subscriber sends first.
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

    /// Appends the frames that the publisher of this number sends first.
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

    /// Appends the frame that publishes a payload. `text` is scratch.
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

    /// Tells what the bytes at hand mean. Of a stream, returns how many were used up: the rest is the beginning of a
    /// message; of others, one message was given, and is used up.
    pub(crate) fn hear(&self, bytes: &[u8], each: &mut impl FnMut(Heard<'_>)) -> Result<usize, String> {
        match self {
            Self::Tickcast => tickcast::hear(bytes, each),
            Self::Nats => return nats::hear(bytes, each),
            Self::Mqtt => return mqtt::hear(bytes, each),
            Self::Centrifugo => bytes.split(|byte| *byte == b'\n').for_each(|line| centrifugo::hear(line, each)),
            Self::Generic(_) => generic::hear(bytes, each),
        }
        Ok(bytes.len())
    }
}
