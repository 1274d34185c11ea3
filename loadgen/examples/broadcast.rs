//! The reference that Tickcast is measured against: an obvious first implementation of a fan-out server with tokio, a
//! task for each connection, and a `tokio::sync::broadcast` channel for each topic. It is not a straw man: everything
//! in it follows the documentation of these crates, and nothing in it is clever.
//!
//! ```text
//! cargo run --release -p loadgen --example broadcast -- PORT
//! ```
//!
//! A client sends text messages: `{"subscribe":["a","b"]}` follows topics from now on, and `{"topic":"a","data":…}`
//! publishes. Clients that follow `a` get `data`, byte for byte, as a text message.
//!
//! It leaves out what a broker is for. There are no sequence numbers, so a client cannot tell whether something is
//! missing; no images, so a client that comes late has no state; and a client that is more than [`MESSAGES_KEPT`]
//! behind loses the oldest messages.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use futures_util::SinkExt as _;
use serde::Deserialize;
use serde_json::value::RawValue;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast;
use tokio_stream::wrappers::{BroadcastStream, errors::BroadcastStreamRecvError};
use tokio_stream::{StreamExt as _, StreamMap};
use tokio_tungstenite::tungstenite::{self, Message, Utf8Bytes};

/// Messages that a channel keeps for its slowest receiver: a common number in examples, and ten seconds of the simplest
/// scenario. A channel allocates room for all of them at once.
const MESSAGES_KEPT: usize = 1024;

/// A client's message of either kind. (An untagged enum would be prettier, but cannot hold a `RawValue`.)
#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default)]
    subscribe: Vec<String>,
    /// Kept as the client wrote it: parsing and writing it again would cost more, and change it.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    topic: Option<String>,
}

/// The channel of each topic that a client follows or has followed. Its messages are reference counted: a message is
/// stored once, however many clients receive it.
#[derive(Default)]
struct Topics(Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>);

impl Topics {
    fn subscribe(&self, topic: &str) -> broadcast::Receiver<Utf8Bytes> {
        let mut topics = self.0.lock().expect("nobody panics while holding it");
        let channel = topics.entry(topic.to_owned()).or_insert_with(|| broadcast::channel(MESSAGES_KEPT).0);
        channel.subscribe()
    }

    fn publish(&self, topic: &str, message: Utf8Bytes) {
        let topics = self.0.lock().expect("nobody panics while holding it");
        if let Some(channel) = topics.get(topic) {
            // Fails if no client follows the topic any more, which is fine.
            let _ = channel.send(message);
        }
    }
}

// As many threads as there are cores that the process may use.
#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let port = std::env::args().nth(1).and_then(|port| port.parse::<u16>().ok());
    let Some(port) = port else { anyhow::bail!("usage: broadcast PORT") };
    let topics = Arc::new(Topics::default());
    let listener = TcpListener::bind(("127.0.0.1", port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        let topics = topics.clone();
        tokio::spawn(async move {
            // It ends with an error whenever a client leaves without a close frame, which is not worth reporting.
            let _ = serve(socket, &topics).await;
        });
    }
}

/// One connection, until it ends.
async fn serve(socket: TcpStream, topics: &Topics) -> tungstenite::Result<()> {
    // Otherwise the kernel holds a small message back until the one before it is acknowledged.
    socket.set_nodelay(true)?;
    let mut socket = tokio_tungstenite::accept_async(socket).await?;
    let mut followed = StreamMap::new();
    loop {
        tokio::select! {
            incoming = socket.next() => match incoming.transpose()? {
                Some(Message::Text(text)) => handle(&text, topics, &mut followed),
                Some(_) => {}
                None => return Ok(()),
            },
            // An empty map has ended, and would end again and again.
            Some((topic, update)) = followed.next(), if !followed.is_empty() => match update {
                Ok(message) => socket.send(Message::Text(message)).await?,
                Err(BroadcastStreamRecvError::Lagged(lost)) => {
                    eprintln!("a subscriber of {topic} was too slow and lost {lost} messages");
                }
            },
        }
    }
}

/// Handles a client's message; invalid messages are ignored.
fn handle(text: &str, topics: &Topics, followed: &mut StreamMap<String, BroadcastStream<Utf8Bytes>>) {
    let Ok(request) = serde_json::from_str::<Request<'_>>(text) else { return };
    for topic in request.subscribe {
        let receiver = topics.subscribe(&topic);
        followed.insert(topic, BroadcastStream::new(receiver));
    }
    if let (Some(topic), Some(data)) = (request.topic, request.data) {
        topics.publish(&topic, data.get().into());
    }
}
