//! Slow readers with TLS: what they hold is bounded, and who reads at all stays.

use std::io::Read as _;
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::client::{BOTH, Client, NAME, broker, config};
use crate::common::{PATIENCE, Running, until};
use crate::pki::Pki;

/// A record (RFC 8446 §5.2) with the most that encryption adds here.
const RECORD_BYTES_MAX: f64 = 16_406.0;

/// A socket with a small receive buffer, which fills quickly.
fn socket(address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&address.into()).unwrap();
    socket.into()
}

fn fill(broker: &Running, topic: &str) {
    let text = "s".repeat(30_000);
    for _ in 0..40 {
        broker.publish(topic, "state", &format!("\"{text}\""));
    }
}

#[test]
fn clients_that_stop_reading_hold_a_record_each() {
    const CLIENTS: usize = 20;
    let pki = Pki::new();
    let broker = broker(&pki, &[("send_buffer_bytes", "8192"), ("behind_bytes", "65536")]);
    for version in BOTH {
        let config = Arc::new(config(&pki, &[version], None));
        let mut stuck: Vec<Client> = Vec::new();
        for _ in 0..CLIENTS {
            let mut client = Client::over(socket(broker.tls.unwrap()), &config, NAME).unwrap();
            client.upgrade();
            client.subscribe("t");
            stuck.push(client);
        }
        fill(&broker, "t");
        until("all to be stuck", || broker.metric("tickcast_connections_parked") == CLIENTS as f64);
        let held = broker.metric("tickcast_tls_held_bytes");
        assert!(held > 0.0 && held <= CLIENTS as f64 * RECORD_BYTES_MAX, "{held}");
        let counted = broker.metric("tickcast_budget_bytes{budget=\"buffers_bytes_max\"}");
        assert!(counted >= held, "{counted} are counted, and {held} are held");
        // Others are not concerned.
        let mut other = Client::websocket(broker.tls.unwrap(), &config);
        other.subscribe("t");
        other.skip_to_data("last", || _ = broker.publish("t", "state", "\"last\""));
        // Those that read again get the newest state, and nothing of a message is missing.
        for client in &mut stuck[..3] {
            client.skip_to_data("last", || {});
        }
        drop((stuck, other));
        until("nothing to be held", || broker.metric("tickcast_tls_held_bytes") == 0.0);
        broker.http("DELETE /v1/topics/t", "");
    }
    broker.assert_settles();
}

#[test]
fn a_client_that_reads_nothing_is_closed_and_one_that_reads_a_little_is_not() {
    let pki = Pki::new();
    let broker = broker(&pki, &[("stall_ms", "4000"), ("send_buffer_bytes", "8192"), ("heartbeat_ms", "60000")]);
    let config = Arc::new(config(&pki, &BOTH, None));
    let [mut slow, mut stuck] = [(); 2].map(|()| {
        let mut client = Client::over(socket(broker.tls.unwrap()), &config, NAME).unwrap();
        client.upgrade();
        client.subscribe("t");
        client
    });
    fill(&broker, "t");
    until("both to be stuck", || broker.metric("tickcast_connections_parked") == 2.0);
    // Two KB a second for twice the time in which the other one is closed.
    let closed = || broker.metric("tickcast_closed_total{reason=\"slow\"}");
    let begin = Instant::now();
    let mut ciphertext = [0; 256];
    let (mut read, mut gone_after) = (Vec::new(), None);
    while gone_after.is_none_or(|after: Duration| begin.elapsed() < 2 * after) {
        assert!(begin.elapsed() < PATIENCE, "{} closed", closed());
        let due = Duration::from_millis(1000 * read.len() as u64 / 2250);
        if begin.elapsed() >= due {
            let len = slow.stream.sock.read(&mut ciphertext).unwrap();
            assert!(len > 0, "it was closed after {:?}", begin.elapsed());
            read.extend_from_slice(&ciphertext[..len]);
        } else if gone_after.is_none() && closed() == 1.0 {
            gone_after = Some(begin.elapsed());
        }
    }
    assert_eq!(closed(), 1.0, "after {gone_after:?}");
    // What it read is a valid beginning of the stream, which goes on.
    slow.read_before(&read);
    slow.skip_to_data("last", || _ = broker.publish("t", "state", "\"last\""));
    // The other one gets what was on its way, and then the end.
    stuck.end();
}
