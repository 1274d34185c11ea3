//! TLS on the client listener.
//!
//! ```text
//! store        the certificates in force; reading their files again
//! pairs        certificates and keys from files
//! certificate  what a certificate says of itself
//! resolver     which of them a client is shown
//! settings     rustls' configuration
//! wire         TLS on one connection, without its socket
//! bounds       what a connection may hold
//! counters     what is counted
//! absent       the same for a build without the feature `tls`, in which there is none
//! ```
//!
//! Nothing here knows a socket. `listen` drives a connection's [`Wire`] while it speaks HTTP, and a shard afterwards.

mod bounds;
mod counters;

#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod pairs;
#[cfg(feature = "tls")]
mod resolver;
#[cfg(feature = "tls")]
mod settings;
#[cfg(feature = "tls")]
mod store;
#[cfg(feature = "tls")]
mod wire;

#[cfg(not(feature = "tls"))]
mod absent;

#[cfg(not(feature = "tls"))]
pub(crate) use self::absent::{Tls, Wire};
pub(crate) use self::bounds::{Flushed, HANDSHAKE_BYTES_MAX, RECORD_BYTES_MAX};
pub(crate) use self::counters::Done;
#[cfg(feature = "tls")]
pub(crate) use self::{store::Tls, wire::Wire};

use std::sync::Arc;
use std::time::Duration;

/// The first byte of a connection that begins with a TLS handshake (RFC 8446 §5.1).
pub(crate) const HANDSHAKE: u8 = 22;

/// What reading the files again has led to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Reloaded {
    /// Whether anything is another way than at the last look.
    pub(crate) changed: bool,
    /// Whether all is well; otherwise what is wrong with which file, and what to do.
    pub(crate) result: Result<(), String>,
}

/// Looks at the files now and then, for ever: whoever renews certificates need not tell the broker. By content and not
/// by inotify, because Kubernetes replaces a symbolic link.
pub(crate) async fn watch(tls: Arc<Tls>, interval: Duration) {
    loop {
        tokio::time::sleep(interval).await;
        let looking = tls.clone();
        // A file may be on a slow disk, and this thread serves HTTP.
        match tokio::task::spawn_blocking(move || looking.reload()).await {
            Ok(Reloaded { changed: false, .. }) => {}
            Ok(Reloaded { result: Ok(()), .. }) => tracing::info!("the TLS certificates were read anew"),
            Ok(Reloaded { result: Err(error), .. }) => {
                tracing::error!("the TLS certificates were not read anew, and the old ones stay in force: {error}");
            }
            Err(error) => tracing::error!(%error, "looking at the TLS certificates failed"),
        }
    }
}
