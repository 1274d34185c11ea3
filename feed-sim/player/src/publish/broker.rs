//! Publishing to a broker, over one connection or several.
//!
//! All topics of an instrument belong to one connection, so that updates that agree with each other stay in order
//! across topics too.

mod again;
mod answers;
mod memory;
mod producer;

use std::future::poll_fn;
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use broker_client::{ConnectError, Publish, Tls, Token};
use tokio::time::timeout;

use super::TargetGone;
use crate::schedule::Due;
use crate::summary::Summary;
use producer::Producer;

/// How long the end of a run waits for the next of the last answers.
const LAST_ANSWERS_TIMEOUT: Duration = Duration::from_secs(5);

/// How to publish to a broker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Publishing {
    /// Connections; each has its share of the topics.
    pub producers: usize,
    /// Whether updates carry neither source nor number: there is less to send and to look up, and nothing is sent again
    /// when a connection is lost. Updates in flight are then unanswered.
    pub unacknowledged: bool,
    /// Who the feed is.
    pub token: Token,
    /// The certificates for `wss://`.
    pub tls: Tls,
}

impl Default for Publishing {
    fn default() -> Self {
        Publishing { producers: 1, unacknowledged: false, token: Token::none(), tls: Tls::default() }
    }
}

/// A broker as a target.
pub struct Broker {
    url: String,
    producers: Vec<Producer>,
    /// The `source` of all updates: new in each run, so that a second run is not treated as a repetition of the first.
    /// `None` if nothing is sent again.
    source: Option<Arc<str>>,
    /// The number of the newest update in the feed. It does not depend on the number of producers.
    source_seq: u64,
    /// The wall clock at the start of the feed's, for `source_ts`; microseconds since the UNIX epoch.
    started_ts: u64,
    /// Written by the tasks that watch the connections.
    reconnects: Arc<AtomicU64>,
    /// Why the broker takes no more updates, if that was noticed while the last answers were waited for.
    gone: Option<TargetGone>,
}

impl Broker {
    /// Connects with one connection over which everything is acknowledged.
    pub async fn connect(url: &str) -> Result<Broker, ConnectError> {
        Broker::connect_with(url, Publishing::default()).await
    }

    /// Connects. A first attempt that fails is an error; connections that are lost later are replaced.
    pub async fn connect_with(url: &str, publishing: Publishing) -> Result<Broker, ConnectError> {
        let reconnects = Arc::new(AtomicU64::new(0));
        let started_ts = now_ts();
        let source: Arc<str> = format!("feed-sim-{:x}-{started_ts:x}", process::id()).into();
        let source = (!publishing.unacknowledged).then_some(source);
        let mut producers = Vec::new();
        for _ in 0..publishing.producers.max(1) {
            producers.push(Producer::connect(url, &publishing, source.clone(), reconnects.clone()).await?);
        }
        Ok(Broker { url: url.to_owned(), producers, source, source_seq: 0, started_ts, reconnects, gone: None })
    }

    pub(super) fn url(&self) -> &str {
        &self.url
    }

    pub(super) fn producers(&self) -> usize {
        self.producers.len()
    }

    pub(super) fn reconnects(&self) -> u64 {
        self.reconnects.load(Ordering::Relaxed)
    }

    pub(super) fn start(&mut self) {
        self.started_ts = now_ts();
    }

    /// Waits until every producer has room: one that waits holds up the others, or they would run ahead without bound.
    pub(super) async fn room(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        poll_fn(|context| {
            let mut all = Poll::Ready(Ok(()));
            for producer in &mut self.producers {
                match producer.poll_room(context, summary) {
                    Poll::Ready(Ok(())) => {}
                    Poll::Ready(gone) => return Poll::Ready(gone),
                    Poll::Pending => all = Poll::Pending,
                }
            }
            all
        })
        .await
    }

    pub(super) async fn idle(&mut self, summary: &mut Summary) -> TargetGone {
        poll_fn(|context| {
            for producer in &mut self.producers {
                // With nothing to wait for now, there may be something after the next batch.
                if let Poll::Ready(Err(gone)) = producer.poll_settled(context, summary) {
                    return Poll::Ready(gone);
                }
            }
            Poll::Pending
        })
        .await
    }

