//! Prints what comes on some topics and patterns. With a broker on this machine (`make demo` has something to see):
//!
//! ```sh
//! cargo run -p broker-client --example subscribe -- 'stocks.*.quote' 'sports.>'
//! ```
//!
//! Another broker: `TICKCAST_URL=ws://host:9000/v1/ws`. Stop and start the broker while it runs: it comes back.

use broker_client::{Client, ConnectionEvent, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("TICKCAST_URL").unwrap_or_else(|_| "ws://127.0.0.1:9000/v1/ws".to_owned());
    let mut entries: Vec<String> = std::env::args().skip(1).collect();
    if entries.is_empty() {
        entries.push(">".to_owned());
    }
    let client = Client::connect(&url).await?;
    tokio::spawn(watch(client.clone()));

    let mut subscription = client.subscribe(entries).send().await?;
    for refused in subscription.refused() {
        eprintln!("{refused}");
    }
    while let Some(event) = subscription.next().await {
        match event {
            Event::Topic(start) => {
                println!(
                    "{}  begins after {} of epoch {}: {:?}",
                    start.topic,
                    start.seq,
                    name(&start.epoch),
                    start.start
                );
            }
            Event::Image { topic, seq, data, .. } => println!("{topic}  {seq} is {data}"),
            Event::Update { topic, seq, data, .. } => println!("{topic}  {seq}  {data}"),
            Event::Patch { topic, seq, data, .. } => println!("{topic}  {seq}  changes {data}"),
            Event::Gap { topic, from, to, reason } => println!("{topic}  {from} to {to} are lost: {reason:?}"),
            Event::Closed { topic } => println!("{topic}  ended"),
            Event::Violation { topic, violation } => println!("{topic}  {violation}"),
            Event::Refused(refused) => println!("{refused}"),
            other => println!("{other:?}"),
        }
    }
    Ok(())
}

fn name(epoch: &Option<std::sync::Arc<str>>) -> &str {
    epoch.as_deref().unwrap_or("none yet")
}

/// The connection's own news, on the side.
async fn watch(client: Client) {
    let mut events = client.events();
    // The watcher is no reason to keep the connection.
    drop(client);
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Connected { session, resumed: false } => eprintln!("connected as {session}"),
            ConnectionEvent::Connected { session, .. } => eprintln!("connected again as {session}"),
            ConnectionEvent::Disconnected { reason, .. } => eprintln!("connection lost: {reason}"),
            _ => {}
        }
    }
}
