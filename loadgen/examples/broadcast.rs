//! The reference that Tickcast is measured against: a fan-out server as one writes it first, with tokio, a task for each
//! connection, and a `tokio::sync::broadcast` channel for each topic. It is no straw man: everything in it is what the
//! documentation of these crates suggests, and nothing in it is clever.
//!
//! ```text
//! cargo run --release -p loadgen --example broadcast -- PORT
//! ```
//!
//! A client sends text messages: `{"subscribe":["a","b"]}` follows topics from now on, and `{"topic":"a","data":…}`
//! publishes. Whoever follows `a` gets what `data` is, byte for byte, as a text message.
//!
//! What it leaves out is what a broker is for. There are no sequence numbers, so nobody can tell whether something is
//! missing; no images, so who comes late knows nothing; and who is slower than [`MESSAGES_KEPT`] loses the oldest.

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

/// Messages that a channel keeps for its slowest receiver: the number of many an example, and ten seconds of the plainest
/// scenario. A channel allocates room for all of them at once.
const MESSAGES_KEPT: usize = 1024;

/// What a client says: one or the other. (As an untagged enum it would be prettier, but that cannot hold a `RawValue`.)
#[derive(Deserialize)]
struct Said<'a> {
    #[serde(default)]
    subscribe: Vec<String>,
    /// Kept as it is written: parsing and writing it again would cost more, and change it.
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    topic: Option<String>,
}

/// The channel of each topic that anybody follows or has followed. Its messages are reference counted: a message is
/// stored once, however many receive it.
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
            // Fails where nobody follows the topic any more, and that is fine.
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
            // It ends with an error whenever a client goes without saying goodbye: nobody needs to be told.
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
                Some(Message::Text(text)) => hear(&text, topics, &mut followed),
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

/// Does what a client says; what is no message of ours is ignored.
fn hear(text: &str, topics: &Topics, followed: &mut StreamMap<String, BroadcastStream<Utf8Bytes>>) {
    let Ok(said) = serde_json::from_str::<Said<'_>>(text) else { return };
    for topic in said.subscribe {
        let receiver = topics.subscribe(&topic);
        followed.insert(topic, BroadcastStream::new(receiver));
    }
    if let (Some(topic), Some(data)) = (said.topic, said.data) {
        topics.publish(&topic, data.get().into());
    }
}
