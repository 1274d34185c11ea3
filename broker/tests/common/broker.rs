//! A broker in this process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::thread::JoinHandle;

use broker::Broker;
use broker::config;
use tempfile::TempDir;
use tokio::sync::oneshot;

use super::{Answer, Client, ask, panics, until};

/// What a broker holds for its clients. All of these are zero before the first client and after the last.
const GAUGES: [&str; 5] = [
    "tickcast_connections",
    "tickcast_subscriptions",
    "tickcast_followed_topics",
    "tickcast_pinned_bytes",
    "tickcast_admitted",
];

/// Whether the tests' brokers have a journal, in a directory of their own (`TICKCAST_TEST_JOURNAL=1`). What clients see must
/// be the same.
pub(crate) fn with_journal() -> bool {
    std::env::var_os("TICKCAST_TEST_JOURNAL").is_some_and(|set| set == "1")
}

/// A running broker. Stops when dropped, and then nothing in it may have panicked.
pub(crate) struct Running {
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The address with TLS, where that is on.
    pub(crate) tls: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    /// Where its journal is, if it has one.
    _journal: Option<TempDir>,
}

impl Running {
    /// Starts a broker with the default settings, except for its ports and two shards.
    pub(crate) fn start() -> Self {
        Self::with(&[])
    }

    /// Starts a broker with these settings, as an operator would type them.
    pub(crate) fn with(settings: &[(&'static str, &str)]) -> Self {
        Self::with_file(settings, "")
    }

    /// The same, with a configuration file that has this text.
    pub(crate) fn with_file(settings: &[(&'static str, &str)], file: &str) -> Self {
        panics::look_out();
        let usual = [("listen", "127.0.0.1:0"), ("admin_listen", "127.0.0.1:0"), ("shards", "2"), ("drain_ms", "0")];
        let mut flags: Vec<(&'static str, OsString)> = usual
            .iter()
            .filter(|(name, _)| settings.iter().all(|(other, _)| other != name))
            .chain(settings)
            .map(|(name, value)| (*name, value.into()))
            .collect();
        let journal = with_journal().then(|| tempfile::tempdir().unwrap());
        if let Some(folder) = &journal {
            flags.extend([("journal", "local".into()), ("journal_dir", folder.path().join("journal").into())]);
        }
        let file = file.to_owned();
        let read = move || config::resolve(&flags, [], Some((std::path::Path::new("tickcast.toml"), &file)));
        let loaded = read().unwrap_or_else(|error| panic!("{error}"));
        let reread = Box::new(read);
        let (stop, stopped) = oneshot::channel();
        let (addresses, started) = std::sync::mpsc::channel();
        let thread = std::thread::Builder::new().name(panics::BROKER_THREAD.to_owned()).spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let broker = Broker::start(loaded.config, reread).await.unwrap();
                addresses.send((broker.listen(), broker.admin_listen(), broker.tls_listen())).unwrap();
                // Fails if the owner is gone, which stops the broker as well.
                let _ = stopped.await;
                broker.stop().await;
            });
        });
        let (listen, admin, tls) = started.recv().expect("the broker starts");
        Self { listen, admin, tls, stop: Some(stop), thread: Some(thread.unwrap()), _journal: journal }
    }

    /// Connects a client, which has read `hello`.
    pub(crate) fn client(&self) -> Client {
        Client::connect(self.listen)
    }

    /// Sends an HTTP request to the client listener.
    pub(crate) fn http(&self, line: &str, body: &str) -> Answer {
        ask(self.listen, line, &["Content-Type: application/json"], body.as_bytes())
    }

    /// Publishes over HTTP, and returns the update's `seq`.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, kind: &str, data: &str) -> u64 {
        let answer = self.http(&format!("POST /v1/topics/{}?kind={kind}", topic.replace('/', "%2F")), data);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()["seq"].as_u64().unwrap()
    }

    /// Returns a topic's epoch.
    #[track_caller]
    pub(crate) fn epoch(&self, topic: &str) -> String {
        let answer = self.http(&format!("GET /v1/topics/{topic}/history?last=1"), "");
        answer.json()["epoch"].as_str().unwrap_or_else(|| panic!("{answer:?}")).to_owned()
    }

    /// Returns the present value of a metric.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = ask(self.admin, "GET /metrics", &[], b"");
        let mut lines = answer.body.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("there is no {name} in {answer:?}"))
    }

    /// Waits until a metric is `good`.
    #[track_caller]
    pub(crate) fn until_metric(&self, name: &str, good: impl Fn(f64) -> bool) {
        until(name, || good(self.metric(name)));
    }

    /// Waits until the broker holds nothing for any client. Then it has to serve a new client and not have panicked.
    #[track_caller]
    pub(crate) fn assert_settles(&self) {
        let held = || {
            let held: Vec<_> =
                GAUGES.iter().map(|name| (*name, self.metric(name))).filter(|(_, it)| *it != 0.0).collect();
            held
        };
        let end = std::time::Instant::now() + super::PATIENCE;
        loop {
            let held = held();
            if held.is_empty() {
                break;
            }
            assert!(std::time::Instant::now() < end, "not given back: {held:?}");
            std::thread::yield_now();
        }
        let mut client = self.client();
        client.say(r#"{"op":"ping","id":"still there"}"#);
        client.expect("pong");
        panics::assert_none();
    }

    /// Waits until the broker has exactly this many connections.
    #[track_caller]
    pub(crate) fn assert_settles_but_for(&self, connections: usize) {
        for name in ["tickcast_connections", "tickcast_admitted"] {
            self.until_metric(name, |count| count == connections as f64);
        }
    }

    /// Begins to stop the broker, as a signal would.
    pub(crate) fn begin_stop(&mut self) {
        if let Some(stop) = self.stop.take() {
            // Fails if it has ended already.
            let _ = stop.send(());
        }
    }

    /// Waits until it has stopped.
    pub(crate) fn join(&mut self) {
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
            && !std::thread::panicking()
        {
            panic!("the broker's thread panicked");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.begin_stop();
        self.join();
        if !std::thread::panicking() {
            panics::assert_none();
        }
    }
}