    pub(super) fn submit(&mut self, batch: &mut Vec<Due>) {
        if let [producer] = &mut self.producers[..] {
            let updates = batch.drain(..).map(|due| number(due, &mut self.source_seq, &self.source, self.started_ts));
            producer.submit(updates);
            return;
        }
        let mut shares: Vec<Vec<Publish>> = self.producers.iter().map(|_| Vec::new()).collect();
        for due in batch.drain(..) {
            let share = share_of(&due.publication.topic, shares.len());
            shares[share].push(number(due, &mut self.source_seq, &self.source, self.started_ts));
        }
        for (producer, share) in self.producers.iter_mut().zip(shares) {
            producer.submit(share.into_iter());
        }
    }

    pub(super) async fn settle(&mut self, summary: &mut Summary) -> Result<(), TargetGone> {
        // Waits as long as answers keep coming, however slowly. Updates without an answer by then are counted below.
        let answered = |summary: &Summary| {
            (summary.acknowledged, summary.rejected_updates(), summary.unanswered, summary.states_again.sent)
        };
        let mut before = answered(summary);
        while timeout(LAST_ANSWERS_TIMEOUT, self.all_settled(summary)).await.is_err() {
            if std::mem::replace(&mut before, answered(summary)) == answered(summary) {
                break;
            }
        }
        summary.unanswered += self.producers.iter().map(Producer::unanswered).sum::<u64>();
        summary.reconnects = self.reconnects();
        self.gone.take().map_or(Ok(()), Err)
    }

    /// Waits until everything has its answer, and until it is certain that the broker lost nothing before the last
    /// answer.
    async fn all_settled(&mut self, summary: &mut Summary) {
        loop {
            self.settled(summary).await;
            // Only producers with something in flight notice a restart of the broker. So each is asked whether its
            // connection is still the same: whatever the broker lost before the last answer, one of them then knows.
            let mut is_over = true;
            for producer in &mut self.producers {
                is_over &= producer.is_still_connected().await;
            }
            if is_over {
                return;
            }
        }
    }

    /// Waits until everything has its answer.
    async fn settled(&mut self, summary: &mut Summary) {
        poll_fn(|context| {
            let mut all = Poll::Ready(());
            for producer in &mut self.producers {
                // If the broker is gone, each batch fails at once.
                while let Poll::Ready(Err(gone)) = producer.poll_settled(context, summary) {
                    self.gone.get_or_insert(gone);
                }
                if !producer.is_settled() {
                    all = Poll::Pending;
                }
            }
            all
        })
        .await;
    }

    pub(super) async fn close(self) {
        for producer in self.producers {
            producer.close().await;
        }
    }
}

/// The update as it goes to the broker, with its number in the feed.
fn number(due: Due, source_seq: &mut u64, source: &Option<Arc<str>>, started_ts: u64) -> Publish {
    *source_seq += 1;
    let Due { due, publication, .. } = due;
    Publish {
        topic: publication.topic,
        kind: Some(publication.kind),
        data: publication.data,
        source: source.as_ref().map(|source| (source.clone(), *source_seq)),
        // When it should have been sent, not when it was: latency measured from it includes our own lag.
        source_ts: due
            .map(|due| (started_ts + due.as_micros() as u64).saturating_add_signed(publication.source_offset_us)),
    }
}

/// The index of the producer that a topic belongs to, by a hash of the topic without its last segment, which is the
/// instrument. FNV-1a, because it is the same in every run and on every machine.
fn share_of(topic: &str, producers: usize) -> usize {
    const OFFSET_BASIS: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let instrument = topic.rsplit_once('.').map_or(topic, |(instrument, _)| instrument);
    let hash = instrument.bytes().fold(OFFSET_BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME));
    (hash % producers as u64) as usize
}

fn now_ts() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_micros() as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_instrument_stays_on_one_connection_and_all_have_some() {
        let mut topics = [0; 4];
        for instrument in 0..1_000 {
            let share = share_of(&format!("stocks.S{instrument}.trade"), 4);
            assert_eq!(share_of(&format!("stocks.S{instrument}.book"), 4), share);
            topics[share] += 1;
        }
        assert!(topics.iter().all(|&topics| topics > 150), "{topics:?}");
        assert_eq!(share_of("alone", 1), 0);
    }
}
