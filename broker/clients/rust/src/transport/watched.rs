//! A reader whose reads fail when no byte has come for too long.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

/// Time only counts while a read is pending: a program that pauses between reads does not make the broker look dead.
#[derive(Debug)]
pub(super) struct Watched<R> {
    inner: R,
    /// 0 means forever. Set by the connection when `hello` has come, read by every wait; shared because the reader is
    /// by then deep inside the WebSocket library.
    silence_ms_max: Arc<AtomicU64>,
    /// When the current wait began.
    since: Option<Instant>,
    alarm: Pin<Box<Sleep>>,
}

impl<R> Watched<R> {
    pub(super) fn new(inner: R, silence_ms_max: Arc<AtomicU64>) -> Watched<R> {
        Watched { inner, silence_ms_max, since: None, alarm: Box::pin(sleep_until(Instant::now())) }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Watched<R> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = &mut *self;
        if let Poll::Ready(result) = Pin::new(&mut this.inner).poll_read(context, buf) {
            this.since = None;
            return Poll::Ready(result);
        }
        let silence_ms_max = this.silence_ms_max.load(Ordering::Relaxed);
        let since = *this.since.get_or_insert_with(Instant::now);
        if silence_ms_max == 0 {
            return Poll::Pending;
        }
        let due = since + Duration::from_millis(silence_ms_max);
        loop {
            // The alarm is only reset when it fires, so steady data costs no timer operations.
            ready!(this.alarm.as_mut().poll(context));
            if Instant::now() >= due {
                let message = format!("no byte came for {silence_ms_max} ms");
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, message)));
            }
            this.alarm.as_mut().reset(due);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn silence_is_an_error_and_quiet_is_not() {
        let (mut there, here) = tokio::io::duplex(64);
        let mut watched = Watched::new(here, Arc::new(AtomicU64::new(250)));
        let began = Instant::now();
        let mut byte = [0];
        for _ in 0..5 {
            let (read, written) = tokio::join!(watched.read_exact(&mut byte), async {
                tokio::time::sleep(Duration::from_millis(200)).await;
                there.write_all(b"x").await
            });
            read.unwrap();
            written.unwrap();
        }
        let error = watched.read_exact(&mut byte).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert_eq!(began.elapsed().as_millis(), 5 * 200 + 250);
    }

    #[tokio::test(start_paused = true)]
    async fn time_does_not_count_between_reads() {
        let (mut there, here) = tokio::io::duplex(64);
        let mut watched = Watched::new(here, Arc::new(AtomicU64::new(250)));
        let mut byte = [0];
        there.write_all(b"x").await.unwrap();
        watched.read_exact(&mut byte).await.unwrap();
        tokio::time::sleep(Duration::from_secs(100)).await;
        let (read, written) = tokio::join!(watched.read_exact(&mut byte), async {
            tokio::time::sleep(Duration::from_millis(200)).await;
            there.write_all(b"x").await
        });
        written.unwrap();
        read.unwrap();
    }
}
