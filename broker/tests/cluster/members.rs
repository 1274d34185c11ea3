//! Brokers that share a log on nats-servers.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::common::nats::{Link, Options, Servers};
use crate::common::until;
use crate::kept::{Kept, own_address};
use crate::load::{Brokers, pass};

/// The stream of the log, and that of the checkpoints.
pub(crate) const LOG: &str = "tickcast_LOG";
pub(crate) const CHECKPOINTS: &str = "OBJ_tickcast_CP";
/// The largest log of these tests. What is published in one of them does not need a checkpoint.
pub(crate) const LARGE: u64 = 1 << 30;
/// The smallest that may be set: a checkpoint is due whenever the log has grown by a sixth of it.
pub(crate) const SMALL: u64 = 64 << 20;

const FLAGS: &[&str] = &["--retain-updates", "4096", "--retain-bytes", "16MiB", "--stall-ms", "120000"];
/// How long a connection may be silent: several heartbeats.
const SILENCE: Duration = Duration::from_millis(2500);
/// How long it may take until something is published again: an election, on a machine that is busy.
const PATIENCE: Duration = Duration::from_secs(90);

/// Servers, and brokers with a log on them.
pub(crate) struct Cluster {
    /// Dropped first: they are of no use without servers.
    pub(crate) brokers: Vec<Kept>,
    pub(crate) servers: Servers,
    /// The ways of the last broker to the servers.
    pub(crate) links: Vec<Link>,
}

impl Cluster {
    /// Starts so many servers and brokers. `None` if this version is not installed, which the test's summary then says.
    #[track_caller]
    pub(crate) fn start(version: &str, servers: usize, brokers: usize, bytes_max: u64) -> Option<Self> {
        Self::with_heartbeat("500", version, servers, brokers, bytes_max)
    }

    /// The same with another heartbeat, in ms: clients that are not read for longer than two are closed.
    #[track_caller]
    pub(crate) fn with_heartbeat(
        heartbeat_ms: &str,
        version: &str,
        servers: usize,
        brokers: usize,
        bytes_max: u64,
    ) -> Option<Self> {
        let servers = Servers::start(version, servers, Options::default())?;
        let links: Vec<Link> = (0..servers.len()).map(|index| Link::to(servers[index].address)).collect();
        let replicas = servers.len().to_string();
        let bytes_max = bytes_max.to_string();
        let by_links = servers.url_by(&links.iter().map(|link| link.address).collect::<Vec<_>>());
        let kept = |index: usize| {
            let url = if index + 1 == brokers { by_links.clone() } else { servers.url() };
            let node = format!("b{index}");
            // A broker that starts again in its own process has to come back to it.
            let admin = own_address().to_string();
            let own = ["--journal", "nats", "--journal-nats", &url, "--journal-node", &node];
            let log = ["--journal-replicas", &replicas, "--journal-bytes-max", &bytes_max];
            Kept::start(&[&own[..], &log, &["--admin-listen", &admin, "--heartbeat-ms", heartbeat_ms], FLAGS].concat())
        };
        let brokers = (0..brokers).map(kept).collect();
        Some(Self { brokers, servers, links })
    }

    /// Their addresses, for producers and subscribers.
    pub(crate) fn addresses(&self) -> Brokers {
        let addresses: Vec<SocketAddr> = self.brokers.iter().map(|broker| broker.address).collect();
        Brokers { addresses, silence: SILENCE, log_may_be_away: true, patience: PATIENCE }
    }

    /// Waits until all brokers have the same topics, with everything that they have.
    #[track_caller]
    pub(crate) fn assert_equal(&mut self) {
        let mut all = Vec::new();
        until("all brokers to have the same", || {
            all = self.brokers.iter().map(Kept::all).collect();
            let same = all.iter().all(|it| *it == all[0]);
            if !same {
                pass(Duration::from_millis(100));
            }
            same || differs_for_good(&all)
        });
        for (index, other) in all.iter().enumerate().skip(1) {
            let pairs = all[0].as_array().unwrap().iter().zip(other.as_array().unwrap());
            for (first, other) in pairs {
                assert_eq!(first, other, "broker 0 and broker {index}");
            }
            assert_eq!(
                all[0].as_array().unwrap().len(),
                other.as_array().unwrap().len(),
                "broker 0 and broker {index}"
            );
        }
        for broker in &mut self.brokers {
            let process = broker.process();
            assert_eq!(process.metric("tickcast_journal_differing_total"), 0.0);
            assert_eq!(process.metric("tickcast_journal_in_doubt"), 0.0);
        }
    }

    /// Starts the servers that are down, and waits until all of them have all of the log. One that was paused may take a minute:
    /// it fetches what others have cut off meanwhile from them.
    #[track_caller]
    pub(crate) fn until_whole(&mut self, mut meanwhile: impl FnMut()) {
        for server in self.servers.iter_mut().filter(|server| server.is_down()) {
            server.start_again();
        }
        let end = Instant::now() + PATIENCE;
        loop {
            meanwhile();
            let view = self.servers.leader_of(LOG).and_then(|leader| self.servers[leader].stream(LOG));
            let others = view.as_ref().and_then(|view| view["cluster"]["replicas"].as_array());
            let are_current = |others: &Vec<Value>| others.iter().all(|other| other["current"] == true);
            if self.servers.len() == 1 || others.is_some_and(|others| others.len() == 2 && are_current(others)) {
                return;
            }
            assert!(Instant::now() < end, "the servers do not catch up: {view:?}");
            pass(Duration::from_millis(50));
        }
    }

    /// What the log's stream has, by the first server that tells.
    #[track_caller]
    pub(crate) fn state_of(&self, stream: &str) -> Value {
        let mut found = None;
        until("a server to tell of a stream", || {
            let leader = self.servers.leader_of(stream);
            found = leader.and_then(|leader| self.servers[leader].stream(stream));
            found.is_some()
        });
        found.unwrap()["state"].clone()
    }
}

impl Drop for Cluster {
    /// Shows what brokers logged, if a test fails.
    fn drop(&mut self) {
        for broker in self.brokers.iter_mut().filter(|_| std::thread::panicking()) {
            let Some(process) = broker.process_if_any() else { continue };
            let ended = !process.runs();
            process.signal_if_runs(Signal::KILL);
            eprintln!("the broker at {}, which {}:", process.listen, if ended { "had ended" } else { "ran" });
            process.logged().iter().for_each(|line| eprintln!("  {line}"));
        }
    }
}

/// Two brokers that have come equally far, and not to the same.
fn differs_for_good(all: &[Value]) -> bool {
    let far = |value: &Value| -> Value {
        let topics = value.as_array().unwrap().iter();
        topics.map(|topic| json!([topic[0]["topic"], topic[0]["seq"]])).collect()
    };
    all.iter().all(|it| far(it) == far(&all[0]))
}
