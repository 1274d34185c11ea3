//! Publishing over a real connection, to a scripted broker that loses connections and refuses updates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use fastwebsockets::{Frame, OpCode, Payload, WebSocket, upgrade};
use feed_sim::Summary;
use feed_sim::publish::{Broker, Target};
use feed_sim::run::{Play, RunError, run};
use feed_sim::scenario::{Simulated, find};
use feed_sim::schedule::{Pace, Until};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;

/// What becomes of a connection after some messages.
#[derive(Clone, Copy)]
enum End {
    /// The message is lost with the connection.
    BeforeTaking,
    /// The message is taken in, and the answer is lost.
    BeforeAnswering,
    /// Closed in a way that forbids to come back.
    Forbidden,
    /// From then on it says nothing.
    Silence,
}

#[derive(Default)]
struct Taken {
    /// Every update that was published, in order: topic and the source's number.
    updates: Vec<(String, u64)>,
    newest: HashMap<String, u64>,
    sources: Vec<String>,
}

struct Scripted {
    taken: Mutex<Taken>,
    /// How each connection ends, and after how many messages; later ones stay.
    script: Vec<(usize, End)>,
    silent: Notify,
}

impl Scripted {
    async fn start(script: Vec<(usize, End)>) -> (Arc<Scripted>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}/v1/ws", listener.local_addr().expect("an address"));
        let broker = Arc::new(Scripted { taken: Mutex::default(), script, silent: Notify::new() });
        let accepting = broker.clone();
        tokio::spawn(async move {
            for number in 0.. {
                let (socket, _) = listener.accept().await.expect("a connection");
                tokio::spawn(accepting.clone().handshake(socket, number));
            }
        });
        (broker, url)
    }

    async fn handshake(self: Arc<Self>, socket: TcpStream, number: usize) {
        let service = service_fn(move |mut request: Request<Incoming>| {
            let broker = self.clone();
            async move {
                let (response, upgraded) = upgrade::upgrade(&mut request)?;
                tokio::spawn(async move {
                    let socket = upgraded.await.expect("an upgrade");
                    broker.converse(socket, number).await;
                });
                Ok::<Response<Empty<Bytes>>, fastwebsockets::WebSocketError>(response)
            }
        });
        // The client may leave in the middle: that is its affair.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades().await;
    }

    async fn converse(&self, mut socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>, number: usize) {
        let hello = json!({"op": "hello", "protocol": "tickcast.v1", "server": "scripted", "session": number.to_string(),
            "heartbeat_ms": 25_000, "features": [], "limits": {"subscriptions": 1, "message_bytes": 65_536,
            "image_bytes": 65_536, "behind_bytes": 65_536, "retain_updates": 1, "stall_ms": 60_000}});
        if write(&mut socket, &hello).await.is_err() {
            return;
        }
        let mut messages = 0;
        while let Ok(frame) = socket.read_frame().await {
            if frame.opcode != OpCode::Text {
                return;
            }
            let request: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            assert!(frame.payload.len() <= 65_536, "within the limit of the hello");
            drop(frame);
            messages += 1;
            let end = self.script.get(number).filter(|(after, _)| *after < messages).map(|(_, end)| *end);
            match end {
                Some(End::BeforeTaking) => return,
                Some(End::Forbidden) => {
                    let _ = socket.write_frame(Frame::close(4003, b"no")).await;
                    // Closed with bytes unread, the connection would be reset, and the close frame lost on its way.
                    while socket.read_frame().await.is_ok_and(|frame| frame.opcode != OpCode::Close) {}
                    return;
                }
                Some(End::Silence) => self.silent.notify_one(),
                Some(End::BeforeAnswering) => {
                    self.take(&request);
                    return;
                }
                None => {
                    let answer = self.take(&request);
                    if write(&mut socket, &answer).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Publishes as PROTOCOL §3 says, but refuses everything about KO.
    fn take(&self, request: &Value) -> Value {
        let mut taken = self.taken.lock().expect("nobody panicked");
        let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
        let batch = request["batch"].as_array().expect("published in batches");
        for (index, update) in batch.iter().enumerate() {
            let topic = update["topic"].as_str().expect("a topic");
            let source_seq = update["source_seq"].as_u64().expect("a number");
            let source = update["source"].as_str().expect("a name");
            if !taken.sources.iter().any(|known| known == source) {
                taken.sources.push(source.to_owned());
            }
            if topic.starts_with("stocks.KO.") {
                rejected.push(json!({"index": index, "code": "kind_mismatch", "message": "not here"}));
                continue;
            }
            accepted += 1;
            if taken.newest.get(topic).is_some_and(|newest| source_seq <= *newest) {
                duplicates += 1;
            } else {
                taken.newest.insert(topic.to_owned(), source_seq);
                taken.updates.push((topic.to_owned(), source_seq));
            }
        }
        json!({"op": "published", "id": request["id"], "accepted": accepted, "duplicates": duplicates, "rejected": rejected})
    }
}

async fn write<S>(socket: &mut WebSocket<S>, message: &Value) -> Result<(), fastwebsockets::WebSocketError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.write_frame(Frame::text(Payload::Owned(message.to_string().into_bytes()))).await
}

async fn publish(url: &str, updates: u64, stop: impl Future<Output = ()>) -> (Summary, Result<(), RunError>) {
    let target = Target::Broker(Box::new(Broker::connect(url).await.expect("a connection")));
    let scenario = Simulated(find("stocks").expect("in the catalogue").build(1, None));
    let play = Play { pace: Pace::Max, until: Until { duration: None, updates: Some(updates) }, strict: false };
    run(scenario, play, target, stop).await
}

/// The numbers of the updates of a run that the scripted broker does not refuse.
fn expected(updates: u64) -> Vec<(String, u64)> {
    let mut scenario = find("stocks").expect("in the catalogue").build(1, None);
    (1..=updates)
        .map(|source_seq| (scenario.next().publication.topic, source_seq))
        .filter(|(topic, _)| !topic.starts_with("stocks.KO."))
        .collect()
}

#[tokio::test]
async fn what_is_published_arrives_in_order_and_refusals_are_counted() {
    let (broker, url) = Scripted::start(vec![]).await;
    let (summary, result) = publish(&url, 20_000, std::future::pending()).await;
    result.expect("it ends well");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert_eq!(taken.updates, expected(20_000));
    assert_eq!(summary.published, 20_000);
    assert_eq!(summary.acknowledged, taken.updates.len() as u64);
    assert_eq!(summary.rejected_updates(), 20_000 - summary.acknowledged);
    let (code, rejected) = summary.rejected.first_key_value().expect("one reason");
    assert_eq!(code, "kind_mismatch");
    assert!(rejected.first.starts_with("stocks.KO.") && rejected.first.ends_with(": not here"), "{}", rejected.first);
    assert_eq!((summary.duplicates, summary.unanswered, summary.reconnects), (0, 0, 0));
}

#[tokio::test]
async fn a_lost_connection_loses_doubles_and_reorders_nothing() {
    let (broker, url) =
        Scripted::start(vec![(5, End::BeforeAnswering), (3, End::BeforeTaking), (0, End::BeforeTaking)]).await;
    let (summary, result) = publish(&url, 30_000, std::future::pending()).await;
    result.expect("it ends well");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert_eq!(taken.updates, expected(30_000));
    assert_eq!(taken.sources.len(), 1);
    assert_eq!(summary.acknowledged + summary.rejected_updates(), 30_000);
    assert!(summary.duplicates > 0, "the answer to what was taken was lost, so it was sent again");
    assert_eq!(summary.reconnects, 3);
}

#[tokio::test]
async fn a_broker_that_forbids_to_come_back_ends_it() {
    let (broker, url) = Scripted::start(vec![(4, End::Forbidden)]).await;
    let (summary, result) = publish(&url, 1_000_000, std::future::pending()).await;
    assert!(matches!(result, Err(RunError::TargetGone(_))), "{result:?}");
    let taken = broker.taken.lock().expect("nobody panicked");
    assert!(summary.acknowledged <= taken.updates.len() as u64);
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered);
}

#[tokio::test]
async fn a_stop_does_not_wait_for_ever_for_a_broker_that_says_nothing() {
    let (broker, url) = Scripted::start(vec![(2, End::Silence)]).await;
    let (summary, result) = publish(&url, 1_000_000, broker.silent.notified()).await;
    result.expect("a stop is no error");
    assert!(summary.unanswered > 0);
    assert_eq!(summary.published, summary.acknowledged + summary.rejected_updates() + summary.unanswered);
}
