//! A limit order book: orders in queues by price and time.
//!
//! It takes orders, and fills and cancels them; it does not judge which orders are allowed when. In a call bids may be
//! above asks; otherwise the caller that adds an order ensures that they are not.

#[cfg(test)]
mod tests;

/// A side of the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Side {
    Bid,
    Ask,
}

impl Side {
    /// The other side.
    pub(super) fn opposite(self) -> Side {
        match self {
            Side::Bid => Side::Ask,
            Side::Ask => Side::Bid,
        }
    }

    /// Whether `ticks` is a better price than `than` for the other side.
    pub(super) fn better(self, ticks: u32, than: u32) -> bool {
        match self {
            Side::Bid => ticks > than,
            Side::Ask => ticks < than,
        }
    }
}

/// Price in ticks and quantity in shares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Level {
    pub(super) ticks: u32,
    pub(super) qty: u32,
}

/// The quantity that was taken off an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Taken {
    pub(super) order_id: u64,
    pub(super) ticks: u32,
    pub(super) qty: u32,
}

/// A resting order and the one behind it.
struct Order {
    id: u64,
    qty: u32,
    next: u32,
}

/// The orders at a price, oldest first.
struct Queue {
    ticks: u32,
    qty: u32,
    orders: u32,
    first: u32,
    last: u32,
}

/// No order.
const NONE: u32 = u32::MAX;

/// The orders of one instrument. Queues are in two short sorted arrays with the best price, where nearly everything
/// happens, at the end; orders are in one array with a list of free slots, so that a book in use allocates nothing.
pub(super) struct Book {
    sides: [Vec<Queue>; 2],
    /// Orders of each side.
    counts: [u32; 2],
    orders: Vec<Order>,
    free: u32,
    last_id: u64,
}

impl Book {
    /// Makes an empty book.
    pub(super) fn new() -> Self {
        Book { sides: [Vec::new(), Vec::new()], counts: [0; 2], orders: Vec::new(), free: NONE, last_id: 0 }
    }

    /// The levels of a side from the best outwards.
    pub(super) fn levels(&self, side: Side) -> impl Iterator<Item = Level> + '_ {
        self.sides[side as usize].iter().rev().map(|queue| Level { ticks: queue.ticks, qty: queue.qty })
    }

    /// The best level of a side.
    pub(super) fn best(&self, side: Side) -> Option<Level> {
        self.levels(side).next()
    }

    /// The level furthest from the market.
    pub(super) fn furthest(&self, side: Side) -> Option<Level> {
        self.sides[side as usize].first().map(|queue| Level { ticks: queue.ticks, qty: queue.qty })
    }

    /// How many levels a side has.
    pub(super) fn depth(&self, side: Side) -> usize {
        self.sides[side as usize].len()
    }

    /// How many orders a side has.
    pub(super) fn orders(&self, side: Side) -> u32 {
        self.counts[side as usize]
    }

    /// The quantity at a price; 0 if there is none.
    pub(super) fn qty(&self, side: Side, ticks: u32) -> u32 {
        self.find(side, ticks).map_or(0, |at| self.sides[side as usize][at].qty)
    }

    /// Adds an order behind those at its price, and gives it the next number.
    pub(super) fn add(&mut self, side: Side, order: Level) -> u64 {
        assert!(order.qty > 0, "an order of nothing");
        self.last_id += 1;
        let slot = self.keep(Order { id: self.last_id, qty: order.qty, next: NONE });
        match self.find(side, order.ticks) {
            Ok(at) => {
                let queue = &mut self.sides[side as usize][at];
                self.orders[queue.last as usize].next = slot;
                queue.last = slot;
                queue.qty += order.qty;
                queue.orders += 1;
            }
            Err(at) => {
                let queue = Queue { ticks: order.ticks, qty: order.qty, orders: 1, first: slot, last: slot };
                self.sides[side as usize].insert(at, queue);
            }
        }
        self.counts[side as usize] += 1;
        self.last_id
    }

    /// Fills the oldest order at the best price of a side with up to `qty`, which is above 0.
    pub(super) fn fill(&mut self, side: Side, qty: u32) -> Option<Taken> {
        let at = self.depth(side).checked_sub(1)?;
        Some(self.take(side, at, 0, qty))
    }

    /// Cancels up to `qty`, above 0, of the order with `ahead` others before it in the queue of the level that is
    /// `away` levels from the best. With fewer orders it takes the last one; with fewer levels, the furthest.
    pub(super) fn cancel(&mut self, side: Side, away: usize, ahead: u32, qty: u32) -> Option<Taken> {
        let depth = self.depth(side);
        let at = depth.checked_sub(1 + away.min(depth.saturating_sub(1)))?;
        let ahead = ahead.min(self.sides[side as usize][at].orders - 1);
        Some(self.take(side, at, ahead, qty))
    }

    /// The number of orders at the level that is `away` levels from the best.
    pub(super) fn queue_orders(&self, side: Side, away: usize) -> u32 {
        self.sides[side as usize].iter().rev().nth(away).map_or(0, |queue| queue.orders)
    }

    /// Takes up to `qty` off an order. An order with nothing left is removed, and so is a queue without orders.
    fn take(&mut self, side: Side, at: usize, ahead: u32, qty: u32) -> Taken {
        let queue = &mut self.sides[side as usize][at];
        let (mut before, mut slot) = (NONE, queue.first);
        for _ in 0..ahead {
            (before, slot) = (slot, self.orders[slot as usize].next);
        }
        let order = &mut self.orders[slot as usize];
        let taken = qty.min(order.qty);
        order.qty -= taken;
        queue.qty -= taken;
        let (order_id, ticks) = (order.id, queue.ticks);
        if order.qty == 0 {
            let next = std::mem::replace(&mut order.next, self.free);
            self.free = slot;
            match before {
                NONE => queue.first = next,
                before => self.orders[before as usize].next = next,
            }
            if next == NONE {
                queue.last = before;
            }
            queue.orders -= 1;
            self.counts[side as usize] -= 1;
            if queue.orders == 0 {
                self.sides[side as usize].remove(at);
            }
        }
        Taken { order_id, ticks, qty: taken }
    }

    fn keep(&mut self, order: Order) -> u32 {
        if self.free == NONE {
            self.orders.push(order);
            return (self.orders.len() - 1) as u32;
        }
        let slot = self.free;
        self.free = self.orders[slot as usize].next;
        self.orders[slot as usize] = order;
        slot
    }

    /// The index at which the queue of a price is, or would be.
    fn find(&self, side: Side, ticks: u32) -> Result<usize, usize> {
        let queues = &self.sides[side as usize];
        // Nearly everything happens near the best price, which is the last.
        let behind = queues.iter().rev().take_while(|queue| side.better(queue.ticks, ticks)).count();
        let after = queues.len() - behind;
        match after.checked_sub(1) {
            Some(at) if queues[at].ticks == ticks => Ok(at),
            _ => Err(after),
        }
    }
}
