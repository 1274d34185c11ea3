//! No room for the log: publishes are refused and say why, subscribers go on, and so does publishing once there is room.

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};

use crate::common::{Client, not_run, until};
use crate::kept::Kept;
use crate::load::pass;

/// The room that the log has, in bytes.
const ROOM: u64 = 256 * 1024;

/// Publishes until nothing is taken any more, and returns how many updates were taken before. The broker has said why.
fn publish_until_full(kept: &Kept, client: &mut Client, first: u64, cause: &str) -> u64 {
    let mut n = first;
    loop {
        let data = format!("{{\"n\":{n},\"x\":\"{}\"}}", "x".repeat(4_000));
        client.say(&format!(r#"{{"op":"publish","id":{n},"topic":"a","kind":"event","data":{data}}}"#));
        let answer = client.message();
        if answer.op() == "error" {
            assert_eq!((&answer["code"], &answer["retry"]), (&json!("unavailable"), &json!(true)), "{answer:?}");
            assert!(answer.str("message").contains(cause), "{answer:?}");
            break;
        }
        assert_eq!(answer.num("seq"), n, "{answer:?}");
        n += 1;
        assert!(n < 100_000, "the disk does not fill up");
    }
    // Over HTTP too, and the next ones as well.
    for _ in 0..3 {
        let refused = kept.http("POST /v1/topics/a?kind=event", "1");
        assert_eq!((refused.status, refused.code().as_str()), (503, "unavailable"), "{refused:?}");
        assert!(refused.body.contains(cause), "{refused:?}");
    }
    n - 1
}

/// Fills the disk, looks at what still works, makes room, and compares what is there with what was taken.
fn filled_up(mut kept: Kept, cause: &str, fill: impl FnOnce(&mut Kept), make_room: impl FnOnce(&mut Kept)) {
    kept.publish("state", "state", "{\"n\":1}");
    let mut follower = kept.client();
    follower.subscribe(&["a"]);
    let mut producer = kept.client();
    fill(&mut kept);
    let taken = publish_until_full(&kept, &mut producer, 1, cause);
    assert!(taken > 0);

    // Who follows gets everything that was taken, and nothing else.
    follower.expect("topic");
    for n in 1..=taken {
        let update = follower.expect("update");
        assert_eq!((update.num("seq"), update["data"]["n"].as_u64()), (n, Some(n)));
    }
    assert_eq!(follower.request(r#"{"op":"ping","id":1}"#).op(), "pong");
    // Who comes now is served as well.
    assert_eq!(kept.client().subscribe(&["a", "state"])["topics"][1]["start"], "image");
    assert_eq!(kept.history("a", 1)["seq"], taken);
    let admin = kept.process().admin;
    for path in ["/healthz", "/readyz"] {
        let answer = kept.process().get(admin, path);
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    assert_eq!(kept.process().metric("tickcast_journal_failed"), 1.0);
    assert!(kept.process().metric("tickcast_journal_failures_total") >= 1.0);

    make_room(&mut kept);
    until("it to go on by itself", || kept.process().metric("tickcast_journal_failed") == 0.0);
    assert_eq!(kept.publish("a", "event", &json!({ "n": taken + 1 }).to_string()), taken + 1);
    let update = follower.expect("update");
    assert_eq!((update.num("seq"), update["data"]["n"].as_u64()), (taken + 1, Some(taken + 1)));

    let before = kept.all();
    kept.kill();
    kept.go();
    assert_eq!(kept.all(), before);
    let history = kept.history("a", 100_000);
    let numbers: Vec<&Value> =
        history["updates"].as_array().unwrap().iter().map(|update| &update["data"]["n"]).collect();
    assert_eq!(numbers.len() as u64, taken + 1);
    assert!(numbers.iter().zip(1..).all(|(n, wanted)| **n == json!(wanted)), "{numbers:?}");
}

/// Files of the process have at most this many bytes from now on.
fn limit_files(kept: &mut Kept, bytes: Option<u64>) {
    let pid: Pid = kept.process().pid();
    prlimit(Some(pid), Resource::Fsize, Rlimit { current: bytes, maximum: None }).unwrap();
}

#[test]
fn a_file_that_may_not_grow() {
    let mut kept = Kept::new(&["--retain-bytes", "16MiB"]);
    // By default the signal ends a process whose file may not grow.
    kept.run_by(&["sh", "-c", "trap '' XFSZ; exec \"$0\" \"$@\""]);
    kept.go();
    filled_up(kept, "File too large", |kept| limit_files(kept, Some(ROOM)), |kept| limit_files(kept, None));
}

#[test]
fn a_log_that_has_reached_its_bound() {
    log_is_full(false);
}

#[test]
fn a_log_that_has_reached_its_bound_is_read_again() {
    log_is_full(true);
}

fn log_is_full(is_restarted: bool) {
    // No checkpoint can be made, because a folder is where it would be written; so nothing makes room.
    let mut kept =
        Kept::new(&["--journal-bytes-max", "67108864", "--message-bytes", "1MiB", "--retain-bytes", "16MiB"]);
    kept.go();
    let blocked = kept.dir().join("checkpoint.new");
    std::fs::create_dir(&blocked).unwrap();
    let mut client = kept.client();
    let mut n = 0;
    // To the last byte.
    for bytes in [1_000_000, 30_000, 1_000, 1] {
        let data = "x".repeat(bytes);
        let refused = loop {
            client.say(&format!(r#"{{"op":"publish","id":{n},"topic":"a","kind":"event","data":"{data}"}}"#));
            let answer = client.message();
            if answer.op() == "error" {
                break answer;
            }
            n += 1;
            assert!(n < 500, "the bound is not kept");
        };
        assert_eq!(refused["code"], "unavailable");
        assert!(refused.str("message").contains("journal_bytes_max"), "{refused:?}");
        assert_eq!(kept.process().metric("tickcast_journal_failed"), 1.0);
        if bytes > 1 {
            until("it to try again", || kept.process().metric("tickcast_journal_failed") == 0.0);
        }
    }
    assert_eq!(kept.history("a", 1)["seq"], n);
    if is_restarted {
        kept.kill();
        std::fs::remove_dir(&blocked).unwrap();
        kept.go();
        assert_eq!(kept.history("a", 1)["seq"], n);
    } else {
        std::fs::remove_dir(&blocked).unwrap();
    }
    // Checkpoints can be written again, and make room for what publishers repeat.
    let again = "POST /v1/topics/a?kind=event&source=feed&source_seq=1";
    until("it to go on by itself", || {
        pass(Duration::from_millis(10));
        kept.http(again, "1").status == 200
    });
    // A segment is deleted as a whole, so some of it stays.
    until("room to be made", || kept.process().metric("tickcast_journal_log_bytes") < f64::from(32 << 20));
    assert_eq!(kept.history("a", 1)["seq"], n + 1);
    assert_eq!(kept.publish("a", "event", "1"), n + 2);
    kept.kill_and_go();
    assert_eq!(kept.history("a", 1)["seq"], n + 2);
}

/// A small file system in a mount namespace of its own, which is gone when this is dropped, or when the test ends in
/// whatever way.
struct SmallDisk {
    holder: Child,
    _stdin: ChildStdin,
}

impl SmallDisk {
    /// Mounts it. `None`, after saying so, where that is not allowed.
    fn mount(dir: &std::path::Path, bytes: u64) -> Option<Self> {
        std::fs::create_dir(dir).unwrap();
        let mount = format!("mount -t tmpfs -o size={bytes} small {} && echo mounted && read -r end", dir.display());
        let mut holder = Command::new("unshare");
        holder.args(["-m", "sh", "-c", &mount]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut holder = holder.spawn().ok()?;
        let mut said = String::new();
        BufReader::new(holder.stdout.take()?).read_line(&mut said).unwrap();
        let stdin = holder.stdin.take()?;
        if said != "mounted\n" {
            let _ = holder.wait();
            not_run("a small file system cannot be mounted: it needs root");
            return None;
        }
        Some(Self { holder, _stdin: stdin })
    }

    /// A path in it, as seen from outside.
    fn path(&self, path: &std::path::Path) -> std::path::PathBuf {
        std::path::PathBuf::from(format!("/proc/{}/root{}", self.holder.id(), path.display()))
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self._stdin.write_all(b"end\n");
        let _ = self.holder.wait();
    }
}

#[test]
#[ignore = "needs root: make journal-test"]
fn a_disk_that_is_full() {
    let mut kept = Kept::new(&["--retain-bytes", "16MiB"]);
    let small = kept.folder.path().join("small");
    let Some(disk) = SmallDisk::mount(&small, 8 << 20) else { return };
    let dir = small.join("journal");
    kept.set_flags(&["--retain-bytes", "16MiB", "--journal-dir", dir.to_str().unwrap()]);
    kept.run_by(&["nsenter", "-t", &disk.holder.id().to_string(), "-m", "--"]);
    kept.go();
    let filler = disk.path(&small.join("filler"));
    let fill = |_: &mut Kept| {
        // All but the room.
        let bytes = (8 << 20) - ROOM as usize;
        std::fs::write(&filler, vec![0; bytes]).unwrap();
    };
    filled_up(kept, "No space left on device", fill, |_| std::fs::remove_file(&filler).unwrap());
}
