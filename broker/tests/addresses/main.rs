//! Clients behind proxies: whose address counts, and that nobody can choose their own. Quotas: that nobody gets more.

#[path = "../common/mod.rs"]
mod common;

mod forwarded;
mod header;
mod quotas;
mod rates;

use std::io::Write as _;
use std::net::{IpAddr, SocketAddr, TcpStream};

use socket2::{Domain, Socket, Type};

use self::common::{Client, PATIENCE, Running, ask};

/// The addresses of all connections, as an operator sees them.
#[track_caller]
fn remotes(broker: &Running) -> Vec<String> {
    let answer = ask(broker.admin, "GET /v1/connections", &[], b"").json();
    let rows = answer["connections"].as_array().unwrap_or_else(|| panic!("{answer}"));
    let mut remotes: Vec<String> = rows.iter().map(|row| row["remote"].as_str().unwrap().to_owned()).collect();
    remotes.sort();
    remotes
}

/// Connects from an address of this machine, which every 127.x.y.z is.
fn connect_from(from: [u8; 4], address: SocketAddr) -> TcpStream {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, None).unwrap();
    socket.bind(&SocketAddr::new(IpAddr::from(from), 0).into()).unwrap();
    socket.connect(&address.into()).unwrap();
    let stream: TcpStream = socket.into();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

/// A WebSocket client from this address, whose connection begins with these bytes. It has not read `hello`.
#[track_caller]
fn client_from(from: [u8; 4], broker: &Running, first: &[u8], headers: &[&str]) -> Client {
    let mut stream = connect_from(from, broker.listen);
    stream.write_all(first).unwrap();
    Client::shake_hands_over(stream, broker.listen, false, headers, b"").0
}
