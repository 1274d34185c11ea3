//! A client that connects again and again, and wants the image of a topic.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use super::LAST_CHANCE;
use super::pairs::STATE;
use crate::link::{Ended, Link, subscribe};
use crate::patience::{Patience, Stop};
use crate::wire::Options;

/// The interval between two newcomers.
const EVERY: Duration = Duration::from_millis(25);
/// The number of newcomers that stay for a while. A broker gives each to the shard with fewer connections, so that they
/// reach all shards in turn.
const STAY: usize = 4;
/// Longer than any attack lasts.
const PATIENCE: Duration = Duration::from_secs(60);

/// The outcomes of the newcomers. A newcomer is served when it has the image, or refused when it has got a code.
#[derive(Debug, Default)]
pub(crate) struct Newcomers {
    pub(crate) served: u64,
    pub(crate) refused: u64,
    /// Newcomers that got neither the image nor a code.
    pub(crate) lost: u64,
    /// The longest time to either.
    pub(crate) max: Duration,
    /// Why the last newcomer that was lost or refused was.
    pub(crate) why: String,
}

pub(super) fn watch(listen: SocketAddr, stop: &Stop) -> Newcomers {
    let (mut newcomers, mut staying) = (Newcomers::default(), VecDeque::new());
    while !stop.is_stopped() {
        let begin = Instant::now();
        let result = come(listen, stop);
        newcomers.max = newcomers.max.max(begin.elapsed());
        match result {
            Ok(link) => {
                newcomers.served += 1;
                staying.push_back(link);
                if staying.len() > STAY {
                    staying.pop_front();
                }
            }
            Err(Ended::Told(code)) => {
                newcomers.refused += 1;
                newcomers.why = format!("told {code}");
            }
            Err(Ended::Cut(error)) => {
                newcomers.lost += 1;
                newcomers.why = error.to_string();
            }
        }
        Patience::of(EVERY.saturating_sub(begin.elapsed())).or(stop).pass();
    }
    newcomers
}

fn come(listen: SocketAddr, stop: &Stop) -> Result<Link, Ended> {
    let patience = Patience::of(PATIENCE).or_after(stop, LAST_CHANCE);
    let mut link = Link::connect(listen, Options::bystander(), &patience)?;
    link.say(&subscribe([STATE], ""), &patience)?;
    link.expect("image", &patience)?;
    Ok(link)
}
