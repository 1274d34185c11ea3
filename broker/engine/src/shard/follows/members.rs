//! The subscribers of a topic by its name, or of a pattern.

#[cfg(test)]
#[path = "members_tests.rs"]
mod tests;

use crate::shard::conn::Step;
use crate::shard::id::ConnId;

/// The connections, those that get every update apart from those that asked for an interval. Each connection knows its
/// index, so that it can be removed in constant time.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) plain: Vec<ConnId>,
    pub(crate) conflated: Option<Box<Conflated>>,
}

/// Members that asked for at most one message per interval.
#[derive(Default)]
pub(crate) struct Conflated {
    members: Vec<(ConnId, Step)>,
    /// Number of members at each step.
    counts: [u32; STEPS],
}

/// Steps of the ladder of intervals, including 0.
const STEPS: usize = 16;

impl Members {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.conflated.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.conflated.as_ref().map_or(0, |conflated| conflated.members.len())
    }

    /// The steps in use among the conflated members, one bit each.
    pub(crate) fn steps(&self) -> u16 {
        let Some(conflated) = &self.conflated else { return 0 };
        (0..STEPS).filter(|step| conflated.counts[*step] > 0).fold(0, |steps, step| steps | 1 << step)
    }

    /// Adds a connection. Returns its index.
    pub(crate) fn add(&mut self, conn: ConnId, step: Step) -> u32 {
        if step == 0 {
            self.plain.push(conn);
            return self.plain.len() as u32 - 1;
        }
        let conflated = self.conflated.get_or_insert_default();
        conflated.members.push((conn, step));
        conflated.counts[usize::from(step)] += 1;
        conflated.members.len() as u32 - 1
    }

    /// Removes the connection at this index among those of its kind. Returns the one that is moved there.
    pub(crate) fn remove(&mut self, at: u32, step: Step) -> Option<ConnId> {
        let at = at as usize;
        if step == 0 {
            self.plain.swap_remove(at);
            shrink(&mut self.plain);
            return self.plain.get(at).copied();
        }
        let conflated = self.conflated.as_mut()?;
        conflated.members.swap_remove(at);
        conflated.counts[usize::from(step)] -= 1;
        shrink(&mut conflated.members);
        let moved = conflated.members.get(at).map(|(conn, _)| *conn);
        if conflated.members.is_empty() {
            self.conflated = None;
        }
        moved
    }

    /// The connection at this index among those of its kind.
    #[cfg(test)]
    fn at(&self, at: u32, step: Step) -> Option<ConnId> {
        if step == 0 {
            return self.plain.get(at as usize).copied();
        }
        self.conflated.as_ref()?.members.get(at as usize).map(|(conn, _)| *conn)
    }

    pub(crate) fn each_plain(&self, mut call: impl FnMut(ConnId)) {
        self.plain.iter().for_each(|conn| call(*conn));
    }

    pub(crate) fn each_conflated(&self, mut call: impl FnMut(ConnId, Step)) {
        let conflated = self.conflated.iter().flat_map(|conflated| &conflated.members);
        conflated.for_each(|(conn, step)| call(*conn, *step));
    }

    pub(crate) fn each(&self, mut call: impl FnMut(ConnId, Step)) {
        self.each_plain(|conn| call(conn, 0));
        self.each_conflated(call);
    }
}

/// Frees memory after many have left, rarely enough to cost nothing.
fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > 64 && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}
