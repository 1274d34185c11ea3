//! A supervisor that requests `/healthz` again and again, each time on a new connection.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::LAST_CHANCE;
use crate::http;
use crate::patience::{Patience, Stop};
use crate::wire::Options;

/// The interval between two probes.
const EVERY: Duration = Duration::from_millis(25);
/// Longer than any attack lasts.
const PATIENCE: Duration = Duration::from_secs(60);

/// The outcomes of the probes.
#[derive(Debug, Default)]
pub(crate) struct Probes {
    pub(crate) good: u64,
    /// Probes without an answer, or with a status other than 200.
    pub(crate) bad: u64,
    /// The longest time to an answer, or to the end of the wait.
    pub(crate) max: Duration,
    /// The reason of the last bad probe.
    pub(crate) why: String,
}

pub(super) fn watch(admin: SocketAddr, stop: &Stop) -> Probes {
    let mut probes = Probes::default();
    let request = http::get(admin, "/healthz");
    while !stop.is_stopped() {
        let begin = Instant::now();
        let patience = Patience::of(PATIENCE).or_after(stop, LAST_CHANCE);
        let result = http::exchange(admin, Options::default(), &[request.as_bytes()], &patience);
        probes.max = probes.max.max(begin.elapsed());
        match result {
            Ok(answer) if answer.status == 200 => probes.good += 1,
            Ok(answer) => {
                probes.bad += 1;
                probes.why = format!("status {}", answer.status);
            }
            Err(error) => {
                probes.bad += 1;
                probes.why = error.to_string();
            }
        }
        Patience::of(EVERY.saturating_sub(begin.elapsed())).or(stop).pass();
    }
    probes
}
