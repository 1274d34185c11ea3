//! Any text as a message and as an NDJSON line: no panic, `bad_json` exactly for text that is not JSON, bounded error
//! messages, an `id` that can be echoed, and updates that keep the promises of their types.
#![no_main]

use broker_fuzz::is_json;
use broker_protocol::request::{CONFLATE_LADDER_MS, From, Id, Publication, Refusal, SubscribeEntry, parse, parse_line};
use broker_protocol::{Data, ErrorCode, Kind, Request, message};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    match parse(text) {
        Ok(request) => {
            assert!(is_json(text));
            check_request(request);
        }
        Err((id, refusal)) => {
            assert_eq!(refusal.code == ErrorCode::BadJson, !is_json(text), "{}", refusal.message);
            check_refusal(&refusal);
            let mut out = Vec::new();
            message::error(&mut out, id.as_ref().map(Id::as_bytes), refusal.code, &refusal.message);
            assert!(is_json(std::str::from_utf8(&out).expect("text")));
        }
    }
    match parse_line(text) {
        Ok(update) => check_update(&update),
        Err(refusal) => {
            assert_eq!(refusal.code == ErrorCode::BadJson, !is_json(text), "{}", refusal.message);
            check_refusal(&refusal);
        }
    }
});

fn check_request(request: Request<'_>) {
    let id = match request {
        Request::Subscribe(subscribe) => {
            let step = subscribe.conflate_ms;
            assert!(step == 0 || CONFLATE_LADDER_MS.contains(&step));
            assert!(subscribe.resume.is_none_or(|id| id < 1 << 53 && subscribe.from == From::Image));
            for entry in subscribe.entries {
                match entry {
                    SubscribeEntry::Plain(_) => {}
                    SubscribeEntry::Resume { seq, .. } => assert!(seq < 1 << 53),
                    SubscribeEntry::Bad { entry, refusal } => {
                        assert!(entry.len() <= 64);
                        check_refusal(&refusal);
                    }
                }
            }
            subscribe.id
        }
        Request::Publish { id, update } => {
            check_update(&update);
            id
        }
        Request::Batch { id, updates } => {
            for update in &updates {
                update.as_ref().map_or_else(check_refusal, check_update);
            }
            id
        }
        Request::Unsubscribe { id, .. } | Request::Auth { id, .. } => id,
        Request::List { id } | Request::Ping { id } => id,
    };
    let mut out = Vec::new();
    message::pong(&mut out, id.as_ref().map(Id::as_bytes), 1);
    assert!(is_json(std::str::from_utf8(&out).expect("text")));
}

fn check_update(update: &Publication<'_>) {
    let raw = update.data.raw();
    assert!(Data::check(raw).is_ok());
    assert!(update.kind != Some(Kind::Patch) || Data::check_patch(raw).is_ok());
    if let Some((source, seq)) = &update.source {
        assert!(source.len() <= 64 && *seq < 1 << 53);
    }
    assert!(update.source_ts.is_none_or(|ts| ts < 1 << 53));
}

fn check_refusal(refusal: &Refusal) {
    // Control characters in a quoted name may be escaped; nothing else makes a message long.
    assert!(refusal.message.len() < 1_000, "{}", refusal.message);
}
