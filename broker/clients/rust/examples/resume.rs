//! Follows a topic across runs: each run continues where the last one stopped, and nothing in between is missed
//! silently. With a broker on this machine:
//!
//! ```sh
//! cargo run -p broker-client --example resume -- example.ticks 5
//! ```
//!
//! reads five updates and keeps its position in a file. Run `publish` and then this again, as often as you like. For
//! another broker, set `TICKCAST_URL=ws://host:9000/v1/ws`.

use std::path::PathBuf;

use anyhow::Context as _;
use broker_client::{Client, Event, From};

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    let url = std::env::var("TICKCAST_URL").unwrap_or_else(|_| "ws://127.0.0.1:9000/v1/ws".to_owned());
    let mut arguments = std::env::args().skip(1);
    let topic = arguments.next().unwrap_or_else(|| "example.ticks".to_owned());
    let mut updates: u32 = arguments
        .next()
        .map_or(Ok(5), |number| number.parse())
        .context("the second argument is the number of updates")?;
    let file = std::env::temp_dir().join(format!("tickcast-example-{}.position", topic.replace('/', "_")));

    let client = Client::connect(&url).await?;
    let subscribe = match read(&file)? {
        Some((epoch, seq)) => {
            println!("resuming after {seq} of epoch {epoch}");
            client.subscribe([""; 0]).resume(&topic, epoch, seq)
        }
        None => client.subscribe([&topic]).from(From::Last(updates.into())),
    };
    let mut subscription = subscribe.send().await?;
    let mut epoch = None;
    while updates > 0 {
        let Some(event) = subscription.next().await else { break };
        let reached = match event {
            Event::Topic(start) => {
                println!("{:?}; the newest is {} of epoch {:?}", start.start, start.seq, start.epoch);
                epoch = start.epoch;
                None
            }
            Event::Gap { from, to, reason, .. } => {
                println!("{from} to {to} were lost: {reason:?}");
                Some(to)
            }
            Event::Image { seq, data, .. } | Event::Update { seq, data, .. } | Event::Patch { seq, data, .. } => {
                println!("{seq}  {data}");
                updates -= 1;
                Some(seq)
            }
            other => {
                println!("{other:?}");
                None
            }
        };
        // The position is saved after the update was handled: a crash in between repeats the update, and loses nothing.
        if let (Some(seq), Some(epoch)) = (reached, &epoch) {
            std::fs::write(&file, format!("{epoch} {seq}"))?;
        }
    }
    client.close().await;
    Ok(())
}

fn read(file: &PathBuf) -> anyhow::Result<Option<(String, u64)>> {
    let text = match std::fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error.into()),
    };
    let (epoch, seq) = text.split_once(' ').context("the file with the position is malformed")?;
    Ok(Some((epoch.to_owned(), seq.parse()?)))
}
