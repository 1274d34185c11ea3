//! Publishes in every way that the client offers. With a broker on this machine, and `subscribe` running beside it:
//!
//! ```sh
//! cargo run -p broker-client --example publish
//! ```
//!
//! For another broker, set `TICKCAST_URL=ws://host:9000/v1/ws`.

use std::time::Instant;

use broker_client::{Client, Publish};

const MANY: u64 = 100_000;

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("TICKCAST_URL").unwrap_or_else(|_| "ws://127.0.0.1:9000/v1/ws".to_owned());
    let client = Client::connect(&url).await?;

    // One update, waiting until the broker accepted it. `data` is JSON text and stays as it is: the price keeps its
    // zero.
    let quote = Publish::state("example.AAPL.quote", r#"{"bid":"189.10","ask":"189.12"}"#);
    let published = client.publish(quote).await?;
    println!("the quote is update {} of epoch {}", published.seq, published.epoch);

    // Many at once, in order; each is accepted or rejected by itself. A topic that is patched begins with a state.
    let batch = vec![
        Publish::event("example.AAPL.trade", r#"{"px":"189.11","qty":"100"}"#),
        Publish::state("example.AAPL.book", r#"{"bids":{},"asks":{}}"#),
        Publish::patch("example.AAPL.book", r#"{"bids":{"189.10":"300"}}"#),
        Publish::patch("example.AAPL.trade", r#"{"a":"trade is no state"}"#),
    ];
    let answer = client.publish_batch(batch).await?;
    println!("of the batch {} were accepted; rejected: {:?}", answer.accepted, answer.rejected);

    // A source and its number make an update safe to send twice.
    let fill = Publish::event("example.AAPL.fill", r#"{"id":17}"#).source("desk-1", 17);
    let once = client.publish(fill.clone()).await?;
    let twice = client.publish(fill).await?;
    println!("the fill is update {}; sent again: duplicate {}", once.seq, twice.duplicate);

    // As fast as possible, without waiting for answers. Errors are counted, and reported by `client.events()`.
    let began = Instant::now();
    for number in 0..MANY {
        client.publish_unacknowledged(Publish::event("example.ticks", number.to_string())).await?;
    }
    client.flush().await?;
    let rate = MANY as f64 / began.elapsed().as_secs_f64();
    println!("{MANY} ticks at {rate:.0} a second; refused: {}", client.counters().unacknowledged_refused);
    client.close().await;
    Ok(())
}
