//! The broker cannot start: the exit code says so, and the last line of the log says why.

use std::net::TcpListener;

use rustix::process::Signal;

use crate::common::{Process, command, command_with_files, ends};

#[track_caller]
fn last_message(log: &str) -> String {
    let last = log.lines().last().unwrap_or_else(|| panic!("nothing was logged"));
    let last: serde_json::Value = serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"));
    assert_eq!(last["level"], "ERROR", "{log}");
    last["message"].as_str().unwrap().to_owned()
}

#[test]
fn a_port_that_is_taken() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flag in ["--listen", "--admin-listen"] {
        let (code, log) = ends(&mut command(&[flag, &address]));
        let message = last_message(&log);
        assert_eq!(code, Some(1), "{log}");
        assert!(message.contains(&address) && message.contains("another program"), "{message}");
        assert!(message.contains(flag), "it says what to do: {message}");
    }
}

/// The epoll sets that a process has now.
fn epoll_sets_of(process: u32) -> usize {
    let files = std::fs::read_dir(format!("/proc/{process}/fd")).unwrap();
    let targets = files.filter_map(|file| std::fs::read_link(file.unwrap().path()).ok());
    targets.filter(|target| target.as_os_str() == "anon_inode:[eventpoll]").count()
}

#[test]
fn a_file_about_tokens_that_is_missing_or_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file");
    let path = path.to_str().unwrap();
    for (flag, problem) in
        [("--token-key-file", "neither a PEM"), ("--token-secret-file", "at least 32"), ("--token-revoked-file", "")]
    {
        let (code, log) = ends(&mut command(&[flag, path]));
        let message = last_message(&log);
        assert_eq!(code, Some(1), "{log}");
        let setting = flag.trim_start_matches('-').replace('-', "_");
        assert!(message.contains(&format!("{setting} = {path}: the file cannot be read")), "{message}");
        if !problem.is_empty() {
            std::fs::write(path, "nonsense").unwrap();
            let (code, log) = ends(&mut command(&[flag, path]));
            assert!(code == Some(1) && last_message(&log).contains(problem), "{log}");
            std::fs::remove_file(path).unwrap();
        }
    }
}

#[test]
fn too_few_files_for_its_threads() {
    const SHARDS: usize = 32;
    let (mut started, mut failed) = (0, 0);
    for files in (10..300).step_by(29) {
        let flags = ["--shards", &SHARDS.to_string(), "--drain-ms", "0"];
        let mut child = command_with_files(files, &flags);
        // It either serves, or reports why not.
        let child = child.stderr(std::process::Stdio::piped()).stdout(std::process::Stdio::null());
        let mut child = child.spawn().unwrap();
        let reader = std::io::BufReader::new(child.stderr.take().unwrap());
        let (mut log, mut sets) = (String::new(), 0);
        for line in std::io::BufRead::lines(reader) {
            let line = line.unwrap();
            log.push_str(&line);
            log.push('\n');
            if line.contains("\"serving\"") {
                sets = epoll_sets_of(child.id());
                let pid = rustix::process::Pid::from_child(&child);
                rustix::process::kill_process(pid, Signal::TERM).unwrap();
            }
        }
        let code = child.wait().unwrap().code();
        if log.contains("\"serving\"") {
            assert_eq!(code, Some(0), "with {files} files: {log}");
            // Each shard has one for its sockets and one for what it sleeps on. A broker with a shard that has none
            // would only look healthy: what clients publish waits until every shard has read it.
            assert!(sets >= 2 * SHARDS, "{sets} epoll sets with {files} files: {log}");
            assert!(!log.contains("\"ERROR\""), "with {files} files: {log}");
            started += 1;
        } else {
            assert_eq!(code, Some(1), "with {files} files: {log}");
            assert!(log.contains("Too many open files"), "with {files} files: {log}");
            failed += 1;
        }
    }
    assert!(started > 0 && failed > 0, "{started} started, {failed} did not");
}

#[test]
fn by_a_name_for_this_machine() {
    let mut process = Process::start(&["--listen", "localhost:0", "--drain-ms", "0"]);
    assert!(process.listen.ip().is_loopback());
    assert_eq!(process.end(Signal::TERM).0, Some(0));
}
