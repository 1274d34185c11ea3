//! Clients that disappear silently: a phone out of coverage, a closed laptop, a dropped NAT entry.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::{SockFilter, SockRef};

use crate::common::{PATIENCE, Running};

/// Makes a socket's kernel drop everything that arrives: it acknowledges nothing, and sends no reset.
fn fall_silent(stream: &TcpStream) {
    const RETURN: u16 = 0x06;
    SockRef::from(stream).attach_filter(&[SockFilter::new(RETURN, 0, 0, 0)]).unwrap();
}

#[test]
fn a_stream_that_nobody_acknowledges_ends_as_soon_as_a_stalled_one() {
    let broker = Running::with(&[("stall_ms", "1000"), ("heartbeat_ms", "500")]);
    let mut stream = TcpStream::connect(broker.listen).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let request = format!("GET /v1/sse?topic=quiet HTTP/1.1\r\nHost: {}\r\n\r\n", broker.listen);
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = String::new();
    while !received.contains("\"subscribed\"") {
        let mut bytes = [0; 4096];
        let len = stream.read(&mut bytes).unwrap();
        received.push_str(std::str::from_utf8(&bytes[..len]).unwrap());
    }
    broker.until_metric("tickcast_sse_connections", |count| count == 1.0);
    fall_silent(&stream);
    let begin = Instant::now();
    broker.until_metric("tickcast_sse_connections", |count| count == 0.0);
    // `heartbeat_ms`, `stall_ms` and three seconds; by default, the kernel would take a quarter of an hour.
    assert!(begin.elapsed() > Duration::from_secs(2) && begin.elapsed() < Duration::from_secs(20));
    drop(stream);
    broker.assert_settles();
}
