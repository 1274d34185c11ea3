//! The quotas of addresses: how often clients connect, and what they publish over HTTP.

use std::sync::{Arc, Mutex, RwLock};

use broker_engine::{Bucket, Granted, Now, Publishes, Quota, Rate, Rates, Refusals, Unfit, Wait};

use super::table::Table;
use crate::address::Block;
use crate::sync::{lock, read, write};

/// How many addresses are remembered.
const ADDRESSES_MAX: usize = 65_536;

/// The quotas, and what is left of them for each address.
#[derive(Debug)]
pub struct AddressQuotas {
    bounds: RwLock<(Option<Rate>, Rates)>,
    refusals: Arc<Refusals>,
    left: Mutex<Left>,
}

#[derive(Debug)]
struct Left {
    connects: Table<Block, Bucket>,
    publishes: Table<Block, Publishes>,
}

impl AddressQuotas {
    /// Grants each address so many new connections a second (0 is no bound), and each publisher these rates.
    pub fn new(connects_per_s: u32, rates: Rates, refusals: Arc<Refusals>) -> Self {
        let left = Left { connects: Table::new(ADDRESSES_MAX), publishes: Table::new(ADDRESSES_MAX) };
        let bounds = RwLock::new((Rate::of_connects(connects_per_s.into()), rates));
        Self { bounds, refusals, left: Mutex::new(left) }
    }

    /// What is granted to a connection, or to a request over HTTP.
    pub fn granted(&self) -> Granted {
        Granted { rates: read(&self.bounds).1, publishes: None }
    }

    /// Grants other rates from now on.
    pub(crate) fn change(&self, connects_per_s: u32, rates: Rates) {
        *write(&self.bounds) = (Rate::of_connects(connects_per_s.into()), rates);
    }

    /// How often quotas refused something.
    pub(crate) fn refusals(&self) -> &Refusals {
        &self.refusals
    }

    /// Counts a new connection.
    ///
    /// # Errors
    /// There are too many, and it is refused.
    pub(crate) fn connect(&self, now: Now, address: Block) -> Result<(), Wait> {
        let Some(rate) = read(&self.bounds).0 else { return Ok(()) };
        let took = lock(&self.left).connects.entry(address).take(now, rate, 1);
        took.or_else(|wait| if self.refusals.refuses(Quota::Connects) { Err(wait) } else { Ok(()) })
    }

    /// Takes an update, with so many bytes of data, from what is left for an address.
    pub(crate) fn take(&self, now: Now, rates: &Rates, address: Block, bytes: u64) -> Result<(), Unfit> {
        lock(&self.left).publishes.entry(address).take(now, rates, 1, bytes)
    }

    /// Returns what keeps an address from publishing these updates now.
    pub(crate) fn wait(&self, now: Now, rates: &Rates, address: Block, updates: u64, bytes: u64) -> Option<Unfit> {
        lock(&self.left).publishes.entry(address).wait(now, rates, updates, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Now {
        Now { mono_us: seconds * 1_000_000, wall_us: 0 }
    }

    #[test]
    fn a_customer_connects_from_one_block() {
        let refusals = Arc::new(Refusals::default());
        let quotas = AddressQuotas::new(2, Rates::default(), refusals.clone());
        let connect = |text: &str, now| quotas.connect(now, Block::of(text.parse().unwrap()));
        // Another address of the block each time.
        for host in 0..20 {
            connect(&format!("2001:db8::{host:x}:1"), at(1)).unwrap();
        }
        assert_eq!(connect("2001:db8::ffff", at(1)), Err(Wait { ms: 500 }));
        connect("2001:db8:0:1::1", at(1)).unwrap();
        connect("192.0.2.1", at(1)).unwrap();
        assert_eq!(refusals.count(Quota::Connects, false), 1);
        // Two more in each second.
        (0..2).for_each(|_| connect("2001:db8::7", at(2)).unwrap());
        assert!(connect("2001:db8::7", at(2)).is_err());
    }

    #[test]
    fn a_dry_run_counts_and_refuses_nothing() {
        let refusals = Arc::new(Refusals::new(true));
        let quotas = AddressQuotas::new(1, Rates::default(), refusals.clone());
        (0..30).for_each(|_| quotas.connect(at(1), Block::of([192, 0, 2, 1].into())).unwrap());
        assert_eq!([refusals.count(Quota::Connects, true), refusals.count(Quota::Connects, false)], [20, 0]);
    }

    #[test]
    fn without_a_rate_nobody_is_remembered() {
        let quotas = AddressQuotas::new(0, Rates::default(), Arc::default());
        let block = Block::of([192, 0, 2, 1].into());
        (0..1000).for_each(|_| quotas.connect(at(1), block).unwrap());
        assert!(lock(&quotas.left).connects.take(&block).is_none());
    }
}
