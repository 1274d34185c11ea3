//! Messages in several frames.

use std::io::Write as _;

use crate::common::{BINARY, CONTINUATION, FIN, PING, PONG, Running, TEXT, masked};

#[test]
fn a_message_may_come_in_fragments_with_pings_between() {
    let broker = Running::start();
    let text = r#"{"op":"publish","id":"ä€𝄞","topic":"t","data":"ä€𝄞"}"#.as_bytes();
    // Cut at every byte, so that each character is cut everywhere.
    for cut in 0..=text.len() {
        let mut client = broker.client();
        client.frame(TEXT, &text[..cut]);
        client.frame(FIN | PING, b"now");
        client.frame(CONTINUATION, b"");
        client.frame(FIN | CONTINUATION, &text[cut..]);
        let pong = client.next_frame().unwrap();
        assert_eq!((pong.opcode, pong.payload.as_slice()), (PONG, &b"now"[..]));
        assert_eq!(client.expect("published")["id"], "ä€𝄞");
    }
    broker.assert_settles();
}

#[test]
fn broken_messages_in_fragments() {
    let broker = Running::start();
    let euro = "€".as_bytes();
    let cases: &[(&str, &[Vec<u8>], u16)] = &[
        ("a message inside an unfinished one", &[masked(TEXT, b"{"), masked(FIN | TEXT, b"{}")], 1002),
        ("a fragment that begins again", &[masked(TEXT, b"{"), masked(TEXT, b"{")], 1002),
        ("binary inside text", &[masked(TEXT, b"{"), masked(FIN | BINARY, b"{")], 1002),
        (
            "a continuation too many",
            &[masked(TEXT, b""), masked(FIN | CONTINUATION, b"{}"), masked(FIN | CONTINUATION, b"")],
            1002,
        ),
        ("not UTF-8 across fragments", &[masked(TEXT, &euro[..1]), masked(FIN | CONTINUATION, b"x")], 1007),
        ("not UTF-8 in the middle, at once", &[masked(TEXT, b"ok"), masked(CONTINUATION, b"\xff")], 1007),
        ("ends inside a character", &[masked(TEXT, &euro[..1]), masked(FIN | CONTINUATION, &euro[1..2])], 1007),
        (
            "ends inside a character, with an empty end",
            &[masked(TEXT, &euro[..2]), masked(FIN | CONTINUATION, b"")],
            1007,
        ),
        ("binary in fragments", &[masked(BINARY, b"\xff"), masked(FIN | CONTINUATION, b"\xff")], 1003),
        ("too large together", &[masked(TEXT, &[b' '; 40_000]), masked(CONTINUATION, &[b' '; 25_537])], 1009),
        ("an unmasked continuation", &[masked(TEXT, b"{"), vec![FIN | CONTINUATION, 1, b'}']], 1002),
        ("a reserved bit on a continuation", &[masked(TEXT, b"{"), masked(FIN | 0x40 | CONTINUATION, b"}")], 1002),
    ];
    for (what, frames, code) in cases {
        let mut client = broker.client();
        client.subscribe(&["x"]);
        for frame in *frames {
            client.raw(frame);
        }
        if what.starts_with("a continuation too many") {
            client.expect_error("bad_request");
        }
        println!("{what}");
        client.expect_close(*code);
    }
    broker.assert_settles();
}

#[test]
fn endless_fragments_are_closed() {
    let broker = Running::with(&[("fragments_max", "100")]);
    for (payload, first) in [(&b""[..], TEXT), (b" ", TEXT), (b"", BINARY)] {
        let mut client = broker.client();
        client.subscribe(&["x"]);
        client.frame(first, payload);
        // However long the client goes on, the broker discards its input after its own close frame.
        for _ in 0..100_000 {
            if client.stream.write_all(&masked(CONTINUATION, payload)).is_err() {
                break;
            }
        }
        assert!(matches!(client.end(), crate::common::End::Close(Some(1009)) | crate::common::End::Cut));
    }
    // The most fragments that are allowed.
    let mut client = broker.client();
    client.frame(TEXT, b"{");
    for _ in 0..98 {
        client.frame(CONTINUATION, b" ");
    }
    client.frame(FIN | CONTINUATION, br#""op":"ping"}"#);
    client.expect("pong");
    // The count starts again with every message. One more is one too many.
    client.frame(TEXT, b"{");
    for _ in 0..99 {
        client.frame(CONTINUATION, b" ");
    }
    client.frame(FIN | CONTINUATION, b"}");
    client.expect_close(1009);
    broker.assert_settles();
}
