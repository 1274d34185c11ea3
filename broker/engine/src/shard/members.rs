//! Who is subscribed: to a topic by its name, or by a pattern.

#[cfg(test)]
mod tests;

use std::sync::{Arc, Weak};

use broker_protocol::pattern::{Pattern, Specificity};
use smallvec::SmallVec;

use super::conn::Step;
use super::patterns::Linked;
use super::{ConnId, ViewId};
use crate::topic::Topic;

/// Connections, those that get every update apart from those that asked for fewer. Each knows where it stands, so that it
/// leaves at once however many there are.
#[derive(Default)]
pub(crate) struct Members {
    pub(crate) plain: Vec<ConnId>,
    pub(crate) conflated: Option<Box<Conflated>>,
}

/// Members that asked for at most one message per interval.
#[derive(Default)]
pub(crate) struct Conflated {
    members: Vec<(ConnId, Step)>,
    /// Members of each step.
    counts: [u32; STEPS],
}

/// Steps of the ladder of intervals, 0 included.
const STEPS: usize = 16;

impl Members {
    pub(crate) fn is_empty(&self) -> bool {
        self.plain.is_empty() && self.conflated.is_none()
    }

    pub(crate) fn len(&self) -> usize {
        self.plain.len() + self.conflated.as_ref().map_or(0, |conflated| conflated.members.len())
    }

    /// The steps in use among the conflated, a bit each.
    pub(crate) fn steps(&self) -> u16 {
        let Some(conflated) = &self.conflated else { return 0 };
        (0..STEPS).filter(|step| conflated.counts[*step] > 0).fold(0, |steps, step| steps | 1 << step)
    }

    /// Adds a connection. Returns where it stands.
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

    /// Removes the connection that stands `at` this place among those of its kind. Returns the one that stands there now.
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

    /// The connection that stands at this place among those of its kind.
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

/// Gives memory back after many left, rarely enough to cost nothing.
fn shrink<T>(list: &mut Vec<T>) {
    if list.capacity() > 64 && list.len() < list.capacity() / 4 {
        list.shrink_to(list.len() * 2);
    }
}

/// A name that somebody in this shard is subscribed to, whether or not there is such a topic now.
pub(crate) struct Local {
    pub(crate) name: Arc<str>,
    pub(crate) topic: Option<Arc<Topic>>,
    /// Ended incarnations that connections may still have to get, and where the ring was when they ended.
    pub(crate) previous: SmallVec<[(Weak<Topic>, u64); 1]>,
    pub(crate) direct: Members,
    /// Patterns that match, the most specific first.
    pub(crate) groups: Linked,
    pub(crate) views: SmallVec<[ViewId; 1]>,
    /// The newest `seq` of `topic` that the shard took in.
    pub(crate) read_seq: u64,
    /// It has no topic, is subscribed to by name, and counts among the names that are waited for.
    pub(crate) is_waited: bool,
}

/// What a name costs beside its text: its place here, in the map by name, and the list of its first subscriber.
const NAME_BYTES: usize = std::mem::size_of::<Local>() + 256;

impl Local {
    pub(crate) fn new(name: Arc<str>) -> Self {
        Self {
            name,
            topic: None,
            previous: SmallVec::new(),
            direct: Members::default(),
            groups: Linked::default(),
            views: SmallVec::new(),
            read_seq: 0,
            is_waited: false,
        }
    }

    /// What the name costs while it is waited for.
    pub(crate) fn name_bytes(&self) -> u64 {
        (self.name.len() + NAME_BYTES) as u64
    }

    /// Forgets ended incarnations that nobody has to get any more: nobody wants them, and nothing of them is in the ring,
    /// whose oldest frame is at `ring_tail`.
    pub(crate) fn prune(&mut self, ring_tail: u64) {
        let is_wanted = |topic: &Weak<Topic>| topic.upgrade().is_some_and(|topic| topic.is_wanted());
        self.previous.retain(|(topic, place)| *place > ring_tail || is_wanted(topic));
    }

    /// Ended incarnations that are still there, the last first.
    pub(crate) fn previous(&self) -> impl Iterator<Item = Arc<Topic>> + '_ {
        self.previous.iter().rev().filter_map(|(topic, _)| topic.upgrade())
    }
}

/// A pattern that somebody in this shard is subscribed to.
pub(crate) struct Group {
    pub(crate) pattern: Pattern,
    pub(crate) specificity: Specificity,
    pub(crate) members: Members,
    /// Nobody is left; it goes once no topic refers to it.
    pub(crate) dead: bool,
    /// The pass over the names that takes it out of them is under way.
    pub(crate) forgotten: bool,
}
