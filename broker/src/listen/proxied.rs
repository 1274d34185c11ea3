//! Reads the header of the PROXY protocol from a connection, and nothing behind it: what follows is for HTTP or TLS.

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpStream;

use super::Shared;
use crate::address::ClientAddress;
use crate::address::header::{BYTES_MAX, BadHeader, length, parse};
use crate::http::sockets::Place;

/// Returns the address of the client for which a trusted proxy opened this connection, once its header is here. From
/// then on the socket counts for that client.
///
/// # Errors
/// The connection has to be closed: its peer is no trusted proxy, or it does not begin with a header.
pub(super) async fn address(
    stream: &TcpStream,
    remote: SocketAddr,
    place: &Place,
    shared: &Shared,
) -> io::Result<ClientAddress> {
    let proxies = &shared.proxies;
    if !proxies.trusts(remote.ip()) {
        let why = "it is not among trusted_proxies, and proxy_protocol is required";
        return Err(closed(shared, remote, &why));
    }
    let named = match header(stream).await? {
        Ok(named) => named,
        Err(bad) => return Err(closed(shared, remote, &bad)),
    };
    let address = named.map_or_else(|| proxies.direct(remote), |source| proxies.named(source));
    if !proxies.trusts(address.ip) {
        place.is_held_by(address.block());
    }
    Ok(address)
}

fn closed(shared: &Shared, remote: SocketAddr, why: &dyn std::fmt::Display) -> io::Error {
    shared.context.access.count_proxy();
    tracing::warn!(%remote, "a connection was closed: {why}");
    io::ErrorKind::InvalidData.into()
}

/// Reads a header to its end.
async fn header(stream: &TcpStream) -> io::Result<Result<Option<SocketAddr>, BadHeader>> {
    let (mut bytes, mut used) = ([0; BYTES_MAX], 0);
    loop {
        // What is peeked at is consumed up to the header's end, so a connection that sends a part of it is not looked at
        // again before more of it comes.
        let seen = used + stream.peek(&mut bytes[used..]).await?;
        if seen == used {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let whole = match length(&bytes[..seen]) {
            Ok(whole) => whole,
            Err(bad) => return Ok(Err(bad)),
        };
        let end = whole.map_or(seen, |whole| whole.min(seen));
        while used < end {
            match stream.try_read(&mut bytes[used..end]) {
                Ok(len) => used += len,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => stream.readable().await?,
                Err(error) => return Err(error),
            }
        }
        if whole == Some(used) {
            return Ok(parse(&bytes[..used]));
        }
    }
}
