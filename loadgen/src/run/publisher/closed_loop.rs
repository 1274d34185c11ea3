//! A closed loop: as fast as it goes, with so many updates under way.

/// One that has waited this long for what is under way goes on without it.
const PATIENCE_NS: u64 = 500_000_000;
/// How often it is looked whether there is room, where nothing arrives.
pub(super) const LOOK_AGAIN_NS: u64 = PATIENCE_NS / 10;

/// Whether another update may be published.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    None,
    Now,
    /// Only because what is under way is not waited for any longer.
    Forgiven,
}

#[derive(Default)]
pub(super) struct ClosedLoop {
    /// Deliveries that are not waited for any more.
    forgiven: u64,
    /// Deliveries that had come when last some came, and when that was.
    progress: (u64, u64),
}

impl ClosedLoop {
    /// `due` deliveries belong to the updates that were `published` so far, and `covered` of them have come.
    pub(super) fn room(&mut self, in_flight: u64, published: u64, due: u64, covered: u64, now_ns: u64) -> Room {
        let copies = due.checked_div(published).unwrap_or(0).max(1);
        let under_way = due.saturating_sub(covered + self.forgiven);
        // Nobody has waited before the first update.
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
    fn so_many_are_under_way_and_what_does_not_come_is_forgiven() {
        let mut closed = ClosedLoop::default();
        // 10 subscribers, 2 updates under way.
        assert_eq!(closed.room(2, 0, 0, 0, 1_000), Room::Now);
        assert_eq!(closed.room(2, 1, 10, 0, 1_000), Room::Now);
        assert_eq!(closed.room(2, 2, 20, 0, 1_000), Room::None);
        assert_eq!(closed.room(2, 2, 20, 1, 2_000), Room::Now, "a part of an update's deliveries has come");
        assert_eq!(closed.room(2, 3, 30, 1, 2_000 + PATIENCE_NS - 1), Room::None);
        assert_eq!(closed.room(2, 3, 30, 1, 2_000 + PATIENCE_NS), Room::Forgiven);
        assert_eq!(closed.room(2, 4, 40, 1, 2_000 + PATIENCE_NS), Room::Now);
        assert_eq!(closed.room(2, 5, 50, 1, 2_000 + PATIENCE_NS), Room::None, "patience begins anew");
    }
}
