//! What a request may publish: from what is left for its user, or for its address.

use broker_engine::{Granted, Unfit};
use broker_protocol::codes::ErrorCode;
use broker_protocol::request::Refusal;

use super::client::{Caller, Context};
use crate::address::Block;
use crate::authentication::Who;

/// The quotas of one request, and what they kept from being published.
pub(super) struct PublishQuota<'a> {
    context: &'a Context,
    granted: Granted,
    address: Block,
    left_out_updates: u64,
    left_out_bytes: u64,
}

impl<'a> PublishQuota<'a> {
    /// The quotas of a request of this sender.
    pub(super) fn of(context: &'a Context, caller: Caller<'_>) -> Self {
        let granted = match caller.who {
            Who::Known(identity) => context.identity_quotas.granted(identity),
            Who::Anyone | Who::Unknown => context.quotas.granted(),
        };
        let address = caller.peer.address.block();
        Self { context, granted, address, left_out_updates: 0, left_out_bytes: 0 }
    }

    /// Takes an update with so many bytes of data.
    ///
    /// # Errors
    /// It exceeds a quota.
    pub(super) fn take(&mut self, bytes: usize) -> Result<(), Refusal> {
        if !self.granted.rates.are_bounds() {
            return Ok(());
        }
        let (now, rates, bytes) = ((self.context.now)(), &self.granted.rates, bytes as u64);
        let took = match &self.granted.publishes {
            Some(shared) => shared.take(now, rates, 1, bytes),
            None => self.context.quotas.take(now, rates, self.address, bytes),
        };
        match took {
            Err(unfit) if self.context.quotas.refusals().refuses(unfit.quota) => {
                self.left_out_updates += 1;
                self.left_out_bytes += bytes;
                Err(Refusal { code: ErrorCode::RateLimited, message: unfit.quota.exceeded().into() })
            }
            _ => Ok(()),
        }
    }

    /// Returns when all that did not fit will, in milliseconds from now; `None` if everything did fit.
    pub(super) fn retry_ms(&self) -> Option<u64> {
        if self.left_out_updates == 0 {
            return None;
        }
        let (now, rates) = ((self.context.now)(), &self.granted.rates);
        let (updates, bytes) = (self.left_out_updates, self.left_out_bytes);
        let wait = match &self.granted.publishes {
            Some(shared) => shared.wait(now, rates, updates, bytes),
            None => self.context.quotas.wait(now, rates, self.address, updates, bytes),
        };
        Some(wait.map_or(1, |Unfit { wait, .. }| wait.ms))
    }
}
