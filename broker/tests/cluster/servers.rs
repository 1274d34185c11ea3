//! The tests' nats-servers: a stream with three replicas outlives its leader, and links hold back what they should.

use std::io::ErrorKind;
use std::net::TcpStream;

use serde_json::json;

use crate::common::nats::{CURRENT, Link, Login, OLDEST, Options, Servers, Way, Wire};
use crate::common::until;

const STREAM: &str = "SMOKE";

/// Makes a stream with as many replicas as there are servers, with three messages.
#[track_caller]
fn with_stream(servers: &Servers) {
    let mut wire = servers.wire(0);
    let replicas = servers.len();
    let stream = json!({"name": STREAM, "subjects": ["smoke.*"], "storage": "file", "num_replicas": replicas});
    wire.jetstream(&format!("STREAM.CREATE.{STREAM}"), &stream).unwrap();
    (1..=3).for_each(|seq| assert_eq!(written(&mut wire), seq));
}

/// Writes a message, and returns its number in the stream. Waits while a server does not know yet who takes it.
#[track_caller]
fn written(wire: &mut Wire) -> u64 {
    let mut seq = None;
    until("somebody to take the message", || match wire.request("smoke.a", b"{}") {
        Ok(answer) => {
            seq = answer["seq"].as_u64();
            true
        }
        Err(error) if error.kind() == ErrorKind::NotFound => false,
        Err(error) => panic!("{error}"),
    });
    seq.unwrap()
}

/// How many messages the stream has, as this server says.
fn messages(servers: &Servers, index: usize) -> u64 {
    servers[index].stream(STREAM).map_or(0, |stream| stream["state"]["messages"].as_u64().unwrap_or(0))
}

#[test]
fn a_stream_outlives_its_leader_and_an_upgrade() {
    let options = Options { sync_always: true, ..Options::default() };
    let Some(mut servers) = Servers::start(OLDEST, 3, options) else { return };
    with_stream(&servers);
    let first = servers.until_leader_of(STREAM);
    servers[first].kill();
    let second = servers.until_leader_of(STREAM);
    assert_ne!(first, second);
    assert_eq!(written(&mut servers.wire(second)), 4);
    // Comes back as another version, and catches up.
    servers[first].start_again_as(CURRENT);
    servers.until_ready();
    servers.until_in_step(STREAM);
    assert_eq!(servers[first].version(), CURRENT);
    until("the fourth message", || messages(&servers, first) == 4);
    // All at once, and nothing is lost.
    servers.kill_all();
    servers.start_all_again();
    let leader = servers.until_leader_of(STREAM);
    assert_eq!(written(&mut servers.wire(leader)), 5);
}

#[test]
fn a_leader_that_is_parted_from_the_others_is_replaced_and_comes_back() {
    let Some(servers) = Servers::start(CURRENT, 3, Options { parting: true, ..Options::default() }) else { return };
    with_stream(&servers);
    let first = servers.until_leader_of(STREAM);
    servers.part(first);
    // For a while two lead, each in its own view. Only that of the majority can write.
    let by_majority = || (0..3).find(|index| *index != first && servers.leads(*index, STREAM));
    let mut second = None;
    until("the others to have a leader", || {
        second = by_majority();
        second.is_some()
    });
    let second = second.unwrap();
    // As long as it leads in its own view only, a message goes to the one that is parted, and no answer comes.
    until("the others to take a message", || servers.wire(second).request("smoke.a", b"{}").is_ok());
    let all = messages(&servers, second);
    assert!(all > 3 && messages(&servers, first) == 3, "{all}");
    servers.reunite();
    servers.until_in_step(STREAM);
    until("all messages", || messages(&servers, first) == all);
}

#[test]
fn a_server_that_is_paused_says_nothing_and_goes_on() {
    let Some(mut servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    with_stream(&servers);
    servers[0].pause();
    assert_eq!(servers.leader_of(STREAM), None);
    servers[0].resume();
    assert_eq!(servers.until_leader_of(STREAM), 0);
    servers[0].term();
    servers.start_all_again();
    assert_eq!(messages(&servers, 0), 3);
    // The store of a server that is down is its backup.
    servers[0].term();
    std::fs::remove_dir_all(servers[0].store_dir()).unwrap();
    servers.start_all_again();
    assert_eq!(servers.leader_of(STREAM), None);
}

#[test]
fn only_those_who_may_come_in() {
    let login = Login::User { name: "broker".to_owned(), password: "secret".to_owned() };
    let options = Options { login: login.clone(), ..Options::default() };
    let Some(servers) = Servers::start(CURRENT, 1, options) else { return };
    assert!(Wire::connect(servers[0].address, &Login::None).is_err());
    assert!(Wire::connect(servers[0].address, &login).is_ok());
    assert_eq!(servers.url(), format!("nats://broker:secret@{}", servers[0].address));
    let options = Options { tls: true, ..Options::default() };
    let Some(servers) = Servers::start(CURRENT, 1, options) else { return };
    assert!(servers.url().starts_with("tls://") && servers.certificates().ca.is_file());
    // Waits for TLS, so it answers no PING in the clear.
    assert!(Wire::connect(servers[0].address, &Login::None).is_err());
}

#[test]
fn a_link_holds_back_and_cuts() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    with_stream(&servers);
    let link = Link::to(servers[0].address);
    let mut wire = Wire::connect(link.address, &Login::None).unwrap();
    assert_eq!(written(&mut wire), 4);
    // What is asked arrives, and no answer does until the link heals.
    link.silence_way(Way::ToClient);
    let waiting = std::thread::spawn(move || (wire.request("smoke.b", b"{}").unwrap()["seq"].clone(), wire));
    until("the fifth message", || messages(&servers, 0) == 5);
    assert!(!waiting.is_finished());
    link.heal();
    let (seq, mut wire) = waiting.join().unwrap();
    assert_eq!(seq, 5);
    link.silence();
    let waiting =
        std::thread::spawn(move || (wire.request("smoke.b", b"{}").map(|answer| answer["seq"].clone()), wire));
    link.cut();
    let (answer, _) = waiting.join().unwrap();
    assert!(answer.is_err());
    assert_eq!(messages(&servers, 0), 5);
    // It listens still, and closes at once.
    assert!(TcpStream::connect(link.address).is_ok());
    assert!(Wire::connect(link.address, &Login::None).is_err_and(|error| {
        matches!(error.kind(), ErrorKind::UnexpectedEof | ErrorKind::ConnectionReset | ErrorKind::BrokenPipe)
    }));
    link.heal();
    assert!(Wire::connect(link.address, &Login::None).is_ok());
}
