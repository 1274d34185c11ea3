//! TLS: handshakes that do not go on, handshakes that do, clients that do not read, and the smallest records.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::crowd::Crowd;
use crate::doors;
use crate::link::{subscribe, text};
use crate::secured::{RECORD_BYTES, Secured, client_hello};
use crate::wire::{Options, reset_at_end};

pub(super) const ATTACKS: &[Attack] = &[
    Attack {
        name: "tls_stuck_handshakes",
        what: "1,000 clients send half a ClientHello, 1,000 do not answer the ServerHello, and 1,000 send a byte every 100 ms",
        settings: &[("handshake_ms", ("5000", "1000"))],
        files: doors::tls,
        run: stuck,
        seconds: (8.0, 1.5),
        grows_mib: (48, 32),
        keeps_mib: (32, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "tls_handshake_storm",
        what: "4 clients at a time complete full handshakes and reset, as fast as they can",
        files: doors::tls,
        run: storm,
        grows_mib: (32, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "tls_unread",
        what: "1,000 subscribers over TLS stop reading, while their topic changes",
        settings: &[("send_buffer_bytes", ("8192", "8192"))],
        files: doors::tls,
        run: unread,
        seconds: (10.0, 1.0),
        grows_mib: (64, 32),
        keeps_mib: (32, 32),
        ..Attack::PLAIN
    },
    Attack {
        name: "tls_small_records",
        what: "20 publishers over TLS send each byte in a record of its own, as fast as they can",
        files: doors::tls,
        run: small_records,
        grows_mib: (32, 32),
        ..Attack::PLAIN
    },
];

/// The longest time in which another client has to have `hello` over TLS. To answer 1,000 handshakes at once takes about
/// half a second.
const OTHERS: (Duration, Duration) = (Duration::from_millis(2_000), Duration::from_secs(5));
/// The longest record (RFC 8446 §5.2) with the most that encryption adds here.
const RECORD_BYTES_MAX: f64 = 16_406.0;

fn address(stage: &Stage<'_>) -> io::Result<SocketAddr> {
    stage.broker.tls.ok_or_else(|| io::Error::other("the broker has no TLS"))
}

/// Connects another client with TLS, and returns how long it took until it had `hello`.
fn other(stage: &Stage<'_>) -> io::Result<Duration> {
    let (tls, begin) = (address(stage)?, Instant::now());
    let mut other = Secured::connect(tls, Options::bystander(), &stage.patience())?;
    other.upgrade(tls, Options::bystander(), &stage.patience())?;
    reset_at_end(&other.wire.into_stream()?);
    Ok(begin.elapsed())
}

fn judge(stage: &mut Stage<'_>, others: usize, longest: Duration) {
    let bar = stage.size.pick(OTHERS.0, OTHERS.1);
    stage.note(format!("{others} others had `hello` over TLS, the slowest after {longest:.1?}"));
    stage.check(others > 0 && longest <= bar, || format!("{others} others, one waited for {longest:?}, above {bar:?}"));
}

fn stuck(stage: &mut Stage<'_>) -> io::Result<()> {
    let (tls, each, patience) = (address(stage)?, stage.size.pick(1_000, 100), stage.to_the_end());
    let hello = client_hello()?;
    let (options, half) = (Options::attacker(), hello.len() / 2);
    let [mut cut, mut mute, mut slow] = [Crowd::new(true)?, Crowd::new(true)?, Crowd::new(true)?];
    cut.join(tls, each, options, &hello[..half].into(), &patience)?;
    mute.join(tls, each, options, &hello[..].into(), &patience)?;
    slow.join(tls, each, options, &hello[..1].into(), &patience)?;
    let (mut others, mut longest) = (0, Duration::ZERO);
    for byte in &hello[1..] {
        let byte: Arc<[u8]> = [*byte].into();
        (0..slow.len()).for_each(|member| slow.say(member, &byte));
        let next = Instant::now() + Duration::from_millis(100);
        longest = longest.max(other(stage)?);
        others += 1;
        while Instant::now() < next && !stage.is_over() {
            slow.turn(Duration::from_millis(10), |_, _| {});
            cut.turn(Duration::ZERO, |_, _| {});
            mute.turn(Duration::ZERO, |_, _| {});
        }
        if stage.is_over() {
            break;
        }
    }
    judge(stage, others, longest);
    // All are closed at the end of `handshake_ms`, the slow ones as well.
    let patience = stage.patience();
    for (what, crowd) in [("half", &mut cut), ("mute", &mut mute), ("slow", &mut slow)] {
        while crowd.ended() < each && !patience.is_over() {
            crowd.turn(Duration::from_millis(10), |_, _| {});
        }
        stage.check(crowd.ended() == each, || format!("{} of {each} {what} clients were closed", crowd.ended()));
    }
    Ok(())
}

fn storm(stage: &mut Stage<'_>) -> io::Result<()> {
    let (tls, patience) = (address(stage)?, stage.patience());
    let until = stage.to_the_end();
    let attack = || -> io::Result<usize> {
        let mut count = 0;
        while count == 0 || !until.is_over() {
            let secured = Secured::connect(tls, Options::attacker(), &patience)?;
            reset_at_end(&secured.wire.into_stream()?);
            count += 1;
        }
        Ok(count)
    };
    let (mut others, mut longest) = (0, Duration::ZERO);
    let count = std::thread::scope(|scope| -> io::Result<usize> {
        let attackers: Vec<_> = (0..4).map(|_| scope.spawn(attack)).collect();
        while others == 0 || !stage.is_over() {
            longest = longest.max(other(stage)?);
            others += 1;
        }
        let counts = attackers
            .into_iter()
            .map(|thread| thread.join().unwrap_or_else(|_| Err(io::Error::other("an attacker panicked"))));
        counts.sum()
    })?;
    judge(stage, others, longest);
    stage.note(format!("{count} handshakes of attackers"));
    stage.check(count > 0, || "no handshake was completed".to_owned());
    Ok(())
}

fn unread(stage: &mut Stage<'_>) -> io::Result<()> {
    let (tls, count, patience) = (address(stage)?, stage.size.pick(1_000, 50), stage.patience());
    let mut publisher = stage.link()?;
    let options = Options::receiving(4096);
    let mut held = Vec::new();
    for _ in 0..count {
        let mut secured = Secured::connect(tls, options, &patience)?;
        secured.upgrade(tls, options, &patience)?;
        secured.send(&text(&subscribe(["t"], r#","from":"live""#)), RECORD_BYTES, &patience)?;
        secured.until(r#""op":"subscribed""#, &patience)?;
        let stream = secured.wire.into_stream()?;
        reset_at_end(&stream);
        held.push(stream);
    }
    let data = "s".repeat(30_000);
    let update = format!(r#"{{"op":"publish","id":1,"topic":"t","kind":"state","data":"{data}"}}"#);
    let (mut most, mut parked, mut counted) = (0.0_f64, 0.0_f64, 0.0_f64);
    while !stage.is_over() || (parked < count as f64 && !patience.is_over()) {
        publisher.ask(&update, "published", &patience)?;
        let metrics = stage.broker.metrics(&patience)?;
        most = most.max(metrics.get("tickcast_tls_held_bytes"));
        parked = parked.max(metrics.get("tickcast_connections_parked"));
        counted = counted.max(metrics.get(r#"tickcast_budget_bytes{budget="buffers_bytes_max"}"#));
        if parked >= count as f64 {
            crate::patience::pass(Duration::from_millis(20));
        }
    }
    stage.note(format!("{parked} of {count} stuck, which held {most} bytes of ciphertext"));
    stage.check(parked >= count as f64, || format!("{parked} of {count} were stuck at the same time"));
    stage.check(counted >= most, || format!("{counted} bytes of the budget were in use, and {most} were held"));
    stage.check(most > 0.0 && most <= count as f64 * RECORD_BYTES_MAX, || format!("{most} bytes were held"));
    drop(held);
    Ok(())
}

fn small_records(stage: &mut Stage<'_>) -> io::Result<()> {
    let (tls, count, patience) = (address(stage)?, stage.size.pick(20, 5), stage.patience());
    let (mut crowd, mut writers) = (Crowd::new(true)?, Vec::new());
    for _ in 0..count {
        let mut secured = Secured::connect(tls, Options::attacker(), &patience)?;
        secured.upgrade(tls, Options::attacker(), &patience)?;
        crowd.adopt(secured.wire)?;
        writers.push(secured.tls);
    }
    let message = text(r#"{"op":"publish","topic":"small.records","kind":"state","data":1}"#);
    let before = stage.broker.metrics(&patience)?.get(PUBLISHED);
    let (mut sent, begin) = (0_usize, Instant::now());
    while sent == 0 || !stage.is_over() {
        for (member, records) in writers.iter_mut().enumerate() {
            if crowd.has_said_all(member) {
                crowd.say(member, &records.of(&message, 1)?.into());
                sent += message.len();
            }
        }
        crowd.turn(Duration::from_millis(1), |_, _| {});
    }
    let seconds = begin.elapsed().as_secs_f64();
    let mut after = before;
    while after <= before && !patience.is_over() {
        crowd.turn(Duration::from_millis(1), |_, _| {});
        after = stage.broker.metrics(&patience)?.get(PUBLISHED);
    }
    stage.note(format!("{:.0} records a second; {:.0} updates taken in", sent as f64 / seconds, after - before));
    stage.check(after > before, || "nothing was understood".to_owned());
    stage.check(crowd.ended() == 0, || format!("{} of {count} publishers were closed", crowd.ended()));
    Ok(())
}

const PUBLISHED: &str = "tickcast_published_total";
