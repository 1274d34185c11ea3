//! The program, in a process of its own.

use std::io::{BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::process::{Child, ChildStderr, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{Answer, Client, PATIENCE, ask, until};

/// The built program.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_tickcast");

/// A running broker. It is killed when dropped.
pub(crate) struct Process {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
    /// The address with TLS, where that is on.
    pub(crate) tls: Option<SocketAddr>,
    /// What it logged before it served.
    pub(crate) early: Vec<Value>,
    log: Option<BufReader<ChildStderr>>,
}

/// A command that runs a broker with these flags, on free ports, with its log in JSON.
pub(crate) fn command(flags: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    let usual = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--shards", "2", "--log-format", "json"];
    let left_out = |name: &str| flags.contains(&name);
    for pair in usual.chunks(2).filter(|pair| !left_out(pair[0])) {
        command.args(pair);
    }
    command.args(flags);
    command
}

/// The same command with a limit on open files.
pub(crate) fn command_with_files(files: usize, flags: &[&str]) -> Command {
    let broker = command(flags);
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("ulimit -n {files}; exec \"$0\" \"$@\""));
    command.arg(broker.get_program()).args(broker.get_args());
    command
}

/// Returns an address on which nothing listens.
pub(crate) fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl Process {
    /// Starts a broker with these flags, and waits until it serves.
    #[track_caller]
    pub(crate) fn start(flags: &[&str]) -> Self {
        Self::run(command(flags))
    }

    /// Runs one of the commands above, and waits until it serves.
    #[track_caller]
    pub(crate) fn run(mut command: Command) -> Self {
        let child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
        let mut process = Self { child, listen: nowhere, admin: nowhere, tls: None, early: Vec::new(), log: None };
        let mut log = BufReader::new(process.child.stderr.take().unwrap());
        let mut line = String::new();
        loop {
            line.clear();
            if log.read_line(&mut line).unwrap() == 0 {
                panic!("it ended before it served: {:?}, {:#?}", process.child.wait(), process.early.last());
            }
            let entry: Value = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
            if entry["message"] == "serving" {
                let address = |name: &str| entry[name].as_str().unwrap().parse().unwrap();
                (process.listen, process.admin) = (address("listen"), address("admin_listen"));
                process.tls = entry["tls_listen"].as_str().map(|address| address.parse().unwrap());
                process.log = Some(log);
                return process;
            }
            process.early.push(entry);
        }
    }

    /// Starts a broker whose log goes to `log`, and waits until it serves.
    #[track_caller]
    pub(crate) fn logging_to(log: Stdio, flags: &[&str]) -> Self {
        let (listen, admin) = (free_address(), free_address());
        let (listen_flag, admin_flag) = (listen.to_string(), admin.to_string());
        let mut command = command(&[&["--listen", &listen_flag, "--admin-listen", &admin_flag], flags].concat());
        let child = command.stderr(log).stdout(Stdio::null()).spawn().unwrap();
        let mut process = Self { child, listen, admin, tls: None, early: Vec::new(), log: None };
        until("it to serve", || {
            assert_eq!(process.child.try_wait().unwrap(), None, "it ended before it served");
            std::net::TcpStream::connect(admin).is_ok()
        });
        process
    }

    /// Closes the reading end of its log.
    pub(crate) fn close_log(&mut self) {
        self.log = None;
    }

    pub(crate) fn client(&self) -> Client {
        Client::connect(self.listen)
    }

    pub(crate) fn get(&self, address: SocketAddr, path: &str) -> Answer {
        ask(address, &format!("GET {path}"), &[], b"")
    }

    /// Returns the present value of a metric.
    #[track_caller]
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let answer = self.get(self.admin, "/metrics");
        let mut lines = answer.body.lines();
        let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("there is no {name} in {answer:?}"))
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// The same, also if it has ended by itself.
    pub(crate) fn signal_if_runs(&self, signal: Signal) {
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Returns whether it still runs.
    pub(crate) fn runs(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Returns the processor time that it spent in user mode, in hundredths of a second; and whether it has ended and
    /// was not waited for yet.
    #[track_caller]
    pub(crate) fn own_time(&self) -> (u64, bool) {
        // proc(5): the name, in parentheses, may contain any character; the state is the field after it.
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().collect();
        (fields[11].parse().unwrap(), fields[0] == "Z")
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process to end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    /// Ends it by a signal. Returns its exit code and how long that took.
    #[track_caller]
    pub(crate) fn end(&mut self, signal: Signal) -> (Option<i32>, Duration) {
        let begin = Instant::now();
        self.signal(signal);
        (self.wait().code(), begin.elapsed())
    }

    /// Reads its log until a line has this message.
    #[track_caller]
    pub(crate) fn until_logged(&mut self, message: &str) {
        let log = self.log.as_mut().unwrap();
        let mut line = String::new();
        while !line.contains(message) {
            line.clear();
            assert!(log.read_line(&mut line).unwrap() > 0, "it ended, and had not logged {message:?}");
        }
    }

    /// Returns what it has logged since it began to serve, or after the line that was waited for. It has to have ended.
    #[track_caller]
    pub(crate) fn logged(&mut self) -> Vec<Value> {
        let mut text = String::new();
        if let Some(mut log) = self.log.take() {
            log.read_to_string(&mut text).unwrap();
        }
        text.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Fails if the test has ended the process already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command that ends by itself. Returns its exit code and its standard error.
#[track_caller]
pub(crate) fn ends(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let end = Instant::now() + PATIENCE;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() > end {
            let _ = child.kill();
            panic!("it does not end");
        }
        std::thread::yield_now();
    }
    let mut output = String::new();
    child.stderr.take().unwrap().read_to_string(&mut output).unwrap();
    (child.wait().unwrap().code(), output)
}
