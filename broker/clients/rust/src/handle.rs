//! What every clone of a client and every subscription holds.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::error::{ClosedReason, RequestError};
use crate::request::{Answer, Call};
use crate::shared::Shared;

/// Held by every clone of a client and every subscription. When the last one is dropped, the connection closes.
#[derive(Debug)]
pub(crate) struct Handle(pub(crate) Arc<Shared>);

impl Handle {
    /// Makes a call that is not a publish, and waits for its answer.
    pub(crate) async fn ask<T>(&self, call: impl FnOnce(Answer<T, RequestError>) -> Call) -> Result<T, RequestError> {
        let (answer, answered) = oneshot::channel();
        self.outbox.push(call(answer)).map_err(RequestError::Closed)?;
        match self.within(answered).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) => Err(RequestError::Closed(self.closed_reason())),
            Err(timeout_ms) => Err(RequestError::Timeout { timeout_ms }),
        }
    }

    /// Waits at most `answer_timeout_ms`, which is the error if it runs out.
    pub(crate) async fn within<T>(&self, future: impl Future<Output = T>) -> Result<T, u64> {
        match self.options.answer_timeout_ms {
            0 => Ok(future.await),
            timeout_ms => tokio::time::timeout(Duration::from_millis(timeout_ms), future).await.map_err(|_| timeout_ms),
        }
    }

    /// Why the client is over, for a caller whose answer can no longer come.
    pub(crate) fn closed_reason(&self) -> ClosedReason {
        self.outbox.closed().unwrap_or(ClosedReason::Here)
    }
}

impl Drop for Handle {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl std::ops::Deref for Handle {
    type Target = Shared;

    fn deref(&self) -> &Shared {
        &self.0
    }
}
