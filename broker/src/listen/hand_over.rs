//! From HTTP to a shard: once its request is answered, a connection goes to the shard with the fewest connections, and
//! stays there.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use broker_protocol::codes::CloseReason;
use broker_protocol::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;
use super::http_socket::HttpSocket;
use super::serve::Next;
use crate::http::sockets::Place;
use crate::shard::Arrival;
use crate::stall::never_by_kernel;

/// The time that a client has to read that its connection is refused.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Gives a connection that no longer speaks HTTP to a shard, once the head of its last answer is written.
pub(super) async fn hand_over(
    mut socket: HttpSocket,
    early: Vec<u8>,
    next: Next,
    remote: SocketAddr,
    place: &Place,
    shared: &Shared,
) -> anyhow::Result<()> {
    if let Next::Sse { head, .. } = &next {
        socket.write_all(head).await?;
    }
    socket.flush().await?;
    let stream = socket.into_stream();
    let (admitted, sse) = match next {
        Next::Sse { request, admitted, .. } => (admitted, Some(request)),
        Next::WebSocket => match shared.admission.admit(remote) {
            Ok(admitted) => {
                never_by_kernel(&stream);
                (admitted, None)
            }
            Err(limit) => {
                // Refused connections count against the bound on HTTP sockets, however many they are, but are the first
                // to be evicted when another one needs room.
                place.evict_first();
                let _ = tokio::time::timeout(REFUSAL_TIME, refuse(stream, limit)).await;
                return Ok(());
            }
        },
    };
    let reserved = shared.context.sys_topics_public || remote.ip().to_canonical().is_loopback();
    let arrival = Arrival { stream: stream.into_std()?, early, admitted, reserved, sub: None, sse };
    if let Some(shard) = shared.shards.iter().min_by_key(|shard| shard.load()) {
        shard.connect(arrival).await;
    }
    Ok(())
}

/// Closes a WebSocket connection that is not admitted: `limit` is the bound that is reached.
async fn refuse(mut stream: TcpStream, limit: &str) -> io::Result<()> {
    let mut close = Vec::new();
    frame::push_close(&mut close, CloseReason::LimitExceeded.code(), limit);
    stream.write_all(&close).await?;
    stream.shutdown().await?;
    // Reads until the client hangs up: closing earlier could reset the connection and lose the close frame.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
