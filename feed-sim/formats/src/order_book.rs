//! A book rebuilt order by order, for feeds that identify each order. Its memory is that of the orders that rest in it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::levels::{Levels, Side};

/// An order that rests in the book.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Order {
    /// In the venue's smallest unit.
    pub(super) price: i64,
    pub(super) qty: u32,
    pub(super) side: Side,
}

/// Why a message does not fit the book. The book is unchanged.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Misfit {
    #[error("order {0} is not in the book")]
    Unknown(u64),
    #[error("order {0} is already in the book")]
    Duplicate(u64),
    #[error("order {id} has a quantity of {there}, which cannot be reduced by {asked}")]
    TooMuch { id: u64, there: u32, asked: u32 },
    #[error("order {0} is for a quantity of 0")]
    Empty(u64),
}

/// The orders of an instrument, and the levels that they add up to.
#[derive(Default)]
pub(super) struct OrderBook {
    orders: HashMap<u64, Order, foldhash::fast::RandomState>,
    pub(super) levels: Levels,
}

impl OrderBook {
    /// Returns the order of that number.
    pub(super) fn order(&self, id: u64) -> Option<Order> {
        self.orders.get(&id).copied()
    }

    /// Adds an order.
    pub(super) fn add(&mut self, id: u64, order: Order) -> Result<(), Misfit> {
        if order.qty == 0 {
            return Err(Misfit::Empty(id));
        }
        match self.orders.entry(id) {
            Entry::Occupied(_) => return Err(Misfit::Duplicate(id)),
            Entry::Vacant(vacant) => _ = vacant.insert(order),
        }
        let there = self.levels.qty(order.side, order.price);
        self.levels.set(order.side, order.price, there + u64::from(order.qty));
        Ok(())
    }

    /// Removes a part of an order, or all of it. Returns the order as it was before.
    pub(super) fn reduce(&mut self, id: u64, qty: u32) -> Result<Order, Misfit> {
        let Entry::Occupied(mut entry) = self.orders.entry(id) else { return Err(Misfit::Unknown(id)) };
        let order = *entry.get();
        match order.qty.checked_sub(qty) {
            None => return Err(Misfit::TooMuch { id, there: order.qty, asked: qty }),
            Some(0) => _ = entry.remove(),
            Some(left) => entry.get_mut().qty = left,
        }
        let there = self.levels.qty(order.side, order.price);
        self.levels.set(order.side, order.price, there - u64::from(qty));
        Ok(order)
    }

    /// Removes an order and returns it.
    pub(super) fn remove(&mut self, id: u64) -> Result<Order, Misfit> {
        let order = self.order(id).ok_or(Misfit::Unknown(id))?;
        self.reduce(id, order.qty)
    }

    /// Replaces an order by a new one on the same side, with a number of its own.
    pub(super) fn replace(&mut self, id: u64, new_id: u64, price: i64, qty: u32) -> Result<(), Misfit> {
        let old = self.order(id).ok_or(Misfit::Unknown(id))?;
        if new_id != id && self.orders.contains_key(&new_id) {
            return Err(Misfit::Duplicate(new_id));
        }
        if qty == 0 {
            return Err(Misfit::Empty(new_id));
        }
        self.remove(id)?;
        self.add(new_id, Order { price, qty, side: old.side })
    }

    /// Removes all orders of a side.
    pub(super) fn clear_side(&mut self, side: Side) {
        self.orders.retain(|_, order| order.side != side);
        self.levels.set_side(side, &[]);
    }

    /// Removes all orders.
    pub(super) fn clear(&mut self) {
        self.orders.clear();
        self.levels.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::levels::Level;

    #[test]
    fn a_misfit_changes_nothing() {
        let mut book = OrderBook::default();
        let order = Order { price: 7, qty: 10, side: Side::Ask };
        book.add(1, order).unwrap();
        book.add(2, Order { qty: 5, ..order }).unwrap();
        assert_eq!(book.add(1, order), Err(Misfit::Duplicate(1)));
        assert_eq!(book.add(3, Order { qty: 0, ..order }), Err(Misfit::Empty(3)));
        assert_eq!(book.reduce(1, 11), Err(Misfit::TooMuch { id: 1, there: 10, asked: 11 }));
        assert_eq!(book.reduce(9, 1), Err(Misfit::Unknown(9)));
        assert_eq!(book.replace(1, 2, 8, 1), Err(Misfit::Duplicate(2)));
        assert_eq!(book.replace(1, 3, 8, 0), Err(Misfit::Empty(3)));
        assert_eq!(book.levels.best(Side::Ask), Some(Level { price: 7, qty: 15 }));

        assert_eq!(book.reduce(1, 4), Ok(order));
        book.replace(1, 1, 6, 3).unwrap();
        assert_eq!(book.remove(2), Ok(Order { qty: 5, ..order }));
        assert_eq!(book.levels.levels(Side::Ask).collect::<Vec<_>>(), [Level { price: 6, qty: 3 }]);
        assert_eq!(book.reduce(1, 3).map(|order| order.price), Ok(6));
        assert_eq!((book.order(1), book.levels.depth(Side::Ask)), (None, 0));
    }
}
