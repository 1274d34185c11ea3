//! One nats-server, with its configuration, its store and its ports.

use std::fmt::Write as _;
use std::io::{Read as _, Write as _};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::super::Answer;
use super::files::program;
use super::{ANSWER_TIME, Certificates, Login, Options, until};

/// The ports that servers may get. Below the range from which the kernel gives ports to whoever asks for none: a server that
/// is down for a moment still finds its own free.
const PORTS: std::ops::Range<u16> = 12_000..30_000;
/// How many lines of its log a failed test shows of each server.
const LOG_LINES: usize = 25;

/// Where a server is: the folder of its files, and its addresses.
#[derive(Debug, Clone)]
pub(super) struct Place {
    folder: PathBuf,
    clients: SocketAddr,
    monitoring: SocketAddr,
    pub(super) routes: SocketAddr,
}

/// Chooses places for so many servers.
pub(super) fn places(folder: &Path, count: usize) -> Vec<Place> {
    let place = |index: usize| Place {
        folder: folder.join(format!("n{}", index + 1)),
        clients: free_address(),
        monitoring: free_address(),
        routes: free_address(),
    };
    (0..count).map(place).collect()
}

/// Returns an address on which nothing listens, and which this process has not given before.
fn free_address() -> SocketAddr {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let many = PORTS.end - PORTS.start;
    // Processes begin at different places.
    let begin = (std::process::id() as u16).wrapping_mul(61) % many;
    loop {
        let port = PORTS.start + (begin + NEXT.fetch_add(1, Ordering::Relaxed) % many) % many;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
}

#[derive(Debug)]
enum State {
    Runs(Child),
    Paused(Child),
    Down,
}

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    name: String,
    /// The address for clients.
    pub(crate) address: SocketAddr,
    url: String,
    monitoring: SocketAddr,
    folder: PathBuf,
    version: String,
    state: State,
}

impl Server {
    /// Writes the configuration of one of these servers.
    ///
    /// `routes` are the addresses by which it reaches each of them.
    pub(super) fn new(
        index: usize,
        places: &[Place],
        routes: &[SocketAddr],
        options: &Options,
        tls: Option<&Certificates>,
    ) -> Self {
        let place = &places[index];
        let name = format!("n{}", index + 1);
        std::fs::create_dir_all(&place.folder).unwrap();
        std::fs::write(place.folder.join("server.conf"), configuration(&name, place, routes, options, tls)).unwrap();
        let scheme = if tls.is_some() { "tls" } else { "nats" };
        Self {
            name,
            address: place.clients,
            url: format!("{scheme}://{}{}", options.login.in_url(), place.clients),
            monitoring: place.monitoring,
            folder: place.folder.clone(),
            version: String::new(),
            state: State::Down,
        }
    }

    /// Starts the program, and does not wait for it.
    #[track_caller]
    pub(super) fn spawn(&mut self, version: &str) {
        assert!(self.is_down(), "{} runs already", self.name);
        let program = program(version).unwrap_or_else(|| panic!("nats-server {version} is not installed"));
        let child = Command::new(program)
            .arg("--config")
            .arg(self.folder.join("server.conf"))
            .arg("--log")
            .arg(self.folder.join("server.log"))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        (self.version, self.state) = (version.to_owned(), State::Runs(child.unwrap()));
    }

    /// Its name in the cluster.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The folder with what it stores. Copied and put back while it is down, it is a restored backup.
    pub(crate) fn store_dir(&self) -> PathBuf {
        self.folder.join("store")
    }

    pub(crate) fn runs(&self) -> bool {
        matches!(self.state, State::Runs(_))
    }

    pub(crate) fn is_down(&self) -> bool {
        matches!(self.state, State::Down)
    }

    /// Kills it (SIGKILL), also if it is paused.
    pub(crate) fn kill(&mut self) {
        self.end(Signal::KILL);
    }

    /// Stops it as an upgrade would (SIGTERM), and waits for its end.
    #[track_caller]
    pub(crate) fn term(&mut self) {
        assert!(self.runs(), "{} does not run", self.name);
        self.end(Signal::TERM);
    }

    fn end(&mut self, signal: Signal) {
        if let State::Runs(mut child) | State::Paused(mut child) = std::mem::replace(&mut self.state, State::Down) {
            // Fails if it has ended by itself.
            let _ = kill_process(Pid::from_child(&child), signal);
            until("nats-server to end", || child.try_wait().unwrap().is_some());
        }
    }

