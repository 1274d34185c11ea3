//! Tells systemd how the broker is (sd_notify(3)): that it serves, reloads, stops, and still makes progress. It is one
//! datagram to a socket that systemd names in `NOTIFY_SOCKET`, so this needs no crate. Without that variable nothing
//! happens.

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tokio::sync::oneshot;
use tokio::time::timeout_at;

use crate::shard::{Command, Handle};

/// In the time after which systemd takes the broker for dead, it says this often that it is not.
const SIGNS_PER_TIME: u32 = 3;

/// The broker serves.
pub(crate) fn ready() {
    notify("READY=1");
}

/// The broker reads its configuration again; [`ready`] ends that.
pub(crate) fn reloading() {
    // This clock and no other one, by which systemd tells this message from earlier ones.
    let now = clock_gettime(ClockId::Monotonic);
    notify(&format!("RELOADING=1\nMONOTONIC_USEC={}", now.tv_sec * 1_000_000 + now.tv_nsec / 1000));
}

/// The broker still starts, and needs more time for it than systemd gives.
pub(crate) fn extend_start() {
    notify("EXTEND_TIMEOUT_USEC=30000000");
}

/// The broker stops.
pub(crate) fn stopping() {
    notify("STOPPING=1");
}

fn notify(state: &str) {
    let Some(socket) = std::env::var_os("NOTIFY_SOCKET").filter(|socket| !socket.is_empty()) else { return };
    if let Err(error) = send(&socket, state) {
        let state = state.lines().next();
        tracing::warn!(%error, state, "systemd could not be told (NOTIFY_SOCKET)");
    }
}

fn send(socket: &OsStr, state: &str) -> io::Result<()> {
    let bytes = socket.as_bytes();
    let address = match bytes.strip_prefix(b"@") {
        // In Linux's abstract namespace.
        Some(name) => SocketAddr::from_abstract_name(name)?,
        None => SocketAddr::from_pathname(socket)?,
    };
    let from = UnixDatagram::unbound()?;
    // It may never delay the broker.
    from.set_nonblocking(true)?;
    from.send_to_addr(state.as_bytes(), &address).map(drop)
}

/// The time after which systemd takes a silent broker for dead; `None` if it does not watch this process.
pub(crate) fn watchdog_time() -> Option<Duration> {
    let number = |name| std::env::var(name).ok()?.parse::<u64>().ok();
    let us = number("WATCHDOG_USEC").filter(|us| *us > 0)?;
    let is_for_this = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
    is_for_this.then(|| Duration::from_micros(us))
}

/// Says for ever that the broker makes progress, as long as it does: this runs on the main thread, and every shard has to
/// answer. If one of them is stuck, systemd ends the broker and starts it anew.
pub(crate) async fn watch(time: Duration, shards: Arc<Vec<Handle>>) {
    let mut ticks = tokio::time::interval((time / SIGNS_PER_TIME).max(Duration::from_millis(1)));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        match progress(&shards, time).await {
            Ok(()) => notify("WATCHDOG=1"),
            Err(shard) => tracing::error!(shard, "a shard makes no progress: systemd's watchdog is not told otherwise"),
        }
    }
}

/// Waits until every shard has answered.
///
/// # Errors
/// The first one that has not in this time.
async fn progress(shards: &[Handle], time: Duration) -> Result<(), usize> {
    let end = tokio::time::Instant::now() + time;
    for (index, shard) in shards.iter().enumerate() {
        let (answer, alive) = oneshot::channel();
        let asked = async {
            shard.send(Command::Alive(answer)).await;
            alive.await
        };
        if !matches!(timeout_at(end, asked).await, Ok(Ok(()))) {
            return Err(index);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use broker_engine::{Engine, Limits};
    use tokio::sync::mpsc;

    use super::*;
    use crate::audit::Audit;
    use crate::authentication::Authentication;
    use crate::quota::{AddressQuotas, IdentityQuotas, Users};
    use crate::shard::{Prepared, Settings};
    use crate::{config, read_tokens};

    #[tokio::test]
    async fn a_shard_that_does_not_answer_is_found() {
        let config = config::resolve(&[], [], None).map(|loaded| loaded.config).ok().unwrap();
        let (prepared, notify): (Vec<_>, Vec<_>) = (0..2).map(|_| Prepared::new()).unzip();
        let engine = Engine::new(Limits::default(), 1, notify);
        let refusals = || engine.refusals().clone();
        let settings = Settings::new(
            &config,
            Arc::new(Authentication::new(read_tokens(&config).unwrap(), false)),
            Arc::new(AddressQuotas::new(0, config.rates(), refusals())),
            Arc::new(IdentityQuotas::new(Users::new(refusals()), 0, config.rates())),
            crossbeam_channel::unbounded().0,
            mpsc::channel(1).0,
        );
        let ending = Arc::new(AtomicBool::new(true));
        let start = |(index, prepared): (usize, Prepared)| {
            let audit = Arc::<Audit>::default();
            prepared.start(engine.clone(), index, None, settings.clone(), audit, ending.clone()).unwrap()
        };
        let shards: Vec<Handle> = prepared.into_iter().enumerate().map(start).collect();
        let time = Duration::from_secs(30);
        assert_eq!(progress(&shards, time).await, Ok(()));
        shards[1].send(Command::Stop).await;
        while !shards[1].has_ended() {
            tokio::task::yield_now().await;
        }
        assert_eq!(progress(&shards, Duration::from_millis(50)).await, Err(1));
        shards[0].send(Command::Stop).await;
    }
}
