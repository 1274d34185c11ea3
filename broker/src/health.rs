//! `tickcast health`: asks the broker on this machine whether it takes connections, or any listener by its URL whether
//! it answers. A container image without a shell has no other program for that.
//!
//! ```text
//! probe     a listener by its URL: looking up the name, connecting, TLS
//! url       what a URL says
//! tls       what is trusted, and what went wrong in plain words
//! exchange  the request and the answer
//! ```

mod exchange;
mod probe;
mod url;

#[cfg(feature = "tls")]
mod tls;
#[cfg(not(feature = "tls"))]
#[path = "health/absent.rs"]
mod tls;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use anyhow::{Context as _, bail};

pub use self::probe::Probe;

/// Requests `/readyz` from the admin listener that is configured as `admin_listen`.
///
/// # Errors
/// Nothing answers there, or what answers is not a broker, or the broker takes no connections (any more).
pub fn check(admin_listen: SocketAddr) -> anyhow::Result<()> {
    if admin_listen.port() == 0 {
        bail!("admin_listen is {admin_listen}: with port 0 only the broker's log has the port; name a port");
    }
    let address = on_this_machine(admin_listen);
    let answer = exchange::connect(&address)
        .and_then(|mut stream| exchange::ask(&mut stream, &address.to_string(), "/readyz"))
        .with_context(|| format!("no answer from {address} (admin_listen)"))?;
    exchange::judge(&answer).with_context(|| format!("{address} (admin_listen)"))
}

/// The address at which a program on this machine reaches a listener. A listener on every address includes loopback,
/// but its own address is none to connect to.
pub fn on_this_machine(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(if address.is_ipv4() { Ipv4Addr::LOCALHOST.into() } else { Ipv6Addr::LOCALHOST.into() });
    }
    address
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::exchange::tests::answering;
    use super::*;

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
