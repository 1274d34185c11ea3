//! `tickcast demo`: simulated stocks, football, chat and servers, published over an ordinary client connection.

use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::time::Duration;

use broker::Broker;
use broker::health::on_this_machine;
use feed_scenarios::Token;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio::time::timeout;

pub(crate) use secure::Secure;

#[cfg(feature = "tls")]
mod certificate;
#[cfg(feature = "tls")]
mod issuer;
#[cfg(feature = "tls")]
mod pem;
#[cfg(feature = "tls")]
mod secure;
#[cfg(not(feature = "tls"))]
#[path = "demo/absent.rs"]
mod secure;

const SEED: u64 = 1;
/// The time that the feeds have to stop after the broker has stopped.
const FEEDS_TIME: Duration = Duration::from_secs(1);

/// The running feeds.
pub(crate) struct Demo {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the feeds, and prints where to find what.
pub(crate) fn start(broker: &Broker, secure: Option<&Secure>) -> Demo {
    let (stop, stopped) = oneshot::channel::<()>();
    let (listen, admin) = (on_this_machine(broker.listen()), on_this_machine(broker.admin_listen()));
    // If standard output is closed, the greeting is not wanted.
    let text = match (secure, broker.tls_listen()) {
        (Some(secure), Some(tls_listen)) => secure.greeting(listen, tls_listen),
        _ => greeting(listen, admin),
    };
    let _ = io::stdout().write_all(text.as_bytes());
    let token = secure.map_or_else(Token::none, Secure::token);
    let task = tokio::spawn(async move {
        let stopped = async {
            // A dropped sender stops the feeds as well.
            let _ = stopped.await;
        };
        if let Err(error) = feed_scenarios::demo(&format!("ws://{listen}/v1/ws"), token, SEED, stopped).await {
            tracing::error!("the simulated feeds ended: {error:#}");
        }
    });
    Demo { stop, task }
}

impl Demo {
    /// Stops the feeds while the broker stops.
    pub(crate) async fn stop_with(mut self, broker: impl Future<Output = ()>) {
        // Fails if the feeds have ended already.
        let _ = self.stop.send(());
        broker.await;
        if timeout(FEEDS_TIME, &mut self.task).await.is_err() {
            tracing::warn!("the simulated feeds did not stop in time: the broker ends without waiting for them");
        }
    }
}

/// What runs, where it is, and what to try, in a few lines. All of it was tried by hand and is in the README.
fn greeting(listen: SocketAddr, admin: SocketAddr) -> String {
    format!(
        r#"Tickcast is running, with simulated stocks (stocks.SYMBOL.quote, .trade, .book), football (sports.football.>), a chat
room (chat.kitchen.>) and servers (status.>).

  page     http://{listen}/
  clients  ws://{listen}/v1/ws     http://{listen}/v1/topics
  metrics  http://{admin}/metrics

Try, in another terminal:
  curl -s http://{listen}/v1/topics/stocks.AAPL.quote
  curl -s 'http://{listen}/v1/topics/stocks.AAPL.trade/history?last=3'
  curl -s -d '{{"text":"hello"}}' -H 'Content-Type: application/json' http://{listen}/v1/topics/chat.lobby
or watch it live: open http://{listen}/ in a browser.

Ctrl-C stops the broker; a second Ctrl-C stops it at once.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn feeds_are_told_at_once_and_waited_for_a_second_at_most() {
        let (stop, stopped) = oneshot::channel();
        let (told, mut was_told) = oneshot::channel();
        let task = tokio::spawn(async move {
            let _ = stopped.await;
            let _ = told.send(());
            // The feeds hang.
            std::future::pending().await
        });
        let begin = tokio::time::Instant::now();
        // The broker ends as soon as the feeds have been signalled.
        let broker = async { (&mut was_told).await.unwrap() };
        Demo { stop, task }.stop_with(broker).await;
        assert_eq!(begin.elapsed().as_secs(), FEEDS_TIME.as_secs());
    }

    #[test]
    fn a_listener_on_all_addresses_is_named_by_one_that_works() {
        for (listen, named) in [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:9000", "[::1]:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("10.0.0.7:9000", "10.0.0.7:9000"),
        ] {
            let text = greeting(on_this_machine(listen.parse().unwrap()), "127.0.0.1:9001".parse().unwrap());
            assert!(text.contains(&format!("ws://{named}/v1/ws")), "{listen}: {text}");
        }
    }
}
