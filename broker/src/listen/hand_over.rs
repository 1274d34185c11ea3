//! From HTTP to a shard: the connection with its request done goes to the shard with the fewest connections, for life.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use broker_protocol::codes::CloseReason;
use broker_protocol::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::Shared;
use super::http_socket::HttpSocket;
use super::serve::Becomes;
use crate::http::sockets::Place;
use crate::shard::Arrival;
use crate::stall::never_by_kernel;

/// What one closing connection may take to be told that there is no place for it.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Gives a connection that speaks HTTP no longer to a shard, as soon as the last answer's head is written.
pub(super) async fn hand_over(
    mut socket: HttpSocket,
    early: Vec<u8>,
    becomes: Becomes,
    remote: SocketAddr,
    place: &Place,
    shared: &Shared,
) -> anyhow::Result<()> {
    if let Becomes::Sse { head, .. } = &becomes {
        socket.write_all(head).await?;
    }
    socket.flush().await?;
    let stream = socket.into_stream();
    let (admitted, sse) = match becomes {
        Becomes::Sse { request, admitted, .. } => (admitted, Some(request)),
        Becomes::WebSocket => match shared.admission.admit(remote) {
            Ok(admitted) => {
                never_by_kernel(&stream);
                (admitted, None)
            }
            Err(limit) => {
                // However many are refused at once, they hold their places among the sockets that there may be, but not
                // where somebody else waits for one.
                place.is_over();
                let _ = tokio::time::timeout(REFUSAL_TIME, refuse(stream, limit)).await;
                return Ok(());
            }
        },
    };
    let reserved = shared.context.sys_topics_public || remote.ip().to_canonical().is_loopback();
    let arrival = Arrival { stream: stream.into_std()?, early, admitted, reserved, sse };
    if let Some(shard) = shared.shards.iter().min_by_key(|shard| shard.load()) {
        shard.connect(arrival).await;
    }
    Ok(())
}

/// Closes a WebSocket for which there is no place.
async fn refuse(mut stream: TcpStream, limit: &str) -> io::Result<()> {
    let mut close = Vec::new();
    frame::push_close(&mut close, CloseReason::LimitExceeded.code(), limit);
    stream.write_all(&close).await?;
    stream.shutdown().await?;
    // Until the client hangs up: a reset would take the close frame with it.
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
