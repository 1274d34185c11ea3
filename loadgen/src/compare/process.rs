//! The process of a server in a comparison.

use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::file::Server;
use crate::clock::pause;
use crate::say;

/// How long a server may take to listen.
const START: Duration = Duration::from_secs(15);
/// How long it may take to end after SIGTERM.
const END: Duration = Duration::from_secs(5);

/// A running server, which is stopped when it is dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    name: String,
}

impl Running {
    /// Starts a server on these cores (on any core if none are given) and waits until it listens.
    pub(crate) fn start(server: &Server, folder: &Path, cores: &[usize]) -> anyhow::Result<Self> {
        let port = free_port()?;
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let mut command = if server.is_floor() {
            let mut command = Command::new(std::env::current_exe().context("this program's own file")?);
            let frames = server.frames_per_write.unwrap_or(1).to_string();
            command.args(["floor", "--listen", &address.to_string(), "--frames-per-write", &frames]);
            command
        } else {
            let mut parts = server.command.iter().map(|part| part.replace("{port}", &port.to_string()));
            let program = parts.next().unwrap_or_default();
            // A program with a slash is a path relative to the comparison's file; otherwise it is looked up as in a
            // shell.
            let mut command =
                if program.contains('/') { Command::new(folder.join(program)) } else { Command::new(program) };
            command.args(parts).current_dir(folder);
            command
        };
        command.envs(&server.env).env("PORT", port.to_string());
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let child = on_cores(cores, || command.spawn())
            .with_context(|| format!("server {:?}: {:?} could not be started", server.name, command.get_program()))?;
        let mut running = Self { child, address, name: server.name.clone() };
        running.wait_until_it_listens()?;
        Ok(running)
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    fn wait_until_it_listens(&mut self) -> anyhow::Result<()> {
        // Reads its output, because a server with a full pipe would stop.
        let output = self.child.stderr.take().map(|stderr| std::thread::spawn(move || read_last(stderr)));
        let begun = Instant::now();
        loop {
            if TcpStream::connect_timeout(&self.address, Duration::from_millis(500)).is_ok() {
                return Ok(());
            }
            if let Some(status) = self.child.try_wait()? {
                let last = output.and_then(|thread| thread.join().ok()).unwrap_or_default();
                bail!("server {:?} ended ({status}) before it listened at {}: {last}", self.name, self.address);
            }
            if begun.elapsed() > START {
                bail!("server {:?} does not listen at {} after {} s", self.name, self.address, START.as_secs());
            }
            pause(Duration::from_millis(20));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // Fails if it is gone already.
            let _ = kill_process(pid, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < END {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            pause(Duration::from_millis(10));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads to the end, and returns the last lines.
fn read_last(from: impl std::io::Read) -> String {
    let mut last = std::collections::VecDeque::new();
    for line in std::io::BufRead::lines(std::io::BufReader::new(from)).map_while(Result::ok) {
        last.push_back(line);
        if last.len() > 5 {
            last.pop_front();
        }
    }
    last.into_iter().collect::<Vec<_>>().join("\n")
}

/// Finds a port that is free now.
fn free_port() -> anyhow::Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("a free port")?;
    Ok(listener.local_addr()?.port())
}

/// Runs `work` on these cores, where the processes that it starts stay.
fn on_cores<T>(cores: &[usize], work: impl FnOnce() -> T) -> T {
    let before = sched_getaffinity(None);
    if !cores.is_empty() {
        let mut set = CpuSet::new();
        cores.iter().for_each(|core| set.set(*core));
        if let Err(error) = sched_setaffinity(None, &set) {
            say::aside(&format!("cores {cores:?} cannot be used ({error}): the server runs anywhere"));
        }
    }
    let done = work();
    if let Ok(before) = before {
        // This was allowed before.
        let _ = sched_setaffinity(None, &before);
    }
    done
}

/// The first line that a server's version command prints.
pub(crate) fn version(server: &Server, folder: &Path) -> Option<String> {
    let (program, arguments) = server.version.split_first()?;
    let mut command = if program.contains('/') { Command::new(folder.join(program)) } else { Command::new(program) };
    let output = command.args(arguments).envs(&server.env).current_dir(folder).stdin(Stdio::null()).output().ok()?;
    let both = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&both);
    text.lines().map(str::trim).find(|line| !line.is_empty()).map(str::to_owned)
}
