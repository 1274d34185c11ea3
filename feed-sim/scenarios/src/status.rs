//! Monitored servers: the health of each, and incidents with a beginning and an end.

mod server;

use super::Scenario;
use super::ensemble::Ensemble;
use server::Server;

/// What `feed-sim describe status` prints.
pub(super) const DESCRIPTION: &str = "\
Per server SERVER (web-1, api-1, db-1, cache-1, queue-1, web-2, ...):
  status.SERVER.health    state  {\"server\",\"region\",\"state\",\"incident\",\"cpu_pct\",\"memory_pct\",\"requests_per_s\",\"latency_ms\",\"uptime_s\",
                          \"at_ms\"}: every two seconds and at once when `state` (up, degraded or down) changes
  status.SERVER.incident  event  {\"id\",\"incident\",\"server\",\"type\",\"state\",\"cause\",\"at_ms\"} and \"corrects\"
`id` counts the events of a server, `incident` its incidents. An incident is `opened`, perhaps `acknowledged` and
`escalated` (from degraded to down), and `resolved`; a false alarm is `withdrawn`, with the id of its opening in
`corrects`. The health's `state` is always that of the last event, and `incident` is the open one, otherwise null. The
cpu and memory of a server that is down are unknown: they are null, and so are requests and latency. `at_ms` is the
feed's own clock.
The first server has an incident within the first twenty seconds, so that every run shows one.
The load wanders between idle and full; the frequency of incidents is made up, high enough to see some.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"status.*.health\",\"status.>\"]}";

/// Updates per server and second, measured; a test checks it.
const UPDATES_PER_SERVER_S: f64 = 0.502;

/// Makes the scenario with `servers` servers, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, servers: u32) -> impl Scenario {
    let updates_per_s = f64::from(servers) * UPDATES_PER_SERVER_S;
    Ensemble::new(servers, |number| Server::new(seed, number), server::INTERVAL_US, updates_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 20), 60_000);
    }
}
