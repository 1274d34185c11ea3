//! Prints the events of some topics and patterns. With a broker on this machine (`make demo` starts one with feeds):
//!
//! ```sh
//! cargo run -p broker-client --example subscribe -- 'stocks.*.quote' 'sports.>'
//! ```
//!
//! For another broker, set `TICKCAST_URL=ws://host:9000/v1/ws`. Stop and start the broker meanwhile: the client
//! reconnects.

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
            Event::Gap { topic, from, to, reason } => println!("{topic}  {from} to {to} were lost: {reason:?}"),
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

/// Prints what happens to the connection.
async fn watch(client: Client) {
    let mut events = client.events();
    // This task should not keep the connection open.
    drop(client);
    while let Some(event) = events.next().await {
        match event {
            ConnectionEvent::Connected { session, resumed: false } => eprintln!("connected as {session}"),
            ConnectionEvent::Connected { session, .. } => eprintln!("reconnected as {session}"),
            ConnectionEvent::Disconnected { reason, .. } => eprintln!("connection lost: {reason}"),
            _ => {}
        }
    }
}
