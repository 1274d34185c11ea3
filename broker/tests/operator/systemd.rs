//! What systemd is told, over a real socket.

use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use rustix::process::Signal;

use super::configured::Configured;
use crate::common::PATIENCE;

/// Receives the next message that is not a sign of life.
#[track_caller]
fn next(socket: &UnixDatagram) -> String {
    loop {
        let message = any(socket);
        if message != "WATCHDOG=1" {
            return message;
        }
    }
}

#[track_caller]
fn any(socket: &UnixDatagram) -> String {
    let mut bytes = [0; 1024];
    let len = socket.recv(&mut bytes).unwrap_or_else(|error| panic!("nothing was told: {error}"));
    String::from_utf8(bytes[..len].to_vec()).unwrap()
}

#[test]
fn start_reload_and_stop() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut broker = Configured::with("drain_ms = 0\n", |command| _ = command.env("NOTIFY_SOCKET", &path));
    assert_eq!(next(&socket), "READY=1");
    broker.process.signal(Signal::HUP);
    let uptime = |text: &str| -> u64 {
        let us = text.strip_prefix("RELOADING=1\nMONOTONIC_USEC=").unwrap_or_else(|| panic!("{text}"));
        us.parse().unwrap()
    };
    let first = uptime(&next(&socket));
    assert_eq!(next(&socket), "READY=1");
    // One that is refused has ended as well.
    broker.write("nonsense = 1\n");
    assert_eq!(broker.post_reload().status, 422);
    assert!(uptime(&next(&socket)) > first);
    assert_eq!(next(&socket), "READY=1");
    broker.end();
    assert_eq!(next(&socket), "STOPPING=1");
}

#[test]
fn the_watchdog_gets_signs_of_life_as_long_as_all_make_progress() {
    let name = format!("tickcast-test-{}", std::process::id());
    let socket = UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let broker = Configured::with("drain_ms = 0\n", |command| {
        command.env("NOTIFY_SOCKET", format!("@{name}")).env("WATCHDOG_USEC", "300000");
    });
    assert_eq!(next(&socket), "READY=1");
    for _ in 0..5 {
        assert_eq!(any(&socket), "WATCHDOG=1");
    }
    // A process that is stopped is silent.
    broker.process.signal(Signal::STOP);
    socket.set_read_timeout(Some(std::time::Duration::from_millis(1000))).unwrap();
    let mut bytes = [0; 64];
    while socket.recv(&mut bytes).is_ok() {}
    broker.process.signal(Signal::CONT);
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(any(&socket), "WATCHDOG=1");
}