    /// Stops its processor time (SIGSTOP): its connections stay, and it says nothing.
    #[track_caller]
    pub(crate) fn pause(&mut self) {
        let State::Runs(child) = std::mem::replace(&mut self.state, State::Down) else {
            panic!("{} does not run", self.name)
        };
        kill_process(Pid::from_child(&child), Signal::STOP).unwrap();
        // proc(5): the state is the first field behind the name in parentheses.
        until("nats-server to pause", || {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
            stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
        });
        self.state = State::Paused(child);
    }

    /// Lets it go on (SIGCONT).
    #[track_caller]
    pub(crate) fn resume(&mut self) {
        let State::Paused(child) = std::mem::replace(&mut self.state, State::Down) else {
            panic!("{} is not paused", self.name)
        };
        kill_process(Pid::from_child(&child), Signal::CONT).unwrap();
        self.state = State::Runs(child);
    }

    /// Starts it again with its store and its ports, and waits until it answers. The cluster may not be whole then.
    #[track_caller]
    pub(crate) fn start_again(&mut self) {
        let version = self.version.clone();
        self.start_again_as(&version);
    }

    /// The same with another version.
    #[track_caller]
    pub(crate) fn start_again_as(&mut self, version: &str) {
        self.spawn(version);
        until("nats-server to answer", || self.asked("/varz").is_some());
    }

    /// The version that answers.
    #[track_caller]
    pub(crate) fn version(&self) -> String {
        self.asked("/varz").unwrap()["version"].as_str().unwrap().to_owned()
    }

    /// Whether it says that JetStream works and is in step with the cluster.
    pub(crate) fn is_well(&self) -> bool {
        self.asked("/healthz").is_some_and(|health| health["status"] == "ok")
    }

    /// What it says of a stream, as by `/jsz`: its `state`, and its `cluster` where it is in one.
    pub(crate) fn stream(&self, stream: &str) -> Option<Value> {
        let view = self.asked("/jsz?accounts=true&streams=true")?;
        let accounts = view["account_details"].as_array()?;
        let mut streams = accounts.iter().filter_map(|account| account["stream_detail"].as_array()).flatten();
        streams.find(|detail| detail["name"] == stream).cloned()
    }

    /// Asks its monitoring. `None` if it does not answer, or not with success.
    pub(crate) fn asked(&self, path: &str) -> Option<Value> {
        if !self.runs() {
            return None;
        }
        let mut stream = TcpStream::connect_timeout(&self.monitoring, ANSWER_TIME).ok()?;
        stream.set_read_timeout(Some(ANSWER_TIME)).ok()?;
        let request = format!("GET {path} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.monitoring);
        stream.write_all(request.as_bytes()).ok()?;
        let mut bytes = Vec::new();
        stream.read_to_end(&mut bytes).ok()?;
        let answer = Answer::parse(&bytes);
        (answer.status == 200).then(|| serde_json::from_str(&answer.body).ok()).flatten()
    }

    /// Its log so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.folder.join("server.log")).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().rev().take(LOG_LINES).collect();
            eprintln!("the last lines of {}, {:?}:", self.name, self.state);
            lines.iter().rev().for_each(|line| eprintln!("  {line}"));
        }
        if let State::Runs(child) | State::Paused(child) = &mut self.state {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

fn configuration(
    name: &str,
    own: &Place,
    routes: &[SocketAddr],
    options: &Options,
    tls: Option<&Certificates>,
) -> String {
    let mut text = format!(
        "server_name: {name}\nlisten: \"{}\"\nhttp: \"{}\"\npid_file: \"{}\"\n",
        own.clients,
        own.monitoring,
        own.folder.join("pid").display(),
    );
    let sync = if options.sync_always { "sync_interval: always" } else { "" };
    let store = own.folder.join("store");
    let _ = writeln!(
        text,
        "jetstream {{ store_dir: \"{}\", max_file_store: {}, max_memory_store: 67108864, {sync} }}",
        store.display(),
        options.store_limit,
    );
    if routes.len() > 1 {
        let urls: Vec<String> = routes.iter().map(|address| format!("\"nats://{address}\"")).collect();
        // Neither clients nor servers are told by servers where the others are: they would go around their links. Servers
        // need to say something, and nothing listens there.
        let _ = writeln!(
            text,
            "cluster {{ name: test, listen: \"{}\", advertise: \"127.0.0.1:1\", no_advertise: true, routes: [{}] }}",
            own.routes,
            urls.join(", "),
        );
    }
    let _ = match &options.login {
        Login::None => Ok(()),
        Login::Token(token) => writeln!(text, "authorization {{ token: \"{token}\" }}"),
        Login::User { name, password } => {
            writeln!(text, "authorization {{ user: \"{name}\", password: \"{password}\" }}")
        }
    };
    if let Some(tls) = tls {
        text.push_str(&tls.configuration());
    }
    text + &options.further
}
