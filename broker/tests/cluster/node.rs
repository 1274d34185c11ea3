//! A broker with a journal in NATS, on addresses of its own, which stay the same when it starts again.

use std::io::{self, ErrorKind, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;
use serde_json::Value;

use crate::common::{Answer, Client, PATIENCE, Process, ask, command, until};
use crate::kept::own_address;
use crate::load::pass;

/// Between two looks at what is waited for: its processor is needed elsewhere.
const PAUSE: Duration = Duration::from_millis(20);

/// A broker.
pub(crate) struct Node {
    /// The address for clients.
    pub(crate) address: SocketAddr,
    /// The address for operators.
    pub(crate) admin: SocketAddr,
    flags: Vec<String>,
    process: Option<Process>,
}

impl Node {
    /// Starts the broker of this name, and waits until it serves.
    #[track_caller]
    pub(crate) fn start(url: &str, name: &str, flags: &[&str]) -> Self {
        let mut node = Self::new(url, name, flags);
        node.go();
        node
    }

    /// The same, without starting it.
    pub(crate) fn new(url: &str, name: &str, flags: &[&str]) -> Self {
        let own = ["--journal", "nats", "--journal-nats", url, "--journal-node", name, "--drain-ms", "0"];
        let flags = own.iter().chain(flags).map(|flag| (*flag).to_owned()).collect();
        Self { address: own_address(), admin: own_address(), flags, process: None }
    }

    /// Starts it with these flags as well from now on.
    pub(crate) fn add_flags(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    /// The command that starts it.
    pub(crate) fn command(&self) -> Command {
        let (address, admin) = (self.address.to_string(), self.admin.to_string());
        let own = ["--listen", &address, "--admin-listen", &admin];
        let flags: Vec<&str> = own.into_iter().chain(self.flags.iter().map(String::as_str)).collect();
        command(&flags)
    }

    /// Stops it as a supervisor does.
    #[track_caller]
    pub(crate) fn end(&mut self) {
        assert_eq!(self.process().end(Signal::TERM).0, Some(0));
        self.process = None;
    }

    /// Starts it, and waits until it serves.
    #[track_caller]
    pub(crate) fn go(&mut self) {
        assert!(self.process.is_none(), "it runs already");
        self.process = Some(Process::run(self.command()));
    }

    #[track_caller]
    pub(crate) fn process(&mut self) -> &mut Process {
        self.process.as_mut().expect("it runs")
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.address)
    }

    /// Sends an HTTP request to the client listener.
    #[track_caller]
    pub(crate) fn http(&self, line: &str, body: &str) -> Answer {
        ask(self.address, line, &["Content-Type: application/json"], body.as_bytes())
    }

    /// Publishes an event, and returns the epoch and `seq` that it has.
    #[track_caller]
    pub(crate) fn publish(&self, topic: &str, data: &str) -> (String, u64) {
        let answer = self.http(&format!("POST /v1/topics/{topic}?kind=event"), data);
        assert_eq!(answer.status, 200, "{answer:?}");
        let json = answer.json();
        (json["epoch"].as_str().unwrap().to_owned(), json["seq"].as_u64().unwrap())
    }

    /// Publishes what cannot be taken, and returns why: it may be repeated later.
    #[track_caller]
    pub(crate) fn publish_in_vain(&self, path: &str, data: &str) -> String {
        let answer = self.http(&format!("POST {path}"), data);
        assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
        answer.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    /// What is retained of a topic: its epoch, `seq` and updates.
    #[track_caller]
    pub(crate) fn history(&self, topic: &str) -> Value {
        let answer = self.http(&format!("GET /v1/topics/{topic}/history?last=100000"), "");
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.json()
    }

    /// The newest `seq` of a topic; 0 if there is no such topic, or no broker.
    pub(crate) fn seq(&self, topic: &str) -> u64 {
        let answer = get(self.address, &format!("/v1/topics/{topic}/history?last=1")).ok();
        answer.filter(|answer| answer.status == 200).and_then(|answer| answer.json()["seq"].as_u64()).unwrap_or(0)
    }

    /// The epoch of a topic.
    #[track_caller]
    pub(crate) fn epoch(&self, topic: &str) -> String {
        self.history(topic)["epoch"].as_str().unwrap().to_owned()
    }

    /// The present value of a metric.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        self.process.as_ref().expect("it runs").metric(name)
    }

    /// Waits until `/readyz` has this status, and returns what it says.
    #[track_caller]
    pub(crate) fn until_readiness(&self, status: u16) -> String {
        let mut said = String::new();
        patiently(&format!("{status} from /readyz"), || {
            let answer = get(self.admin, "/readyz");
            answer.is_ok_and(|answer| {
                said = answer.body;
                answer.status == status
            })
        });
        said
    }

    /// Waits until this topic has this `seq` here.
    #[track_caller]
    pub(crate) fn until_seq(&self, topic: &str, seq: u64) {
        patiently(&format!("{seq} of {topic}"), || self.seq(topic) >= seq);
    }
}

/// Waits until the condition holds, and leaves the processor to others meanwhile.
#[track_caller]
pub(crate) fn patiently(what: &str, mut condition: impl FnMut() -> bool) {
    until(what, || {
        let holds = condition();
        if !holds {
            pass(PAUSE);
        }
        holds
    });
}

/// Asks for something over HTTP.
///
/// # Errors
/// There is no broker, or it ended before the answer did.
pub(crate) fn get(address: SocketAddr, path: &str) -> io::Result<Answer> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n").as_bytes())?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes)?;
    let answer = Answer::parse(&bytes);
    if answer.status == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(answer) }
}
