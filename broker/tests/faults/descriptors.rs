//! Open files: there are fewer of them than clients.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::common::{Answer, HANDSHAKE, PATIENCE, Process, Running, command_with_files, until};

/// Far more than anything here takes.
const LONG: Duration = Duration::from_secs(5);

fn handshake(process: &Process) -> String {
    format!("GET /v1/ws HTTP/1.1\r\nHost: {}\r\n{}\r\n\r\n", process.listen, HANDSHAKE.join("\r\n"))
}

/// Expects that probes and metrics are answered.
#[track_caller]
fn assert_admin_answers(process: &Process) {
    for path in ["/healthz", "/readyz", "/metrics", "/v1/connections"] {
        let begin = Instant::now();
        assert_eq!(process.get(process.admin, path).status, 200, "{path}");
        assert!(begin.elapsed() < LONG, "{path} took {:?}", begin.elapsed());
    }
}

#[test]
fn clients_beyond_the_open_files_are_refused_with_a_code() {
    let mut process = Process::run(command_with_files(200, &["--drain-ms", "0"]));
    let mut streams = Vec::new();
    for _ in 0..300 {
        let mut stream = TcpStream::connect(process.listen).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(handshake(&process).as_bytes()).unwrap();
        streams.push(stream);
    }
    let (mut taken, mut refused) = (0, 0);
    for stream in &mut streams {
        let (mut received, mut bytes) = (Vec::new(), [0; 4096]);
        let is_over = |received: &[u8]| {
            let text = String::from_utf8_lossy(received);
            text.contains("\"op\":\"hello\"") || text.contains("connections_max")
        };
        while !is_over(&received) {
            let len = stream.read(&mut bytes).unwrap();
            assert!(len > 0, "cut off without a code: {:?}", String::from_utf8_lossy(&received));
            received.extend_from_slice(&bytes[..len]);
        }
        assert_eq!(Answer::parse(&received).status, 101);
        match String::from_utf8_lossy(&received).contains("\"op\":\"hello\"") {
            true => taken += 1,
            // The close frame: 4029.
            false => {
                assert!(received.windows(2).any(|code| code == 4029u16.to_be_bytes()), "{received:?}");
                refused += 1;
            }
        }
    }
    assert_eq!(taken + refused, 300);
    assert!(taken > 50 && refused > 50, "{taken} taken, {refused} refused");
    assert_eq!(process.metric("tickcast_connections_max"), f64::from(taken));
    assert_admin_answers(&process);
    // Once they have left, there is room again.
    drop(streams);
    until("room", || process.metric("tickcast_admitted") == 0.0);
    let mut client = process.client();
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");
    assert_eq!(process.end(Signal::TERM).0, Some(0));
    // There were never more clients than files, so nothing failed.
    let lines = process.logged();
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{lines:?}");
}

#[test]
fn sockets_that_send_nothing_keep_no_client_out() {
    let mut process = Process::run(command_with_files(200, &["--drain-ms", "0"]));
    let max = process.metric("tickcast_http_connections_max");
    assert!((5.0..100.0).contains(&max), "{max}");
    let mut mute: Vec<TcpStream> = (0..300).map(|_| TcpStream::connect(process.listen).unwrap()).collect();
    // And some that drip.
    for stream in mute.iter_mut().step_by(2) {
        // It fails if the broker has closed the socket already.
        let _ = stream.write_all(b"GET /v1/topics HTTP/1.1\r\nX: ");
    }
    let begin = Instant::now();
    let mut client = process.client();
    client.say(r#"{"op":"ping"}"#);
    client.expect("pong");
    assert_eq!(process.get(process.listen, "/v1/topics").status, 200);
    // They wait for earlier connections, which have to be evicted first.
    assert!(begin.elapsed() < 2 * LONG, "{:?}", begin.elapsed());
    assert_admin_answers(&process);
    assert!(process.metric("tickcast_http_evicted_total") > 0.0);
    // An evicted connection gets the reason.
    let first = &mut mute[1];
    first.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut received = Vec::new();
    first.read_to_end(&mut received).unwrap();
    let answer = Answer::parse(&received);
    assert_eq!((answer.status, answer.code().as_str()), (503, "unavailable"), "{answer:?}");
    assert_eq!(process.end(Signal::TERM).0, Some(0));
    let lines = process.logged();
    assert!(lines.iter().all(|line| line["level"] == "INFO"), "{lines:?}");
}

/// Runs in a process of its own, because it has no file left at the end.
#[test]
#[ignore = "run by the test below"]
fn the_admin_listener_without_any_file() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let broker = Running::start();
    let mut stream = {
        let mut limit = getrlimit(Resource::Nofile);
        limit.current = Some(200);
        setrlimit(Resource::Nofile, limit).unwrap();
        let domain = socket2::Domain::for_address(broker.admin);
        socket2::Socket::new(domain, socket2::Type::STREAM, None).unwrap()
    };
    let mut files = Vec::new();
    while let Ok(file) = std::fs::File::open("/dev/null") {
        files.push(file);
    }
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.connect(&broker.admin.into()).unwrap();
    let request = format!("GET /healthz HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n\r\n", broker.admin);
    stream.write_all(request.as_bytes()).unwrap();
    let mut received = Vec::new();
    stream.read_to_end(&mut received).unwrap();
    assert_eq!(Answer::parse(&received).status, 200);
}

#[test]
fn the_admin_listener_has_files_of_its_own() {
    let mut command = std::process::Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "descriptors::the_admin_listener_without_any_file", "--include-ignored"]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
