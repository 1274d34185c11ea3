//! Meaningless bytes.

use crate::common::{FIN, Running, TEXT, exchange, masked};

/// Random numbers that are the same on every run.
struct Dice(u64);

impl Dice {
    fn next(&mut self) -> u64 {
        // SplitMix64: short, and good enough for garbage.
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn bytes(&mut self, max: usize) -> Vec<u8> {
        let len = self.next() as usize % max;
        (0..len).map(|_| self.next() as u8).collect()
    }
}

#[test]
fn malformed_http_is_refused_in_json() {
    let broker = Running::start();
    let cases: &[(&str, &[u8], u16)] = &[
        ("no HTTP at all", b"hello?\r\n\r\n", 400),
        ("TLS", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        ("a character that may not be in a URL", b"GET /v1/topics?match=a> HTTP/1.1\r\nHost: localhost\r\n\r\n", 400),
        ("an empty header name", b"GET / HTTP/1.1\r\n: x\r\n\r\n", 400),
        ("a space before the colon", b"GET / HTTP/1.1\r\nHost : localhost\r\n\r\n", 400),
        ("a control character in a value", b"GET / HTTP/1.1\r\nHost: local\x01host\r\n\r\n", 400),
        (
            "two lengths",
            b"POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
            400,
        ),
        ("2^64 bytes", b"POST /v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551616\r\n\r\n", 400),
        ("one less", b"POST /v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551615\r\n\r\n", 413),
        ("two less", b"POST /v1/publish HTTP/1.1\r\nHost: a\r\nContent-Length: 18446744073709551614\r\n\r\n", 413),
        (
            "a length that is not a number",
            b"POST /v1/publish HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n",
            400,
        ),
        ("HTTP/3.7", b"GET / HTTP/3.7\r\nHost: localhost\r\n\r\n", 400),
    ];
    for address in [broker.listen, broker.admin] {
        for (what, bytes, status) in cases {
            let answer = exchange(address, bytes);
            let code = if *status == 413 { "too_large" } else { "bad_request" };
            assert_eq!((answer.status, answer.code().as_str()), (*status, code), "{what}: {answer:?}");
            assert_eq!(answer.header("content-type"), Some("application/json"), "{what}");
            assert_eq!(answer.header("content-length"), Some(answer.body.len().to_string().as_str()), "{what}");
        }
    }
    // Also after a valid request on the same connection, whose answer does not change.
    let pipelined = b"GET /v1/topics HTTP/1.1\r\nHost: localhost\r\n\r\nnonsense\r\n\r\n";
    let answer = exchange(broker.listen, pipelined);
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.body.matches("bad_request").count(), 1, "{answer:?}");
    broker.assert_settles();
}

#[test]
fn random_bytes_to_the_listeners() {
    let broker = Running::start();
    let mut dice = Dice(1);
    for _ in 0..200 {
        let mut bytes = dice.bytes(500);
        bytes.extend_from_slice(b"\r\n\r\n");
        for address in [broker.listen, broker.admin] {
            let answer = exchange(address, &bytes);
            assert!(answer.status == 0 || (400..500).contains(&answer.status), "{bytes:?}: {answer:?}");
        }
    }
    broker.assert_settles();
}

#[test]
fn random_frames_after_the_handshake() {
    let broker = Running::start();
    let mut dice = Dice(2);
    for _ in 0..300 {
        let mut client = broker.client();
        client.subscribe(&["random.>"]);
        for _ in 0..dice.next() % 20 {
            // Mostly frames that are nearly valid.
            let bytes = match dice.next() % 4 {
                0 => dice.bytes(40),
                1 => masked(FIN | TEXT, br#"{"op":"ping"}"#),
                2 => masked(dice.next() as u8, &dice.bytes(200)),
                _ => masked([TEXT, 0, FIN, FIN | 9][dice.next() as usize % 4], &vec![b'{'; dice.next() as usize % 150]),
            };
            if std::io::Write::write_all(&mut client.stream, &bytes).is_err() {
                break;
            }
        }
        client.stream.shutdown(std::net::Shutdown::Write).ok();
        client.end();
    }
    broker.assert_settles();
}
