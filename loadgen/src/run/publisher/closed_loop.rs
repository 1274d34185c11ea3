//! A closed loop: publishes as fast as possible with a fixed number of updates in flight.

/// The longest wait for the updates in flight without any progress; then the loop goes on without them.
const PATIENCE_NS: u64 = 500_000_000;
/// How often to check whether there is room while nothing arrives.
pub(super) const LOOK_AGAIN_NS: u64 = PATIENCE_NS / 10;

/// Whether another update may be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    None,
    Now,
    /// Yes, because the updates in flight are no longer waited for.
    Forgiven,
}

#[derive(Default)]
pub(super) struct ClosedLoop {
    /// Deliveries that are no longer waited for.
    forgiven: u64,
    /// The number of deliveries at the last progress, and when that was.
    progress: (u64, u64),
}

impl ClosedLoop {
    /// Whether there is room for another update. `due` deliveries belong to the updates `published` so far, and
    /// `covered` of them have arrived.
    pub(super) fn room(&mut self, in_flight: u64, published: u64, due: u64, covered: u64, now_ns: u64) -> Room {
        let copies = due.checked_div(published).unwrap_or(0).max(1);
        let under_way = due.saturating_sub(covered + self.forgiven);
        // Before the first update there was nothing to wait for.
        if covered != self.progress.0 || published == 0 {
            self.progress = (covered, now_ns);
        }
        if under_way < in_flight * copies {
            return Room::Now;
        }
        if now_ns - self.progress.1 < PATIENCE_NS {
            return Room::None;
        }
        self.forgiven = due - covered.min(due);
        self.progress.1 = now_ns;
        Room::Forgiven
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_in_flight_is_kept_and_deliveries_that_do_not_arrive_are_forgiven() {
        let mut closed = ClosedLoop::default();
        // 10 subscribers, 2 updates in flight.
        assert_eq!(closed.room(2, 0, 0, 0, 1_000), Room::Now);
        assert_eq!(closed.room(2, 1, 10, 0, 1_000), Room::Now);
        assert_eq!(closed.room(2, 2, 20, 0, 1_000), Room::None);
        assert_eq!(closed.room(2, 2, 20, 1, 2_000), Room::Now, "a part of an update's deliveries has arrived");
        assert_eq!(closed.room(2, 3, 30, 1, 2_000 + PATIENCE_NS - 1), Room::None);
        assert_eq!(closed.room(2, 3, 30, 1, 2_000 + PATIENCE_NS), Room::Forgiven);
        assert_eq!(closed.room(2, 4, 40, 1, 2_000 + PATIENCE_NS), Room::Now);
        assert_eq!(closed.room(2, 5, 50, 1, 2_000 + PATIENCE_NS), Room::None, "patience begins anew");
    }
}
