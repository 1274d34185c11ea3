//! `tickcast health`: asks the broker on this machine whether it takes connections. A container image without a shell
//! has no other program for that.

use std::io::{self, Read as _, Write as _};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context as _, bail};

/// The time-out of connecting to the admin listener, and of each read and write. Supervisors usually allow a check
/// more.
const PATIENCE: Duration = Duration::from_secs(2);
/// More than `/readyz` ever answers.
const ANSWER_BYTES_MAX: u64 = 8192;

/// Requests `/readyz` from the admin listener that is configured as `admin_listen`.
///
/// # Errors
/// Nothing answers there, or what answers is not a broker, or the broker takes no connections (any more).
pub fn check(admin_listen: SocketAddr) -> anyhow::Result<()> {
    if admin_listen.port() == 0 {
        bail!("admin_listen is {admin_listen}: with port 0 only the broker's log has the port; name a port");
    }
    let address = on_this_machine(admin_listen);
    let answer = ask(address).with_context(|| format!("no answer from {address} (admin_listen)"))?;
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let mut status_line = head.lines().next().unwrap_or_default().split(' ');
    let version = status_line.next().unwrap_or_default();
    match (version.starts_with("HTTP/1."), status_line.next()) {
        (true, Some("200")) => Ok(()),
        (true, Some(status)) => bail!("{address} is not ready, status {status}: {}", body.trim()),
        _ => bail!("{address} (admin_listen) answers, but not in HTTP"),
    }
}

/// The address at which a program on this machine reaches a listener. A listener on every address includes loopback,
/// but its own address is none to connect to.
pub fn on_this_machine(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

fn ask(address: SocketAddr) -> io::Result<String> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /readyz HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_BYTES_MAX).read_to_end(&mut answer)?;
    Ok(String::from_utf8_lossy(&answer).into_owned())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// Answers one request with these bytes. Returns the address.
    fn answering(answer: &'static [u8]) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn only_a_200_is_ready() {
        for (answer, complaint) in [
            (&b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nready\n"[..], None),
            (b"HTTP/1.1 503 Service Unavailable\r\n\r\ngoing away", Some("status 503: going away")),
            (b"HTTP/1.1 404 Not Found\r\n\r\n", Some("status 404")),
            (b"SSH-2.0-OpenSSH 200\r\n", Some("not in HTTP")),
            (b"", Some("not in HTTP")),
        ] {
            let error = check(answering(answer)).err().map(|error| format!("{error:#}"));
            match (&error, complaint) {
                (None, None) => {}
                (Some(error), Some(complaint)) if error.contains(complaint) => {}
                _ => panic!("{}: {error:?}", answer.escape_ascii()),
            }
        }
    }

    #[test]
    fn the_error_names_an_address_that_does_not_answer() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        assert!(format!("{:#}", check(free).unwrap_err()).contains(&free.to_string()));
        assert!(format!("{:#}", check("127.0.0.1:0".parse().unwrap()).unwrap_err()).contains("name a port"));
    }

    #[test]
    fn a_listener_on_every_address_is_asked_on_loopback() {
        for (listen, asked) in
            [("0.0.0.0:9001", "127.0.0.1:9001"), ("[::]:9001", "[::1]:9001"), ("192.0.2.7:9001", "192.0.2.7:9001")]
        {
            assert_eq!(on_this_machine(listen.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
