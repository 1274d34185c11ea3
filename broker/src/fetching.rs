//! Tokens whose keys have to be fetched before they can be checked, and connections whose identities give something else
//! since keys, roles or revocations have changed. Shards wait for neither.

use std::sync::Arc;

use tokio::sync::mpsc::Receiver;

use crate::listen::Shared;
use crate::shard::{Command, Unchecked};
use crate::tokens::Tokens;

/// Tokens that wait, of all clients.
pub(crate) const UNCHECKED_MAX: usize = 1024;

/// Checks tokens for ever, one after the other: keys are fetched for all of them together.
pub(crate) async fn check(mut unchecked: Receiver<Unchecked>, shared: Arc<Shared>) {
    while let Some(one) = unchecked.recv().await {
        let as_of = shared.context.authentication.as_of();
        let result = shared.context.authentication.check(one.token()).await;
        if let Some(shard) = shared.shards.get(one.shard) {
            shard.send(Command::Checked(one.checked(as_of, result))).await;
        }
    }
    // The shards have ended, because the broker does.
    std::future::pending().await
}

/// Has all connections renewed whenever the authority was swapped.
pub(crate) async fn renew(tokens: Arc<Tokens>, shared: Arc<Shared>) {
    let mut swaps = tokens.swaps();
    while swaps.changed().await.is_ok() {
        for shard in shared.shards.iter() {
            shard.send(Command::RenewAll).await;
        }
    }
}
