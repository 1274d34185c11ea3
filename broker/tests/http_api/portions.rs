//! Answers that are made and written in portions: however long they are, they are the same as in one piece.

use broker::http::BodyBudget;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;

use super::server::{Server, limits, start, start_all};

async fn publish_many(server: &Server, lines: impl Iterator<Item = String>) {
    let lines: Vec<String> = lines.collect();
    for some in lines.chunks(90) {
        let answer = server.post("/v1/publish", &some.join("\n")).await.json();
        assert_eq!(answer["accepted"], some.len(), "{answer}");
    }
}

#[tokio::test]
async fn a_long_listing_is_whole() {
    let server = start().await;
    publish_many(&server, (0..3_000).map(|n| format!("{{\"topic\":\"t.{n:04}.x\",\"data\":1}}"))).await;
    let answer = server.get("/v1/topics?limit=1000").await;
    assert!(answer.body.len() > 64 << 10, "{} bytes are in one portion", answer.body.len());
    let page = answer.json();
    let names: Vec<&str> =
        page["topics"].as_array().unwrap().iter().map(|row| row["topic"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..1_000).map(|number| format!("t.{number:04}.x")).collect();
    assert_eq!((names, &page["next"]), (expected.iter().map(String::as_str).collect(), &Value::from("t.0999.x")));
    // A short one has a `Content-Length`.
    let short = server.get("/v1/topics?match=t.2999.*").await;
    assert_eq!(short.header("content-length"), Some(&*short.body.len().to_string()), "{short:?}");
    // A listing that finds nothing has to visit all topics.
    let none = server.get("/v1/topics?match=*.*.nothing").await;
    assert_eq!((none.status, none.body.as_str()), (200, "{\"topics\":[],\"next\":null}"));
}

#[tokio::test]
async fn a_long_history_is_whole() {
    let server = start().await;
    let data = "x".repeat(900);
    for number in 0..700 {
        let answer = server.post("/v1/topics/long", &format!("\"{number} {data}\"")).await;
        assert_eq!(answer.status, 200);
    }
    let page = server.get("/v1/topics/long/history?last=600").await.json();
    let updates = page["updates"].as_array().unwrap();
    assert_eq!((updates.len(), &page["seq"], &page["oldest"]), (600, &700.into(), &1.into()));
    for (index, update) in updates.iter().enumerate() {
        assert_eq!((update["seq"].as_u64(), update["op"].as_str()), (Some(index as u64 + 101), Some("update")));
        assert!(update["data"].as_str().unwrap().starts_with(&format!("{} ", index + 100)));
    }
}

/// Connects a client that requests the history of `long`, and reads only its first byte.
async fn ask_slowly(server: &Server) -> tokio::net::TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut stream = socket.connect(server.address).await.unwrap();
    let line = "GET /v1/topics/long/history?last=100000 HTTP/1.1\r\nConnection: close\r\n";
    stream.write_all(format!("{line}Host: {}\r\n\r\n", server.address).as_bytes()).await.unwrap();
    stream.read_exact(&mut [0]).await.unwrap();
    stream
}

/// Publishes updates of 60 KB each.
fn fill(server: &Server, updates: u64) {
    let data = format!("\"{}\"", "x".repeat(60_000));
    for _ in 0..updates {
        let data = broker_protocol::data::Data::check(&data).unwrap();
        let kind = Some(broker_protocol::kind::Kind::Event);
        let update =
            broker_protocol::request::Publication { topic: "long".into(), kind, data, source: None, source_ts: None };
        server.context.engine.publish((server.context.now)(), &update, broker_engine::Publisher::Client).unwrap();
    }
}

#[tokio::test]
async fn updates_that_expire_while_a_history_is_read_become_a_gap() {
    let server = super::server::start_with(|limits| limits.retain.bytes = 40 << 20).await;
    fill(&server, 600);
    let mut slow = ask_slowly(&server).await;
    // All updates that were requested expire before the client reads on.
    fill(&server, 1_000);
    let mut text = String::from("H");
    slow.read_to_string(&mut text).await.unwrap();
    let page = super::server::parse(&text).json();
    assert_eq!(page["seq"], 600);
    let mut next = 1;
    let mut gaps = 0;
    for message in page["updates"].as_array().unwrap() {
        match message["op"].as_str().unwrap() {
            "update" => {
                assert_eq!(message["seq"].as_u64(), Some(next));
                next += 1;
            }
            "gap" => {
                assert_eq!((message["from"].as_u64(), &message["reason"]), (Some(next), &"expired".into()));
                next = message["to"].as_u64().unwrap() + 1;
                gaps += 1;
            }
            _ => panic!("{message}"),
        }
    }
    assert_eq!((next, gaps), (601, 1));
}

#[tokio::test]
async fn a_client_that_reads_nothing_holds_one_portion_and_gives_way_to_others() {
    let mut limits = limits();
    limits.retain.bytes = 40 << 20;
    let server = start_all("192.0.2.1", |context| context.bodies = BodyBudget::new(400_000), limits, Vec::new()).await;
    let image = format!("{{\"topic\":\"image\",\"kind\":\"state\",\"data\":\"{}\"}}", "x".repeat(900));
    publish_many(&server, std::iter::once(image)).await;
    fill(&server, 600);
    let mut slow = Vec::new();
    for _ in 0..20 {
        slow.push(ask_slowly(&server).await);
    }
    assert!(server.context.bodies.bytes() <= 400_000);
    assert!(server.context.bodies.given_up() > 10, "{} gave way", server.context.bodies.given_up());
    for path in ["/v1/topics/image", "/v1/topics?limit=10", "/v1/images"] {
        assert_eq!(server.get(path).await.status, 200, "{path}");
    }
    drop(slow);
    while server.context.bodies.bytes() > 0 {
        tokio::task::yield_now().await;
    }
}
