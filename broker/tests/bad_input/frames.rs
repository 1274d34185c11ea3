//! Frames that violate RFC 6455: each is answered by a close frame with the documented code.

use crate::common::{
    BINARY, CLOSE, CONTINUATION, Client, End, FIN, PING, PONG, Running, TEXT, masked, until, with_journal,
};

const PROTOCOL_ERROR: u16 = 1002;
const UNSUPPORTED: u16 = 1003;
const INVALID_UTF8: u16 = 1007;
const TOO_BIG: u16 = 1009;

/// Sends the bytes in pieces of each size on a new connection, which holds a subscription meanwhile.
#[track_caller]
fn check(broker: &Running, what: &str, bytes: &[u8], code: u16) {
    for step in [bytes.len().max(1), 1] {
        let mut client = broker.client();
        client.subscribe(&["bad.frames", "bad.*"]);
        for piece in bytes.chunks(step) {
            // The broker may have closed already, with the rest on its way.
            if std::io::Write::write_all(&mut client.stream, piece).is_err() {
                break;
            }
        }
        assert_eq!(client.end(), End::Close(Some(code)), "{what} in steps of {step}");
    }
}

#[test]
fn violations() {
    let broker = Running::start();
    let close = |payload: &[u8]| masked(FIN | CLOSE, payload);
    let mut cases: Vec<(String, Vec<u8>, u16)> = vec![
        ("unmasked text".into(), vec![FIN | TEXT, 2, b'h', b'i'], PROTOCOL_ERROR),
        ("unmasked ping".into(), vec![FIN | PING, 0], PROTOCOL_ERROR),
        ("unmasked close".into(), vec![FIN | CLOSE, 2, 3, 0xe8], PROTOCOL_ERROR),
        (
            "a length of 16 bits that fits in 7".into(),
            vec![FIN | TEXT, 0xfe, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5],
            PROTOCOL_ERROR,
        ),
        (
            "a length of 64 bits that fits in 16".into(),
            vec![FIN | TEXT, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0],
            PROTOCOL_ERROR,
        ),
        ("2^63 bytes".into(), vec![FIN | TEXT, 0xff, 0x80, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4], PROTOCOL_ERROR),
        ("2^64 - 1 bytes".into(), [&[FIN | TEXT, 0xff][..], &[0xff; 8], &[1, 2, 3, 4]].concat(), PROTOCOL_ERROR),
        ("2^63 - 1 bytes".into(), [&[FIN | TEXT, 0xff, 0x7f][..], &[0xff; 7], &[1, 2, 3, 4]].concat(), TOO_BIG),
        ("65,537 bytes, announced".into(), vec![FIN | TEXT, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4], TOO_BIG),
        (
            "65,537 bytes of binary, announced".into(),
            vec![FIN | BINARY, 0xff, 0, 0, 0, 0, 0, 1, 0, 1, 1, 2, 3, 4],
            TOO_BIG,
        ),
        ("a binary message".into(), masked(FIN | BINARY, b"{}"), UNSUPPORTED),
        ("an empty binary message".into(), masked(FIN | BINARY, b""), UNSUPPORTED),
        ("a ping of 126 bytes".into(), masked(FIN | PING, &[b'p'; 126]), PROTOCOL_ERROR),
        ("a pong of 126 bytes".into(), masked(FIN | PONG, &[b'p'; 126]), PROTOCOL_ERROR),
        ("a close of 126 bytes".into(), close(&[3; 126]), PROTOCOL_ERROR),
        ("a fragmented ping".into(), masked(PING, b"p"), PROTOCOL_ERROR),
        ("a fragmented close".into(), masked(CLOSE, b"\x03\xe8"), PROTOCOL_ERROR),
        ("a continuation of nothing".into(), masked(FIN | CONTINUATION, b"x"), PROTOCOL_ERROR),
        ("an unfinished continuation of nothing".into(), masked(CONTINUATION, b"x"), PROTOCOL_ERROR),
        ("a close of one byte".into(), close(b"\x03"), PROTOCOL_ERROR),
        ("a close whose reason is not UTF-8".into(), close(b"\x03\xe8\xce\xba\xed\xa0\x80"), INVALID_UTF8),
        ("text that is not UTF-8".into(), masked(FIN | TEXT, b"\xff\xfe"), INVALID_UTF8),
        ("a surrogate".into(), masked(FIN | TEXT, b"\xed\xa0\x80"), INVALID_UTF8),
        ("an overlong slash".into(), masked(FIN | TEXT, b"\xc0\xaf"), INVALID_UTF8),
        ("above U+10FFFF".into(), masked(FIN | TEXT, b"\xf4\x90\x80\x80"), INVALID_UTF8),
        ("text that ends inside a character".into(), masked(FIN | TEXT, "€".as_bytes()[..2].as_ref()), INVALID_UTF8),
    ];
    for bit in [0x40, 0x20, 0x10] {
        for opcode in [TEXT, BINARY, PING, CLOSE] {
            cases.push((
                format!("reserved bit {bit:#x} on opcode {opcode}"),
                masked(FIN | bit | opcode, b""),
                PROTOCOL_ERROR,
            ));
        }
    }
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15] {
        cases.push((format!("opcode {opcode}"), masked(FIN | opcode, b"x"), PROTOCOL_ERROR));
    }
    for code in [0u16, 1, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65_535] {
        cases.push((format!("close code {code}"), close(&code.to_be_bytes()), PROTOCOL_ERROR));
    }
    for (what, bytes, code) in cases {
        check(&broker, &what, &bytes, code);
    }
    broker.assert_settles();
}

