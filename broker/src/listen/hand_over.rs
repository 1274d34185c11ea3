//! From HTTP to a shard: once its request is answered, a connection goes to the shard with the fewest connections, and
//! stays there.

use std::io;
use std::time::Duration;

use broker_engine::Granted;
use broker_protocol::codes::CloseReason;
use broker_protocol::frame;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::Shared;
use super::http_socket::HttpSocket;
use super::serve::Next;
use super::wire::{Parts, Wire};
use crate::address::ClientAddress;
use crate::admission::Admitted;
use crate::authentication::Who;
use crate::http::sockets::Place;
use crate::quota::Seat;
use crate::shard::Arrival;
use crate::stall::never_by_kernel;

/// The time that a client has to read that its connection is refused.
const REFUSAL_TIME: Duration = Duration::from_secs(1);

/// Gives a connection that no longer speaks HTTP to a shard, once the head of its last answer is written.
pub(super) async fn hand_over(
    mut socket: HttpSocket,
    mut early: Vec<u8>,
    next: Next,
    place: &Place,
    shared: &Shared,
) -> anyhow::Result<()> {
    if let Next::Sse { head, .. } = &next {
        socket.write_all(head).await?;
    }
    socket.flush().await?;
    let wire = socket.into_wire();
    let (admitted, sse, client, (seat, granted)) = match next {
        Next::Sse { request, admitted, client, seat, .. } => {
            (admitted, Some(request), client, (seat, Granted::default()))
        }
        Next::WebSocket { address, client } => match admit(address, &client.who, shared) {
            Ok((admitted, granted)) => {
                never_by_kernel(wire.stream());
                (admitted, None, client, granted)
            }
            Err(limit) => {
                // Refused connections count against the bound on HTTP sockets, however many they are, but are the first
                // to be evicted when another one needs room.
                place.evict_first();
                let _ = tokio::time::timeout(REFUSAL_TIME, refuse(wire, limit)).await;
                return Ok(());
            }
        },
    };
    let reserved = shared.context.sys_topics_public || admitted.address().is_local;
    let Parts { stream, tls, plain } = wire.into_parts();
    early.extend(plain);
    let arrival = Arrival { stream: stream.into_std()?, tls, early, admitted, granted, reserved, client, seat, sse };
    if let Some(shard) = shared.shards.iter().min_by_key(|shard| shard.load()) {
        shard.connect(arrival).await;
    }
    Ok(())
}

/// Admits a WebSocket connection, and says what is granted to it.
///
/// # Errors
/// The bound that is reached.
fn admit(
    address: ClientAddress,
    who: &Who,
    shared: &Shared,
) -> Result<(Admitted, (Option<Seat>, Granted)), &'static str> {
    let admitted = shared.admission.admit(address)?;
    let granted = match who {
        Who::Known(identity) => shared.context.identity_quotas.enter(identity)?,
        Who::Anyone | Who::Unknown => (None, shared.context.quotas.granted()),
    };
    Ok((admitted, granted))
}

/// Closes a WebSocket connection that is not admitted: `limit` is the bound that is reached.
async fn refuse(mut wire: Wire, limit: &str) -> io::Result<()> {
    let mut close = Vec::new();
    frame::push_close(&mut close, CloseReason::LimitExceeded.code(), limit);
    wire.write_all(&close).await?;
    wire.flush().await?;
    wire.shutdown().await?;
    // Reads until the client hangs up: closing earlier could reset the connection and lose the close frame.
    let mut rest = [0; 1024];
    while wire.read(&mut rest).await? > 0 {}
    Ok(())
}
