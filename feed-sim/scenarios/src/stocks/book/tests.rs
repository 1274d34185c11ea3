//! The book against a naive one, and the conservation of quantity.

use super::*;
use feed_player::random::Random;

/// Orders in the order of their arrival: side, price, remaining quantity, number.
#[derive(Default)]
struct Naive(Vec<(Side, u32, u32, u64)>);

impl Naive {
    /// The orders of a side in the order in which they would be filled.
    fn queue(&self, side: Side) -> Vec<(Side, u32, u32, u64)> {
        let mut queue: Vec<_> = self.0.iter().copied().filter(|order| order.0 == side).collect();
        queue.sort_by_key(|order| (if side == Side::Bid { u32::MAX - order.1 } else { order.1 }, order.3));
        queue
    }

    fn levels(&self, side: Side) -> Vec<Level> {
        let mut levels: Vec<Level> = Vec::new();
        for (_, ticks, qty, _) in self.queue(side) {
            match levels.last_mut() {
                Some(level) if level.ticks == ticks => level.qty += qty,
                _ => levels.push(Level { ticks, qty }),
            }
        }
        levels
    }

    fn take(&mut self, id: u64, qty: u32) {
        let at = self.0.iter().position(|order| order.3 == id).expect("it rests");
        self.0[at].2 -= qty;
        if self.0[at].2 == 0 {
            self.0.remove(at);
        }
    }
}

#[test]
fn it_does_what_a_naive_book_does_and_loses_no_share() {
    for seed in 0..20 {
        let (mut book, mut naive, mut random) = (Book::new(), Naive::default(), Random::new(seed, 0));
        let (mut orders, mut added, mut traded, mut cancelled) = (0_u64, 0_u64, 0_u64, 0_u64);
        for step in 0..2_000 {
            let side = if random.happens(0.5) { Side::Bid } else { Side::Ask };
            let queue = naive.queue(side);
            match random.below(5) {
                // Prices overlap: in a call phase bids and asks may cross.
                0..3 => {
                    let order = Level { ticks: 90 + random.below(20), qty: 1 + random.below(500) };
                    let id = book.add(side, order);
                    orders += 1;
                    assert_eq!(id, orders, "numbers go up by one; seed {seed} step {step}");
                    added += u64::from(order.qty);
                    naive.0.push((side, order.ticks, order.qty, id));
                }
                3 => {
                    let qty = 1 + random.below(700);
                    let taken = book.fill(side, qty);
                    let expected =
                        queue.first().map(|first| Taken { order_id: first.3, ticks: first.1, qty: qty.min(first.2) });
                    assert_eq!(taken, expected, "price first, then time; seed {seed} step {step}");
                    if let Some(taken) = taken {
                        naive.take(taken.order_id, taken.qty);
                        traded += u64::from(taken.qty);
                    }
                }
                _ => {
                    let levels = naive.levels(side);
                    let away = random.below(levels.len() as u32 + 1) as usize;
                    let ahead = random.below(book.queue_orders(side, away) + 1);
                    let taken = book.cancel(side, away, ahead, 1 + random.below(600));
                    assert_eq!(taken.is_some(), !queue.is_empty());
                    if let Some(taken) = taken {
                        let at_price: Vec<_> = queue.iter().filter(|order| order.1 == taken.ticks).collect();
                        assert_eq!(taken.ticks, levels[away.min(levels.len() - 1)].ticks);
                        assert_eq!(taken.order_id, at_price[(ahead as usize).min(at_price.len() - 1)].3);
                        naive.take(taken.order_id, taken.qty);
                        cancelled += u64::from(taken.qty);
                    }
                }
            }
            for side in [Side::Bid, Side::Ask] {
                let levels = naive.levels(side);
                assert_eq!(book.levels(side).collect::<Vec<_>>(), levels, "seed {seed} step {step}");
                assert_eq!((book.best(side), book.furthest(side)), (levels.first().copied(), levels.last().copied()));
                assert_eq!((book.depth(side), book.orders(side) as usize), (levels.len(), naive.queue(side).len()));
                assert!(levels.iter().all(|level| book.qty(side, level.ticks) == level.qty));
            }
            let resting: u64 = naive.0.iter().map(|order| u64::from(order.2)).sum();
            assert_eq!(added, traded + cancelled + resting, "seed {seed} step {step}");
        }
        assert!(traded > 0 && cancelled > 0);
        assert!(book.orders.len() < 2_000, "slots are reused");
    }
}
