//! Renewing the token of the present connection.

use std::convert::Infallible;
use std::sync::Mutex;
use std::time::Duration;

use tokio::sync::Notify;

use crate::book::Book;
use crate::connection_event::ConnectionEvent;
use crate::shared::Shared;
use crate::sync::lock;

/// Asks for another token whenever one is wanted, and sends it. A failing function is asked again after growing waits.
pub(crate) async fn renew(shared: &Shared, book: &Mutex<Book>, wanted: &Notify) -> Infallible {
    loop {
        wanted.notified().await;
        let asked_ms = lock(book).takes_renewal_wait_ms();
        if let Some(asked_ms) = asked_ms {
            tokio::time::sleep(Duration::from_millis(shared.options.backoff.delay_after_ms(asked_ms, rand::random())))
                .await;
        }
        let mut attempt = 0;
        while shared.options.token.can_change() {
            match shared.ask_token().await {
                Ok(Some(token)) => {
                    lock(book).renew(token);
                    shared.outbox.wake();
                    break;
                }
                Ok(None) => break,
                Err(error) => {
                    let wait_ms = shared.options.backoff.delay_ms(attempt, rand::random());
                    if attempt == 0 {
                        shared.report(ConnectionEvent::TokenFailed { reason: error.to_string(), retry_ms: wait_ms });
                    }
                    attempt += 1;
                    tokio::time::sleep(Duration::from_millis(wait_ms)).await;
                }
            }
        }
    }
}
