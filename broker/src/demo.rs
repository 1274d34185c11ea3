//! `broker demo`: simulated stocks, football, chat and servers, published over a connection like anybody's.

use std::io::{self, Write as _};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use broker::Broker;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const SEED: u64 = 1;

/// The running feeds.
pub(crate) struct Demo {
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

/// Starts the feeds and tells what runs where.
pub(crate) fn start(broker: &Broker) -> Demo {
    let (stop, stopped) = oneshot::channel::<()>();
    let (listen, admin) = (reachable(broker.listen()), reachable(broker.admin_listen()));
    // Whoever closed the standard output wants to see none of it.
    let _ = io::stdout().write_all(greeting(listen, admin).as_bytes());
    let task = tokio::spawn(async move {
        let stopped = async {
            // A sender that is gone says stop as well.
            let _ = stopped.await;
        };
        if let Err(error) = feed_sim::demo(&format!("ws://{listen}/v1/ws"), SEED, stopped).await {
            tracing::error!("the simulated feeds ended: {error:#}");
        }
    });
    Demo { stop, task }
}

impl Demo {
    /// Stops the feeds.
    pub(crate) async fn stop(self) {
        let _ = self.stop.send(());
        let _ = self.task.await;
    }
}

/// Where a client on this machine reaches a listener: one on all addresses is on loopback too.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    if address.ip().is_unspecified() {
        address.set_ip(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    address
}

/// What to know and three things to try, in few lines. Each is tried by hand and in the README.
fn greeting(listen: SocketAddr, admin: SocketAddr) -> String {
    format!(
        r#"Tickcast runs, with simulated stocks (stocks.SYMBOL.quote, .trade, .book), football (sports.football.>), a chat room
(chat.kitchen.>) and servers (status.>).

  page     http://{listen}/
  clients  ws://{listen}/v1/ws     http://{listen}/v1/topics
  metrics  http://{admin}/metrics

Try, in another terminal:
  curl -s http://{listen}/v1/topics/stocks.AAPL.quote
  curl -s 'http://{listen}/v1/topics/stocks.AAPL.trade/history?last=3'
  curl -s -d '{{"text":"hello"}}' -H 'Content-Type: application/json' http://{listen}/v1/topics/chat.lobby
or watch it live: open http://{listen}/ in a browser.

Ctrl-C stops it, a second one at once.
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_named_by_one_that_works() {
        for (listen, named) in [
            ("0.0.0.0:9000", "127.0.0.1:9000"),
            ("[::]:9000", "127.0.0.1:9000"),
            ("[::1]:9000", "[::1]:9000"),
            ("10.0.0.7:9000", "10.0.0.7:9000"),
        ] {
            let text = greeting(reachable(listen.parse().unwrap()), "127.0.0.1:9001".parse().unwrap());
            assert!(text.contains(&format!("ws://{named}/v1/ws")), "{listen}: {text}");
        }
    }
}
