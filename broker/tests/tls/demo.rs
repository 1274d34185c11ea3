//! `tickcast demo --secure`: the commands that it prints do what it says.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::common::not_run;

const PATIENCE: Duration = Duration::from_secs(60);

/// Started with ports of its own; killed when dropped.
struct Demo(Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs a command line and returns what it prints.
fn sh(line: &str) -> String {
    let output = Command::new("sh").args(["-c", line]).output().unwrap();
    assert!(output.status.success(), "{line}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Repeats a command until it prints this.
fn sh_until(line: &str, text: &str) {
    let end = Instant::now() + PATIENCE;
    loop {
        let said = sh(line);
        if said.contains(text) {
            return;
        }
        assert!(Instant::now() < end, "{line}: {said}");
    }
}

#[test]
fn the_commands_differ_in_what_they_may() {
    if Command::new("curl").arg("--version").output().is_err() {
        assert!(std::env::var("CI").as_deref() != Ok("true"), "CI has curl");
        return not_run("needs curl");
    }
    let flags = ["--listen=127.0.0.1:0", "--admin-listen=127.0.0.1:0", "--tls-listen=127.0.0.1:0", "--shards=1"];
    let child = Command::new(env!("CARGO_BIN_EXE_tickcast"))
        .args(["demo", "--secure"])
        .args(flags)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut demo = Demo(child);
    let lines = BufReader::new(demo.0.stdout.take().unwrap()).lines().map_while(Result::ok);
    let (sender, greeting) = mpsc::channel();
    std::thread::spawn(move || {
        lines.for_each(|line| {
            let _ = sender.send(line);
        });
    });
    let (mut commands, mut page) = (Vec::new(), None);
    while commands.len() < 4 {
        let line = greeting.recv_timeout(PATIENCE).expect("the demo says what to try");
        if let Some((_, rest)) = line.split_once("open http://") {
            page = rest.split_once('/').map(|(address, _)| address.to_owned());
        }
        if line.trim_start().starts_with("curl ") {
            commands.push(line.trim().to_owned());
        }
    }
    let [amy, bob, carol, delete] = commands.try_into().unwrap();
    sh_until(&amy, r#""op":"image","topic":"stocks.AAPL.quote""#);
    sh_until(&bob, "sports.football.");
    assert!(sh(&amy.replace("/amy", "/bob")).contains(r#""code":"forbidden""#));
    assert!(sh(&carol).contains(r#""seq":1"#));
    assert!(sh(&carol.replace("/carol", "/amy")).contains(r#""code":"forbidden""#));
    assert!(sh(&delete.replace("/carol", "/amy")).contains(r#""code":"forbidden""#));
    assert!(sh(&delete).contains(r#""topic":"news.lobby""#));
    assert!(sh(&delete).contains(r#""code":"not_found""#), "it is gone");
    let (nobody, _) = amy.split_once(" -H ").unwrap();
    let address = amy.rsplit(' ').next().unwrap();
    assert!(sh(&format!("{nobody} {address}")).contains(r#""code":"bad_token""#));

    // The page is there for everyone. The tokens are in the files that the greeting names, and do without TLS as well.
    let page = page.expect("the demo says where the page is");
    assert!(sh(&format!("curl -s http://{page}/")).contains("<title>Tickcast</title>"));
    let topics = format!("http://{page}/v1/topics");
    assert!(sh(&format!("curl -s {topics}")).contains(r#""code":"bad_token""#));

    let (_, folder) = amy.split_once("--cacert ").unwrap();
    let folder = std::path::Path::new(folder.split_once("/ca.pem").unwrap().0);
    assert!(sh(&format!("curl -s -H @{}/bob '{topics}?limit=1'", folder.display())).contains(r#""topic":"sports."#));
    kill_process(Pid::from_child(&demo.0), Signal::INT).unwrap();
    assert!(demo.0.wait().unwrap().success());
    assert!(!folder.exists(), "its keys are gone with it");
}
