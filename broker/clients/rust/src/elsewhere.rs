//! Looks for a better broker at the other addresses, beside the present connection: when the broker says that it is cut
//! off from its journal, so that what it sends may be old, and when it is about to stop.
//!
//! Each other address is tried once, until a broker is not stale itself: it takes over. If there is none, the present
//! connection stays.

use std::time::Duration;

use tokio::sync::watch;

use crate::addresses::Addresses;
use crate::probe::{NotBetter, probe};
use crate::shared::Shared;
use crate::transport::{Connection, Connector};

/// A connection to a broker that is better than the present one.
#[derive(Debug)]
pub(crate) struct Better {
    /// The index of its address.
    pub(crate) index: usize,
    pub(crate) connection: Connection,
}

/// What speaks against the present broker. The reading loop says it, and the search hears it.
#[derive(Debug, Default)]
pub(crate) struct Signs(watch::Sender<Reasons>);

#[derive(Debug, Clone, Copy, Default)]
struct Reasons {
    is_stale: bool,
    is_leaving: bool,
    /// How many there were so far on this connection: each begins one search.
    count: u64,
    /// The search begins within this time.
    within_ms: u64,
}

impl Reasons {
    fn is_any(&self) -> bool {
        self.is_stale || self.is_leaving
    }
}

impl Signs {
    /// The broker is cut off from its journal, and was not before.
    pub(crate) fn stale(&self, within_ms: u64) {
        self.0.send_modify(|reasons| {
            (reasons.is_stale, reasons.within_ms) = (true, within_ms);
            reasons.count += 1;
        });
    }

    /// The broker is not cut off any more.
    pub(crate) fn fresh(&self) {
        self.0.send_modify(|reasons| reasons.is_stale = false);
    }

    /// The broker is about to close the connection, and says so for the first time.
    pub(crate) fn leaving(&self, within_ms: u64) {
        self.0.send_if_modified(|reasons| {
            let is_news = !reasons.is_leaving;
            if is_news {
                (reasons.is_leaving, reasons.within_ms) = (true, within_ms);
                reasons.count += 1;
            }
            is_news
        });
    }
}

/// Waits for signs, looks at the other addresses once for each, and returns the first better broker.
pub(crate) async fn better(shared: &Shared, addresses: &Addresses, connector: &Connector, signs: &Signs) -> Better {
    let mut heard = signs.0.subscribe();
    let mut looked = 0;
    loop {
        let Ok(reasons) = heard.wait_for(|reasons| reasons.is_any() && reasons.count > looked).await.map(|now| *now)
        else {
            // The sender is borrowed, so it outlives this wait.
            return std::future::pending().await;
        };
        looked = reasons.count;
        tokio::select! {
            found = look(shared, addresses, connector, reasons.within_ms) => {
                if let Some(better) = found {
                    return better;
                }
            }
            // What the search was for is over.
            _ = heard.wait_for(|reasons| !reasons.is_any()) => {}
        }
    }
}

/// Tries each other address once, one after the other.
async fn look(shared: &Shared, addresses: &Addresses, connector: &Connector, within_ms: u64) -> Option<Better> {
    if addresses.count() < 2 {
        return None;
    }
    tokio::time::sleep(Duration::from_secs_f64(within_ms as f64 / 1_000.0 * rand::random::<f64>())).await;
    for index in addresses.others() {
        let Some(target) = addresses.get(index) else { continue };
        if shared.is_closing() {
            return None;
        }
        match probe(target, &shared.options, connector).await {
            Ok(connection) => return Some(Better { index, connection }),
            Err(NotBetter::Broker) => tracing::debug!(address = %target.address, "no better broker"),
            // A token that is refused or missing is so everywhere.
            Err(NotBetter::Token) => return None,
        }
    }
    None
}
