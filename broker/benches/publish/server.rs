//! The broker under load, in a process of its own.

use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

/// A running broker. Stopped when dropped.
pub(crate) struct Server {
    child: Child,
    pub(crate) listen: SocketAddr,
    pub(crate) admin: SocketAddr,
}

impl Server {
    /// Starts a broker with this many shards.
    pub(crate) fn start(shards: usize) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickcast"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0", "--drain-ms", "0"]);
        // Publishers do not answer pings, so there are none.
        command.args(["--heartbeat-ms", "86400000", "--log-format", "text"]);
        // The usual limit on open files allows this many; with the default the broker would warn.
        command.args(["--connections-max", "4096", "--shards", &shards.to_string()]);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the broker's binary starts");
        let mut log = BufReader::new(child.stderr.take().expect("its log is a pipe"));
        let Some((listen, admin)) = addresses(&mut log) else {
            panic!("the broker did not serve: {:?}", child.wait());
        };
        std::thread::spawn(move || pass_on(log));
        Self { child, listen, admin }
    }

    /// CPU time of its threads so far, by the scheduler's own accounting.
    pub(crate) fn cpu_ns(&self) -> u64 {
        let threads = std::fs::read_dir(format!("/proc/{}/task", self.child.id())).into_iter().flatten().flatten();
        let times = threads.filter_map(|thread| {
            let text = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
            text.split(' ').next()?.parse::<u64>().ok()
        });
        times.sum()
    }

    /// Its resident memory.
    pub(crate) fn rss_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
        line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) * 1024
    }

    /// Returns the value of a metric without labels.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let mut stream = TcpStream::connect(self.admin).expect("the admin listener takes connections");
        let request = format!("GET /metrics HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", self.admin);
        stream.write_all(request.as_bytes()).expect("the admin listener reads");
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("the admin listener answers");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' ')?.parse().ok());
        value.unwrap_or_else(|| panic!("no metric {name}"))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // Fails if it has ended already.
            let _ = kill_process(pid, Signal::TERM);
        }
        match self.child.wait() {
            Ok(status) if status.success() => {}
            other => eprintln!("the broker did not end well: {other:?}"),
        }
    }
}

/// Reads the log up to the line that says where the broker serves.
fn addresses(log: &mut impl BufRead) -> Option<(SocketAddr, SocketAddr)> {
    let mut line = String::new();
    loop {
        line.clear();
        if log.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if let Some(found) = address(&line, " listen=").zip(address(&line, " admin_listen=")) {
            return Some(found);
        }
        complain(&line);
    }
}

fn address(line: &str, before: &str) -> Option<SocketAddr> {
    let (_, rest) = line.split_once(before)?;
    rest.split_whitespace().next()?.parse().ok()
}

/// Prints a line of the log if it is a warning or an error.
fn complain(line: &str) {
    if line.contains(" WARN ") || line.contains(" ERROR ") {
        eprint!("{line}");
    }
}

/// Reads the rest of the log, so that the broker's pipe does not fill up.
fn pass_on(log: BufReader<std::process::ChildStderr>) {
    log.lines().map_while(Result::ok).for_each(|line| complain(&format!("{line}\n")));
}
