//! Golden bytes of frames: every size class at both of its ends, control frames, and the catalogue of codes.

use broker_protocol::frame::{self, HEAD_BYTES_MAX};
use broker_protocol::{CloseReason, ErrorCode, Frame};

#[test]
fn every_size_class_has_its_head() {
    let table: [(usize, &[u8]); 9] = [
        (0, &[0x81, 0]),
        (1, &[0x81, 1]),
        (125, &[0x81, 125]),
        (126, &[0x81, 126, 0, 126]),
        (127, &[0x81, 126, 0, 127]),
        (65_535, &[0x81, 126, 0xFF, 0xFF]),
        (65_536, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 0]),
        (65_537, &[0x81, 127, 0, 0, 0, 0, 0, 1, 0, 1]),
        (1_048_576, &[0x81, 127, 0, 0, 0, 0, 0, 0x10, 0, 0]),
    ];
    let mut scratch = b"left over".to_vec();
    for (length, head) in table {
        let payload: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        let golden = [head, &payload].concat();

        let mut out = b"before".to_vec();
        frame::push_text(&mut out, &payload);
        assert!(out == [b"before", &golden[..]].concat(), "push_text of {length}");

        let encoded = Frame::encode(&mut scratch, |out| out.extend_from_slice(&payload));
        for frame in [Frame::text(&payload), encoded] {
            assert!(frame.bytes() == golden && frame.payload() == payload, "a frame of {length}");
            assert_eq!(frame.len(), golden.len());
            assert!(std::ptr::eq(frame.bytes(), frame.clone().bytes()), "a clone is the same bytes");
        }
        let mut out = Vec::new();
        frame::push_head(&mut out, 1, length);
        assert_eq!(out, head);
        assert!(head.len() <= HEAD_BYTES_MAX);
    }
}

#[test]
fn control_frames_keep_to_125_bytes() {
    let long = [b'x'; 200];
    let mut out = Vec::new();
    frame::push_ping(&mut out, b"hi");
    frame::push_pong(&mut out, b"");
    frame::push_close(&mut out, 1000, "bye");
    frame::push_close(&mut out, 4008, "");
    assert_eq!(out, b"\x89\x02hi\x8A\x00\x88\x05\x03\xE8bye\x88\x02\x0F\xA8");
    for push in [frame::push_ping, frame::push_pong] {
        let mut out = Vec::new();
        push(&mut out, &long);
        assert_eq!((out[1], out.len()), (125, 127));
    }
}

#[test]
fn a_close_reason_is_cut_at_a_character_boundary() {
    for (reason, kept) in
        [("x".repeat(123), 123), ("x".repeat(124), 123), ("é".repeat(62), 122), ("😀".repeat(40), 120)]
    {
        let mut out = Vec::new();
        frame::push_close(&mut out, 1011, &reason);
        assert_eq!(usize::from(out[1]), 2 + kept);
        assert_eq!(std::str::from_utf8(&out[4..]), Ok(&reason[..kept]));
    }
}

#[test]
fn the_catalogue_matches_the_protocol() {
    let codes: Vec<_> = ErrorCode::ALL.iter().map(|code| (code.as_str(), code.http_status(), code.retry())).collect();
    let golden = [
        ("bad_json", 400, false),
        ("bad_request", 400, false),
        ("unknown_op", 400, false),
        ("bad_topic", 400, false),
        ("bad_pattern", 400, false),
        ("bad_token", 401, false),
        ("forbidden", 403, false),
        ("kind_mismatch", 409, false),
        ("no_state", 409, false),
        ("not_found", 404, false),
        ("too_large", 413, false),
        ("limit", 429, true),
        ("rate_limited", 429, true),
        ("unavailable", 503, true),
        ("timeout", 408, true),
        ("bad_config", 422, false),
        ("method_not_allowed", 405, false),
        ("unsupported_media_type", 415, false),
    ];
    assert_eq!(codes, golden);
    let closes: Vec<_> = CloseReason::ALL.iter().map(|reason| reason.code()).collect();
    assert_eq!(closes, [1000, 1001, 1002, 1003, 1007, 1009, 1011, 4001, 4003, 4008, 4009, 4029]);
    assert!(CloseReason::ALL.iter().all(|reason| (1..=123).contains(&reason.text().len())));
}
