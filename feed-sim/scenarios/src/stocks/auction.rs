//! The price at which an auction trades.

use super::book::{Book, Level, Side};

/// The price and quantity at which the orders of a call trade; `None` if no bid reaches an ask.
///
/// It is the price, among those of the orders, that trades the most; among equals the one that leaves the least over;
/// then the one nearest to the reference price; and finally the lower one. (Volume, surplus, reference: the rules of
/// the big European venues, such as Xetra's market model, without their market pressure.)
///
/// ```text
/// for each price p of an order:  demand = bids at p or above,  supply = asks at p or below
///                                volume = min(demand, supply), surplus = |demand - supply|
/// ```
pub(super) fn uncrossing(book: &Book, reference_ticks: u32) -> Option<Level> {
    let prices = book.levels(Side::Bid).chain(book.levels(Side::Ask)).map(|level| level.ticks);
    let (best_bid, best_ask) = (book.best(Side::Bid)?.ticks, book.best(Side::Ask)?.ticks);
    prices
        .filter(|ticks| (best_ask..=best_bid).contains(ticks))
        .map(|ticks| {
            let demand: u32 = sum(book.levels(Side::Bid).take_while(|level| level.ticks >= ticks));
            let supply: u32 = sum(book.levels(Side::Ask).take_while(|level| level.ticks <= ticks));
            let level = Level { ticks, qty: demand.min(supply) };
            (level, demand.abs_diff(supply))
        })
        .min_by_key(|(level, surplus)| {
            (u32::MAX - level.qty, *surplus, level.ticks.abs_diff(reference_ticks), level.ticks)
        })
        .map(|(level, _)| level)
}

fn sum(levels: impl Iterator<Item = Level>) -> u32 {
    levels.map(|level| level.qty).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use feed_player::random::Random;

    #[test]
    fn small_calls() {
        let check = |bids: &[(u32, u32)], asks: &[(u32, u32)], reference: u32, expected: Option<(u32, u32)>| {
            let mut book = Book::new();
            for (side, orders) in [(Side::Bid, bids), (Side::Ask, asks)] {
                for &(ticks, qty) in orders {
                    book.add(side, Level { ticks, qty });
                }
            }
            let found = uncrossing(&book, reference).map(|level| (level.ticks, level.qty));
            assert_eq!(found, expected, "{bids:?} {asks:?}");
        };
        check(&[], &[], 100, None);
        check(&[(99, 5)], &[(100, 5)], 100, None);
        check(&[(100, 5)], &[(100, 3)], 100, Some((100, 3)));
        // The most volume: at 101 all of the asks trade.
        check(&[(102, 4), (101, 6)], &[(100, 5), (101, 5)], 100, Some((101, 10)));
        // The same volume at 100 and 103: the reference decides.
        check(&[(103, 5)], &[(100, 5)], 101, Some((100, 5)));
        check(&[(103, 5)], &[(100, 5)], 102, Some((103, 5)));
        // The same volume at 101, 102, 103; nothing is left over at 103.
        check(&[(103, 5), (102, 3)], &[(101, 5)], 101, Some((103, 5)));
    }

    /// No price trades more, not even one between those of the orders.
    #[test]
    fn no_price_trades_more() {
        for seed in 0..500 {
            let (mut book, mut random) = (Book::new(), Random::new(seed, 0));
            for _ in 0..random.below(40) {
                let side = if random.happens(0.5) { Side::Bid } else { Side::Ask };
                book.add(side, Level { ticks: 50 + random.below(30), qty: 1 + random.below(9) });
            }
            let volume = |ticks: u32| {
                let demand = sum(book.levels(Side::Bid).filter(|level| level.ticks >= ticks));
                demand.min(sum(book.levels(Side::Ask).filter(|level| level.ticks <= ticks)))
            };
            let most = (40..100).map(volume).max().expect("prices");
            match uncrossing(&book, 65) {
                Some(found) => assert!(found.qty == most && volume(found.ticks) == most && most > 0, "seed {seed}"),
                None => assert_eq!(most, 0, "seed {seed}"),
            }
        }
    }
}
