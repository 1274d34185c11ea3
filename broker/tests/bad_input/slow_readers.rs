//! Clients that read slowly: they do not count as stalled, whatever protocol they use.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::common::{Client, Hands, PATIENCE, Running};

const STALL: Duration = Duration::from_secs(3);
/// Bytes per second. With the default `stall_ms` it would be 2,000: a reader with the kernel's default receive buffer
/// opens its window about once in `stall_ms`, and less often if the kernel has enlarged the buffer.
const RATE: f64 = 2_000.0 * 60.0 / STALL.as_secs() as f64;
/// How long they read slowly: several times `stall_ms`.
const SLOWLY: Duration = Duration::from_secs(16);
/// The interval between two reads.
const EVERY: Duration = Duration::from_millis(20);
/// The data of the last update contains this.
const LAST: &[u8] = b"this is the last one";

fn connect(broker: &Running, receive_bytes: Option<usize>) -> TcpStream {
    let socket = Socket::new(Domain::for_address(broker.listen), Type::STREAM, None).unwrap();
    if let Some(bytes) = receive_bytes {
        socket.set_recv_buffer_size(bytes).unwrap();
    }
    socket.connect(&broker.listen.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// Connects a WebSocket that is subscribed to `long`.
fn subscriber(broker: &Running, receive_bytes: Option<usize>) -> TcpStream {
    let mut client = Client::with(broker.listen, Hands { receive_bytes, deaf: true }, &[], b"");
    client.subscribe(&["long"]);
    client.stream.try_clone().unwrap()
}

/// Connects a socket that has sent a request over HTTP.
fn asker(broker: &Running, line: &str) -> TcpStream {
    let mut stream = connect(broker, None);
    write!(stream, "GET {line} HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen).unwrap();
    stream
}

/// Reads slowly for a while, then as fast as it can, until the last update has come.
fn read_slowly(name: &str, mut stream: TcpStream) {
    let begin = Instant::now();
    let mut bytes = [0; 65_536];
    let mut taken = 0;
    while begin.elapsed() < SLOWLY {
        let due = (begin.elapsed().as_secs_f64() * RATE) as usize;
        let len = due.saturating_sub(taken).min(bytes.len());
        if len > 0 {
            let read = stream.read(&mut bytes[..len]).unwrap_or(0);
            assert!(
                read > 0,
                "{name}: closed after {:?} and {taken} bytes, though it read all the time",
                begin.elapsed()
            );
            taken += read;
        }
        std::thread::park_timeout(EVERY);
    }
    let mut tail = Vec::new();
    while !tail.windows(LAST.len()).any(|some| some == LAST) {
        let kept = tail.len().min(LAST.len());
        tail.drain(..tail.len() - kept);
        let read = stream.read(&mut bytes).unwrap();
        assert!(read > 0, "{name}: closed before the last update");
        tail.extend_from_slice(&bytes[..read]);
    }
}

#[test]
fn slow_readers_are_served_and_clients_that_read_nothing_are_closed() {
    // A large send buffer becomes writable again only when a third of it is free: every 17 seconds at this rate.
    let broker = Running::with(&[
        ("stall_ms", &STALL.as_millis().to_string()),
        ("send_buffer_bytes", "1048576"),
        ("notsent_lowat_bytes", "0"),
        ("retain_bytes", "33554432"),
    ]);
    let mut readers = vec![
        ("WebSocket", subscriber(&broker, None)),
        ("WebSocket with a small buffer", subscriber(&broker, Some(8_192))),
        ("Server-Sent Events", asker(&broker, "/v1/sse?topic=long")),
    ];
    let deaf = [subscriber(&broker, None), asker(&broker, "/v1/sse?topic=long")];
    broker.until_metric("tickcast_connections", |count| count == 5.0);
    // More than the kernel's buffers hold and than the clients read slowly.
    let fill = "x".repeat(60_000);
    for _ in 0..160 {
        broker.publish("long", "event", &format!("\"{fill}\""));
    }
    broker.publish("long", "event", &format!("\"{}\"", String::from_utf8_lossy(LAST)));
    readers.push(("history", asker(&broker, "/v1/topics/long/history?last=100000")));
    std::thread::scope(|scope| {
        for (name, reader) in readers {
            scope.spawn(|| read_slowly(name, reader));
        }
        broker.until_metric(r#"tickcast_closed_total{reason="slow"}"#, |count| count == deaf.len() as f64);
    });
    assert_eq!(broker.metric(r#"tickcast_closed_total{reason="slow"}"#), deaf.len() as f64);
    drop(deaf);
    broker.assert_settles();
}
