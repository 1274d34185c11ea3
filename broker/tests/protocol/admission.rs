//! The bounds on connections.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use broker::config::{self, Capacity};

use crate::common::{Client, HANDSHAKE, PATIENCE, Running};

#[test]
fn connections_beyond_the_limit_are_closed_with_its_code() {
    for setting in ["connections_max", "connections_per_address_max"] {
        let broker = Running::with(&[(setting, "3")]);
        let mut clients: Vec<Client> = (0..3).map(|_| broker.client()).collect();
        for _ in 0..5 {
            let (mut refused, _) = Client::shake_hands(broker.listen, Default::default(), &[], b"");
            refused.expect_close(4029);
        }
        assert_eq!(broker.metric("tickcast_admitted"), 3.0);
        assert_eq!(broker.metric(r#"tickcast_closed_total{reason="limit_exceeded"}"#), 5.0);
        // Plain HTTP is still answered.
        assert_eq!(broker.http("GET /v1/topics", "").status, 200);
        // Admitted connections stay, and when one ends another is admitted.
        for client in &mut clients {
            client.say(r#"{"op":"ping"}"#);
            client.expect("pong");
        }
        clients.pop();
        broker.until_metric("tickcast_admitted", |count| count == 2.0);
        clients.push(broker.client());
        clients.clear();
        broker.assert_settles();
    }
}

#[test]
fn a_burst_is_spread_evenly() {
    // Both ends of each connection are files of this process.
    config::raise_open_files(Capacity { connections: 4_000, http: 4_000 });
    let broker = Running::with(&[("shards", "4")]);
    let handshake = format!("GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", broker.listen, HANDSHAKE.join("\r\n"));
    let mut streams: Vec<TcpStream> = (0..1000).map(|_| TcpStream::connect(broker.listen).unwrap()).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(handshake.as_bytes()).unwrap();
    }
    for stream in &mut streams {
        let (mut received, mut bytes) = (String::new(), [0; 1024]);
        while !received.contains("\"op\":\"hello\"") {
            let len = stream.read(&mut bytes).unwrap();
            assert!(len > 0, "{received}");
            received.push_str(&String::from_utf8_lossy(&bytes[..len]));
        }
    }
    for shard in 0..4 {
        let connections = broker.metric(&format!("tickcast_shard_connections{{shard=\"{shard}\"}}"));
        assert!((240.0..=260.0).contains(&connections), "shard {shard} has {connections}");
    }
    drop(streams);
    broker.assert_settles();
}
