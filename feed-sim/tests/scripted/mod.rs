//! A scripted broker that loses connections and refuses updates. Each test uses a part of it.
#![allow(dead_code, reason = "every test compiles its own copy and uses some of it")]

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fastwebsockets::{Frame, OpCode, Payload, WebSocket, upgrade};
use http_body_util::Empty;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, watch};

/// How long after a restart a connection notices it: much later than a run would have ended.
const SLOW: Duration = Duration::from_millis(500);

/// How a connection ends after some messages.
#[derive(Clone, Copy)]
pub(crate) enum End {
    /// The message is lost with the connection.
    BeforeTaking,
    /// The message is taken in, and the answer is lost.
    BeforeAnswering,
    /// The broker closes it for a reason that forbids reconnecting.
    Forbidden,
    /// The broker sends nothing from then on.
    Silence,
    /// The message is lost with all connections, and the broker comes back with nothing: no topics, no sources.
    Restart,
}

#[derive(Default)]
pub(crate) struct Taken {
    /// Every update that was published, in order: topic and the source's number (0 without one).
    pub(crate) updates: Vec<(String, u64)>,
    /// The data of each of them.
    pub(crate) data: Vec<String>,
    /// The state of each topic that has one.
    pub(crate) states: HashMap<String, Value>,
    /// A topic, and the number of its updates after which it ends.
    pub(crate) ends: Option<(String, u64)>,
    /// After this many updates the next message restarts the broker. All other connections notice it late.
    pub(crate) restarts_after: Option<usize>,
    restarted: bool,
    /// A topic whose states are refused from then on.
    pub(crate) refused: Option<String>,
    /// The token without which nothing is taken.
    pub(crate) token: Option<String>,
    newest: HashMap<String, u64>,
    pub(crate) sources: Vec<String>,
    /// The most updates in a batch.
    pub(crate) batch_max: usize,
    /// Updates by connection.
    pub(crate) by_connection: HashMap<usize, u64>,
}

pub(crate) struct Scripted {
    pub(crate) taken: Mutex<Taken>,
    /// How each connection ends, and after how many messages; later ones stay.
    script: Vec<(usize, End)>,
    pub(crate) silent: Notify,
    restarts: watch::Sender<u64>,
}

impl Taken {
    fn lose(&mut self) {
        self.states.clear();
        self.newest.clear();
    }
}

impl Scripted {
    /// Loses every connection, and everything that the broker had.
    pub(crate) fn restart(&self) {
        self.taken.lock().expect("nobody panicked").lose();
        self.restarts.send_modify(|restarts| *restarts += 1);
    }

    fn restarts_now(&self) -> bool {
        let mut taken = self.taken.lock().expect("nobody panicked");
        let now = taken.restarts_after.is_some_and(|after| taken.updates.len() >= after);
        if now {
            (taken.restarts_after, taken.restarted) = (None, true);
        }
        now
    }

    pub(crate) async fn start(script: Vec<(usize, End)>) -> (Arc<Scripted>, String) {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("ws://{}/v1/ws", listener.local_addr().expect("an address"));
        let broker = Arc::new(Scripted {
            taken: Mutex::default(),
            script,
            silent: Notify::new(),
            restarts: watch::Sender::default(),
        });
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
        // The client may leave in the middle, which is not an error here.
        let _ = http1::Builder::new().serve_connection(TokioIo::new(socket), service).with_upgrades().await;
    }

