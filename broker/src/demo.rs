//! `broker demo`: simulated stocks and football, published over a connection like anybody's.

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
    let (listen, admin) = (broker.listen(), broker.admin_listen());
    let url = format!("ws://{listen}/v1/ws");
    println!(
        "Tickcast runs, with simulated stocks and football coming in.

  clients  ws://{listen}/v1/ws
  metrics  http://{admin}/metrics

Try:
  curl http://{listen}/v1/topics
  curl http://{listen}/v1/topics/stocks.AAPL.quote
  curl -H 'Content-Type: application/json' -d '{{\"text\":\"hello\"}}' 'http://{listen}/v1/topics/chat.lobby?kind=event'

Ctrl-C stops it."
    );
    let task = tokio::spawn(async move {
        let stopped = async {
            // A sender that is gone says stop as well.
            let _ = stopped.await;
        };
        if let Err(error) = feed_sim::demo(&url, SEED, stopped).await {
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
