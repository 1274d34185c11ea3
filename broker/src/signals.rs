//! The signals that end the broker, and SIGHUP, which does not.

use anyhow::Context as _;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are handled.
pub(crate) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hangup: Signal,
}

impl Signals {
    /// Begins to listen. No signal is missed from now on.
    ///
    /// # Errors
    /// The system does not allow it.
    pub(crate) fn listen() -> anyhow::Result<Signals> {
        let listen = |kind, name| signal(kind).with_context(|| format!("{name} cannot be waited for"));
        Ok(Signals {
            terminate: listen(SignalKind::terminate(), "SIGTERM")?,
            interrupt: listen(SignalKind::interrupt(), "SIGINT")?,
            hangup: listen(SignalKind::hangup(), "SIGHUP")?,
        })
    }

    /// Waits for a signal that ends the broker.
    pub(crate) async fn end(&mut self) {
        loop {
            tokio::select! {
                _ = self.terminate.recv() => return,
                _ = self.interrupt.recv() => return,
                // Usually it asks a program to read its settings again, or a terminal was closed.
                _ = self.hangup.recv() => {
                    tracing::warn!("SIGHUP: nothing was reloaded, because settings are read at the start only");
                }
            }
        }
    }
}