    async fn converse(&self, mut socket: WebSocket<TokioIo<hyper::upgrade::Upgraded>>, number: usize) {
        let token = self.taken.lock().expect("nobody panicked").token.clone();
        let features = if token.is_some() { json!(["auth"]) } else { json!([]) };
        let hello = json!({"op": "hello", "protocol": "tickcast.v1", "server": "scripted", "session": number.to_string(),
            "heartbeat_ms": 25_000, "features": features, "limits": {"subscriptions": 1, "message_bytes": 65_536,
            "image_bytes": 65_536, "behind_bytes": 65_536, "retain_updates": 1, "stall_ms": 60_000}});
        if write(&mut socket, &hello).await.is_err() {
            return;
        }
        let mut messages = 0;
        let mut restarts = self.restarts.subscribe();
        loop {
            let frame = tokio::select! {
                frame = socket.read_frame() => frame,
                _ = restarts.changed() => {
                    let is_late = self.taken.lock().expect("nobody panicked").restarted;
                    if is_late {
                        tokio::time::sleep(SLOW).await;
                    }
                    return;
                }
            };
            let Ok(frame) = frame else { return };
            if frame.opcode != OpCode::Text {
                return;
            }
            let request: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            assert!(frame.payload.len() <= 65_536, "within the limit of the hello");
            drop(frame);
            if request["op"] == "ping" {
                let pong = json!({"op": "pong", "id": request["id"], "ts": 1});
                if write(&mut socket, &pong).await.is_err() {
                    return;
                }
                continue;
            }
            if request["op"] == "auth" {
                let allow = json!({"sub": [">"], "pub": [">"], "deny": []});
                let answer = match token.as_deref() == request["token"].as_str() {
                    true => {
                        json!({"op": "authenticated", "id": request["id"], "sub": "feed", "expires_ts": null, "allow": allow})
                    }
                    false => {
                        json!({"op": "error", "id": request["id"], "code": "bad_token", "message": "unknown", "retry": false})
                    }
                };
                if write(&mut socket, &answer).await.is_err() {
                    return;
                }
                continue;
            }
            if self.restarts_now() {
                self.restart();
                return;
            }
            messages += 1;
            let end = self.script.get(number).filter(|(after, _)| *after < messages).map(|(_, end)| *end);
            match end {
                Some(End::BeforeTaking) => return,
                Some(End::Restart) => {
                    self.restart();
                    return;
                }
                Some(End::Forbidden) => {
                    let _ = socket.write_frame(Frame::close(4003, b"no")).await;
                    // Closing with bytes unread would reset the connection and lose the close frame.
                    while socket.read_frame().await.is_ok_and(|frame| frame.opcode != OpCode::Close) {}
                    return;
                }
                Some(End::Silence) => self.silent.notify_one(),
                Some(End::BeforeAnswering) => {
                    self.take(number, &request);
                    return;
                }
                None => {
                    let answer = self.take(number, &request);
                    if write(&mut socket, &answer).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// Takes updates by the protocol, but refuses everything about KO.
    fn take(&self, connection: usize, request: &Value) -> Value {
        let mut taken = self.taken.lock().expect("nobody panicked");
        let (mut accepted, mut duplicates, mut rejected) = (0, 0, Vec::new());
        let batch = request["batch"].as_array().expect("published in batches");
        taken.batch_max = taken.batch_max.max(batch.len());
        for (index, update) in batch.iter().enumerate() {
            let topic = update["topic"].as_str().expect("a topic");
            let source = update["source"].as_str();
            let source_seq = update["source_seq"].as_u64();
            assert_eq!(source.is_some(), source_seq.is_some());
            if let Some(source) = source
                && !taken.sources.iter().any(|known| known == source)
            {
                taken.sources.push(source.to_owned());
            }
            if topic.starts_with("stocks.KO.") {
                rejected.push(json!({"index": index, "code": "kind_mismatch", "message": "not here"}));
                continue;
            }
            let kind = update["kind"].as_str().expect("a kind");
            if kind == "patch" && !taken.states.contains_key(topic) {
                rejected.push(json!({"index": index, "code": "no_state", "message": "publish a state first"}));
                continue;
            }
            if kind == "state" && taken.refused.as_deref() == Some(topic) {
                rejected.push(json!({"index": index, "code": "limit", "message": "no room"}));
                continue;
            }
            accepted += 1;
            if source_seq.is_some_and(|seq| taken.newest.get(topic).is_some_and(|newest| seq <= *newest)) {
                duplicates += 1;
                continue;
            }
            if let Some(source_seq) = source_seq {
                taken.newest.insert(topic.to_owned(), source_seq);
            }
            taken.updates.push((topic.to_owned(), source_seq.unwrap_or(0)));
            taken.data.push(update["data"].to_string());
            match kind {
                "state" => _ = taken.states.insert(topic.to_owned(), update["data"].clone()),
                "patch" => merge(taken.states.entry(topic.to_owned()).or_default(), &update["data"]),
                _ => {}
            }
            if let Some((ends, after)) = &mut taken.ends
                && ends == topic
            {
                *after -= 1;
                if *after == 0 {
                    let ended = taken.ends.take().map(|(topic, _)| topic).unwrap_or_default();
                    taken.states.remove(&ended);
                    taken.newest.remove(&ended);
                }
            }
            *taken.by_connection.entry(connection).or_default() += 1;
        }
        json!({"op": "published", "id": request["id"], "accepted": accepted, "duplicates": duplicates, "rejected": rejected})
    }
}

/// RFC 7396.
pub(crate) fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (name, value) in patch {
        if value.is_null() {
            target.as_object_mut().expect("made one above").remove(name);
        } else {
            merge(&mut target[name], value);
        }
    }
}

async fn write<S>(socket: &mut WebSocket<S>, message: &Value) -> Result<(), fastwebsockets::WebSocketError>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket.write_frame(Frame::text(Payload::Owned(message.to_string().into_bytes()))).await
}