#[test]
fn a_clients_close_is_answered_with_its_code() {
    let broker = Running::start();
    for code in [1000u16, 1001, 1002, 1003, 1007, 1011, 3000, 3999, 4000, 4999] {
        let mut client = broker.client();
        client.frame(FIN | CLOSE, &[&code.to_be_bytes()[..], b"bye"].concat());
        assert_eq!(client.end(), End::Close(Some(code)), "{code}");
    }
    let mut client = broker.client();
    client.frame(FIN | CLOSE, b"");
    assert!(matches!(client.end(), End::Close(None | Some(1000))));
    broker.assert_settles();
}

#[test]
fn the_largest_message_is_accepted_and_one_byte_more_is_not() {
    let broker = Running::start();
    let text = |len: usize| {
        let mut text = r#"{"op":"ping","id":1}"#.to_owned();
        text.push_str(&" ".repeat(len - text.len()));
        text
    };
    let mut client = broker.client();
    assert_eq!(client.hello["limits"]["message_bytes"], 65_536);
    for len in [125, 126, 127, 65_535, 65_536] {
        client.say(&text(len));
        client.expect("pong");
    }
    client.say(&text(65_537));
    client.expect_close(TOO_BIG);
    broker.assert_settles();
}

#[test]
fn input_after_the_close_frame_is_ignored() {
    let broker = Running::start();
    let publish = r#"{"op":"publish","topic":"after.close","data":1}"#;
    for close in [masked(FIN | CLOSE, b"\x03\xe8"), vec![FIN | TEXT, 0]] {
        let mut client = broker.client();
        client.raw(&[close, masked(FIN | TEXT, publish.as_bytes())].concat());
        assert!(matches!(client.end(), End::Close(Some(1000 | PROTOCOL_ERROR))));
    }
    assert_eq!(broker.http("GET /v1/topics/after.close/history", "").status, 404);
    broker.assert_settles();
}

#[test]
fn requests_before_a_violation_count() {
    let broker = Running::start();
    let mut client: Client = broker.client();
    let publish = masked(FIN | TEXT, br#"{"op":"publish","id":1,"topic":"before.violation","data":1}"#);
    client.raw(&[publish, masked(FIN | 0x40 | TEXT, b"x")].concat());
    // With a journal the connection is closed before the answer comes.
    if !with_journal() {
        client.expect("published");
    }
    client.expect_close(PROTOCOL_ERROR);
    until("it to be there", || broker.http("GET /v1/topics/before.violation/history", "").status == 200);
    broker.assert_settles();
}
