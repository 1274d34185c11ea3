//! The cost of checking a `publish` message: the protocol's scanner, compared with simd-json's tape.
//!
//! The broker carries `data` byte for byte, so it needs a check of the grammar, and the span of each field. A tape has
//! neither spans nor the digits of numbers. If it replaced the scanner, the spans would have to be found separately; if
//! it ran before the scanner, its cost would be added. So the column `tape` is the least that simd-json could cost
//! here. simd-json unescapes in place and requires padding, so the message is copied first, as it would have to be from
//! a shard's read buffer.
//!
//! Both reuse their memory. Each repeat measures one after the other.
//!
//! `cargo bench -p broker-protocol --bench validate [-- [--repeats N] [--seconds N] [ROW]...]`

#[path = "../../benches/publish/report.rs"]
mod report;

use std::fmt::Write as _;
use std::hint::black_box;
use std::time::{Duration, Instant};

use broker_protocol::request::parse;
use report::{Ask, Series, Table};
use simd_json::{Buffers, INPUT_PADDING, Tape, fill_tape_padded};

// The allocator that the broker runs on.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Calls between two readings of the clock.
const CALLS: u32 = 16;

fn main() {
    let ask = Ask::from_process();
    let repeats = ask.repeats(9);
    let time = Duration::from_secs_f64(ask.seconds(0.3, 0.005));
    let columns = ["`data`", "bytes", "scanner, ns", "tape, ns", "scanner / tape"];
    let mut table = Table::new(format!("Checking a publish message, {repeats} repeats"), &columns);
    for (name, data) in [("a quote", quote()), ("a book of 40 levels", book(20)), ("a list of 400 trades", trades(400))]
    {
        if !ask.wants(name) {
            continue;
        }
        let message = format!(r#"{{"op":"publish","topic":"stocks.AAPL.quote","kind":"state","data":{data}}}"#);
        let [mut scanner, mut tape, mut quotient] = <[Series; 3]>::default();
        for _ in 0..repeats {
            let (a, b) = (scan(&message, time), fill(&message, time));
            scanner.push(a);
            tape.push(b);
            quotient.push(a / b);
        }
        table.row(&[&name, &data.len(), &scanner, &tape, &quotient]);
    }
    table.print();
}

/// Returns nanoseconds per call.
fn measure(time: Duration, mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0);
    loop {
        (0..CALLS).for_each(|_| call());
        calls += CALLS;
        let took = start.elapsed();
        if took >= time {
            return took.as_nanos() as f64 / f64::from(calls);
        }
    }
}

fn scan(message: &str, time: Duration) -> f64 {
    measure(time, || {
        let text = std::str::from_utf8(black_box(message.as_bytes())).expect("UTF-8");
        assert!(black_box(parse(text)).is_ok(), "a publish message");
    })
}

fn fill(message: &str, time: Duration) -> f64 {
    let mut input = vec![0; message.len() + INPUT_PADDING];
    let mut buffers = Buffers::new(message.len());
    let mut spare = Tape::null();
    measure(time, || {
        input[..message.len()].copy_from_slice(black_box(message.as_bytes()));
        let mut tape = std::mem::replace(&mut spare, Tape::null()).reset();
        fill_tape_padded(&mut input, message.len(), &mut buffers, &mut tape).expect("JSON");
        spare = black_box(tape).reset();
    })
}

/// A stock quote of 120 bytes, the usual size of an update.
fn quote() -> String {
    let quote = r#"{"bid":"189.11","bid_size":300,"ask":"189.13","ask_size":200,"venue":"XNAS","condition":"R","ts":1732270000123999}"#;
    format!("{quote:<120}").replace(' ', "").replace('}', r#","n":1}"#)
}

/// An order book with this many levels on each side, as venues publish it: prices and sizes are strings.
fn book(levels: usize) -> String {
    let side = |from: f64, step: f64| {
        let level = |n| format!(r#"["{:.4}","{:.8}"]"#, from + step * n as f64, 0.5 + n as f64 / 7.0);
        (0..levels).map(level).collect::<Vec<_>>().join(",")
    };
    format!(r#"{{"lastUpdateId":27048318421,"bids":[{}],"asks":[{}]}}"#, side(67012.11, -0.01), side(67012.12, 0.01))
}

fn trades(count: usize) -> String {
    let mut out = String::from("[");
    for n in 0..count {
        let comma = if n > 0 { "," } else { "" };
        let (price, side) = (189.0 + n as f64 / 100.0, if n % 3 == 0 { "sell" } else { "buy" });
        // Writing to a string does not fail.
        let _ = write!(
            out,
            r#"{comma}{{"id":{},"price":{price:.2},"size":{},"side":"{side}","ts":{},"buyer":"a \"quoted\" name, {n}","flags":[{},true,null]}}"#,
            48_210_000 + n,
            100 * (n % 9 + 1),
            1_732_270_000_123_999_u64 + n as u64,
            n % 4
        );
    }
    out.push(']');
    out
}
