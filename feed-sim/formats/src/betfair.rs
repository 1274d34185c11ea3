//! Recorded Betfair Exchange streams: market change messages (`op` `mcm`), one JSON object per line, as in its historic
//! data and from most recorders.
//!
//! Field meanings are those of the public "Betfair Exchange Stream API" documentation, sections "Market Subscription"
//! and "Building a price cache": an image (`img`) replaces everything known about a market, and everything else is a
//! delta; the size of a level is its current one, and zero removes it.

mod fields;
mod market;
mod numbers;
mod plan;
mod runner;

use std::collections::{HashMap, VecDeque};

use crate::Reader;
use crate::venue::line_feed::{Decode, LineFeed};
use feed_player::publication::{Feed, Publication};
use fields::Message;
use market::Market;
use plan::Plan;

/// What `feed-sim describe betfair` prints.
pub(super) const DESCRIPTION: &str = "\
Betfair Exchange stream, `mcm` messages, one per line; MARKET is the market's id with a `-` for its point (1.197931750 is
1-197931750), RUNNER the selection's id, with its handicap if it has one (47972@-1_5):
  betfair.MARKET.market       state  the market definition, as the venue wrote it, whenever it comes
  betfair.MARKET.status       state  {\"status\",\"venue_status\",\"in_play\",\"bet_delay\",\"version\",\"venue_ts\"} whenever one of the first four
                                     changes; INACTIVE, OPEN, SUSPENDED, CLOSED are pre_open, open, halted, closed
  betfair.MARKET.last         state  {\"volume\",\"venue_ts\"}: `tv` of the market, the total matched on it
  betfair.MARKET.RUNNER.book  state  an image, and every 256th message
                              patch  a delta, with null if a level is gone
      {\"venue_ts\",\"conflated\",LADDER:{…},…}: `atb`, `atl` (available to back and to lay), `trd` (matched), `spb`, `spl`
      (starting price bets) are {PRICE:SIZE}; `batb`, `batl`, `bdatb`, `bdatl` (best offers, real and displayed) are
      {POSITION:{\"px\",\"qty\"}}. A ladder is empty if the recording does not have it. `conflated` (`con`) says whether updates
      were combined.
  betfair.MARKET.RUNNER.quote state  {\"bid\",\"bid_qty\",\"ask\",\"ask_qty\",\"venue_ts\"}: the highest `atb` and the lowest `atl`, when they change
  betfair.MARKET.RUNNER.last  state  {\"px\",\"volume\",\"sp_near\",\"sp_far\",\"venue_ts\"}: `ltp`, `tv`, `spn`, `spf`, whenever one of them comes
Prices and sizes have at least two decimals. Heartbeats, and messages about the connection, publish nothing. A market that is closed
is forgotten; if a later message is about it, it starts anew.";

/// The most markets that are open at once; the venue lists about ten thousand.
const MARKETS_MAX: usize = 50_000;

/// The feed of a recording.
pub(super) fn feed(reader: Reader) -> impl Feed {
    LineFeed::new(reader, Betfair::default())
}

#[derive(Default)]
struct Betfair {
    markets: HashMap<String, Market>,
}

impl Decode for Betfair {
    fn decode(&mut self, line: &[u8], out: &mut VecDeque<Publication>) -> Result<Option<u64>, String> {
        let message: Message<'_> = serde_json::from_slice(line).map_err(|error| error.to_string())?;
        match message.op {
            "mcm" => {}
            "connection" | "status" => return Ok(None),
            other => return Err(format!("op {other:?} is not supported")),
        }
        let at_ms = message.pt.ok_or("an mcm without pt")?;
        let at_ns = at_ms.checked_mul(1_000_000).ok_or("pt is not a time in milliseconds")?;
        // The whole message is checked before any of it is published.
        let plans: Vec<Plan> = message.mc.iter().flatten().map(Plan::of).collect::<Result<_, _>>()?;
        let new = plans.iter().filter(|plan| !self.markets.contains_key(&plan.market)).count();
        if self.markets.len() + new > MARKETS_MAX {
            return Err(format!("more than {MARKETS_MAX} markets are open at once"));
        }
        for plan in plans {
            let id = plan.market.clone();
            let market = self.markets.entry(id.clone()).or_insert_with(|| Market::new(&id));
            market.take(plan, at_ms, out)?;
            if market.is_closed() {
                self.markets.remove(&id);
            }
        }
        Ok(Some(at_ns))
    }
}
