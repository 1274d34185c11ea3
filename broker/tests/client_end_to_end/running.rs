//! The broker as a process of its own, and a proxy to it that can be cut.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use broker_client::{Backoff, Client, Event, Options, Subscription};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// How long a test waits for what has to come.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for what has to come.
#[track_caller]
pub(crate) fn soon<T>(future: impl Future<Output = T>) -> impl Future<Output = T> {
    let at = std::panic::Location::caller();
    async move {
        match tokio::time::timeout(PATIENCE, future).await {
            Ok(output) => output,
            Err(_) => panic!("nothing happened for {PATIENCE:?} at {at}"),
        }
    }
}

/// A running broker; killed when dropped.
pub(crate) struct Running {
    process: Child,
    pub(crate) listen: SocketAddr,
}

impl Running {
    pub(crate) async fn start(listen: &str, flags: &[&str]) -> Running {
        let mut process = Command::new(env!("CARGO_BIN_EXE_tickcast"))
            .args(["serve", "--listen", listen, "--admin-listen", "127.0.0.1:0", "--log-format", "json"])
            .args(flags)
            .stderr(Stdio::piped())
            .spawn()
            .expect("the broker's binary runs");
        let log = BufReader::new(process.stderr.take().expect("it is piped"));
        let (found, address) = oneshot::channel();
        std::thread::spawn(move || {
            let mut found = Some(found);
            // Read to the end: the broker would lose lines if the pipe were full.
            for line in log.lines().map_while(Result::ok) {
                let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON in the log: {line}"));
                if let Some(listen) = line["listen"].as_str()
                    && let Some(found) = found.take()
                {
                    let _ = found.send(listen.parse().expect("it is an address"));
                }
            }
        });
        let listen = soon(address).await.expect("the broker says where it listens before it ends");
        Running { process, listen }
    }

    pub(crate) fn url(&self) -> String {
        format!("ws://{}/v1/ws", self.listen)
    }

    /// Asks it to stop, as an operator does.
    pub(crate) fn stop(&self) {
        kill_process(Pid::from_child(&self.process), Signal::TERM).unwrap();
    }
}

impl Drop for Running {
    /// Kills it, as a crash would.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Connects a client that reconnects quickly.
pub(crate) async fn connect(url: String, queue_updates_max: usize) -> Client {
    connect_to([url], queue_updates_max).await
}

/// Connects a client to the first of these addresses. It tries them in this order, and looks at the others at once.
pub(crate) async fn connect_to(urls: impl IntoIterator<Item = String>, queue_updates_max: usize) -> Client {
    let backoff = Backoff { first_ms: 1, max_ms: 50, jitter: 0.5 };
    let options = Options { backoff, queue_updates_max, shuffle: false, look_within_ms: 0, ..Options::any_of(urls) };
    soon(Client::connect_with(options)).await.unwrap()
}

#[track_caller]
pub(crate) fn next(subscription: &mut Subscription) -> impl Future<Output = Event> {
    let next = soon(subscription.next());
    async move { next.await.expect("the subscription goes on") }
}

/// A proxy between clients and the broker, whose connections can be cut.
pub(crate) struct Line {
    pub(crate) url: String,
    open: Arc<Mutex<Vec<JoinHandle<()>>>>,
    accepted: Arc<AtomicU64>,
}

impl Line {
    pub(crate) async fn to(broker: SocketAddr) -> Line {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v1/ws", listener.local_addr().unwrap());
        let open: Arc<Mutex<Vec<JoinHandle<()>>>> = Arc::default();
        let accepted = Arc::new(AtomicU64::new(0));
        let (passing, counted) = (open.clone(), accepted.clone());
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                // A cut is a reset: bytes in flight are lost, as behind a router that fails.
                client.set_zero_linger().unwrap();
                let pass = tokio::spawn(async move {
                    if let Ok(mut broker) = TcpStream::connect(broker).await {
                        let _ = tokio::io::copy_bidirectional(&mut client, &mut broker).await;
                    }
                });
                passing.lock().unwrap().push(pass);
                counted.fetch_add(1, Ordering::SeqCst);
            }
        });
        Line { url, open, accepted }
    }

    /// Cuts every connection, wherever its bytes are.
    pub(crate) fn cut(&self) {
        self.open.lock().unwrap().drain(..).for_each(|pass| pass.abort());
    }

    pub(crate) fn accepted(&self) -> u64 {
        self.accepted.load(Ordering::SeqCst)
    }
}
