//! TLS handshakes of the client listener.
//!
//! A handshake costs the main thread 0.1 ms with a key on P-256 and up to 0.8 ms with RSA. If thousands come at once and
//! all are begun, the second message of the first client waits until the first messages of all are computed, and all run
//! out of time together. So a few have a turn at the same time, first come, first served, and the first are done while
//! the last still wait. The clock of a handshake starts with its turn.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout, timeout_at};

use super::wire::{TlsSocket, Wire};
use crate::clock::now;
use crate::tls::{Done, Tls};

/// A client that has not answered the broker's message for so long no longer counts as having its turn: otherwise a few
/// clients that never answer would keep the others waiting.
const TURN_TIME: Duration = Duration::from_millis(250);

/// In a storm of handshakes the main thread gives way to others after this time, in µs. A shard that wakes up while its
/// core computes handshakes waits for the end of the kernel's time slice otherwise, which is 3 ms on two cores.
const GIVES_WAY_US: u64 = 500;

/// What all handshakes share.
pub(crate) struct Handshakes {
    pub(crate) tls: Arc<Tls>,
    turns: Semaphore,
    /// When shards were last let run, on the monotonic clock in µs.
    gave_way_us: AtomicU64,
}

impl Handshakes {
    /// Lets `max` handshakes have their turn at the same time.
    pub(crate) fn new(tls: Arc<Tls>, max: u32) -> Self {
        Self { tls, turns: Semaphore::new(max as usize), gave_way_us: AtomicU64::new(0) }
    }

    /// Shakes hands with a client, and waits for its first request. `patience` counts from the handshake's turn.
    ///
    /// # Errors
    /// The client breaks the protocol, has nothing in common with us, or takes too long.
    pub(super) async fn shake(&self, stream: TcpStream, patience: Duration) -> io::Result<Wire> {
        let first = self.turn().await?;
        let begin = Instant::now();
        let mut socket = TlsSocket::new(stream, self.tls.begin()?);
        let done = match timeout_at(begin + patience, self.exchange(&mut socket, first)).await {
            Ok(Ok(())) => socket.tls().done(),
            Ok(Err(error)) => {
                self.tls.counters().count(Done::FAILED, begin.elapsed());
                return Err(error);
            }
            Err(_) => {
                self.tls.counters().count(Done::TIMEOUT, begin.elapsed());
                return Err(io::ErrorKind::TimedOut.into());
            }
        };
        self.tls.counters().count(done, begin.elapsed());
        // hyper's memory for a connection is allocated when there is something to read.
        let mut waiting = Waiting(Some(Box::new(socket)));
        timeout_at(begin + patience, poll_fn(|cx| waiting.poll(cx))).await??;
        waiting.0.take().map(Wire::Tls).ok_or_else(|| io::ErrorKind::NotConnected.into())
    }

    async fn exchange(&self, socket: &mut TlsSocket, first: SemaphorePermit<'_>) -> io::Result<()> {
        let mut turn = Some(first);
        loop {
            poll_fn(|cx| socket.poll_send(cx)).await?;
            if !socket.tls().is_handshaking() {
                return Ok(());
            }
            if socket.has_ended() {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if socket.tls().is_before_key_exchange() {
                if turn.is_none() {
                    socket.stream().readable().await?;
                    turn = Some(self.turn().await?);
                }
            } else if turn.is_some() && timeout(TURN_TIME, socket.stream().readable()).await.is_err() {
                turn = None;
            }
            let taken = poll_fn(|cx| socket.poll_take_in(cx));
            let result = match turn {
                None => taken.await,
                // A socket may count as readable although it is empty: then nobody waits for it with a turn.
                Some(_) => match timeout(TURN_TIME, taken).await {
                    Ok(result) => result,
                    Err(_) => {
                        turn = None;
                        continue;
                    }
                },
            };
            if result.is_err() {
                // The alert, as far as it can be sent at once.
                poll_fn(|cx| {
                    let _ = socket.poll_send(cx);
                    Poll::Ready(())
                })
                .await;
            }
            self.give_way();
            result?;
            if socket.tls().is_before_key_exchange() {
                // The client's first message is incomplete: it has no turn while the rest is on its way.
                turn = None;
            }
        }
    }

    /// Lets shards run that wait for this core.
    fn give_way(&self) {
        let now_us = now().mono_us;
        if now_us.saturating_sub(self.gave_way_us.load(Ordering::Relaxed)) >= GIVES_WAY_US {
            self.gave_way_us.store(now_us, Ordering::Relaxed);
            std::thread::yield_now();
        }
    }

    async fn turn(&self) -> io::Result<SemaphorePermit<'_>> {
        // It is never closed.
        self.turns.acquire().await.map_err(io::Error::other)
    }
}

/// A connection that waits for its first request. If it is dropped before that, its client is told.
struct Waiting(Option<Box<TlsSocket>>);

impl Waiting {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.as_mut().map_or(Poll::Ready(Ok(())), |socket| socket.poll_fill(cx))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(socket) = self.0.take() {
            Wire::Tls(socket).say_goodbye();
        }
    }
}
