//! Faults that a test plants, to prove that the simulation would find them. Without the feature `planted-faults`, which
//! no normal build has, nothing of this is left: [`strikes`] is false and [`bound`] is what it is called with.
//!
//! With the feature the engine's bounds are few as well, so that a history of a few topics meets them all.

/// What may be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-faults"),
    allow(dead_code, unreachable_pub, reason = "only named without the feature")
)]
pub enum Fault {
    /// A subscriber is passed over.
    FrameSkipped,
    /// What was written stays to be written.
    FrameSentTwice,
    /// The encoded image outlives the state that it is of.
    StaleImage,
    /// A gap ends one update too early.
    ShortGap,
    /// Only the first of the shards that sleep is woken.
    WakeLost,
    /// The rest of a half-written frame is forgotten.
    HalfFrame,
    /// Whose socket is full keeps its place in a part of the ring that is used again.
    EvictionUnderReader,
    /// Two neighbours of the feed change places.
    OrderAcrossTopics,
    /// A client resumes by the `seq` of an epoch that is over.
    ResumeIntoNewEpoch,
    /// A change within the interval is not scheduled.
    ViewLosesLastUpdate,
    /// What is pending goes out behind the answer to `unsubscribe`.
    UnsubscribeLeaks,
    /// A topic that begins is not told to the patterns that match it.
    PatternMissesTopic,
    /// A topic's `closed` is taken for said once its image is out.
    ClosedForgotten,
    /// What is published meanwhile is delivered beside the image that holds it.
    ImageAndUpdate,
    /// A topic begins without its first update.
    BirthWithoutUpdate,
    /// A walk goes on only where the feed is read to its end.
    WalkWaitsForTail,
    /// A want comes to its turn again and again, and nothing of it is sent.
    WantStands,
    /// What was wanted stays counted.
    BudgetKept,
    /// Counting the topics of patterns costs no work.
    WorkUncounted,
    /// A message that was cut ends without the mark of its carrier's encoding.
    EndForgotten,
}

#[cfg(feature = "planted-faults")]
mod planted {
    use super::Fault;
    use std::cell::Cell;

    thread_local! {
        static PLANTED: Cell<Option<Fault>> = const { Cell::new(None) };
        static CHANCES: Cell<u32> = const { Cell::new(0) };
    }

    /// Plants a fault for everything that this thread does from now on.
    pub fn plant(fault: Option<Fault>) {
        PLANTED.set(fault);
        CHANCES.set(0);
    }

    /// Whether the fault is planted: for those that are none unless they always strike.
    pub(crate) fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// A fault that always strikes is easily found: this one does at every third occasion.
    pub(crate) fn strikes(fault: Fault) -> bool {
        if PLANTED.get() != Some(fault) {
            return false;
        }
        CHANCES.set(CHANCES.get() + 1);
        CHANCES.get().is_multiple_of(3)
    }
}

#[cfg(feature = "planted-faults")]
pub use planted::plant;
#[cfg(feature = "planted-faults")]
pub(crate) use planted::{planted, strikes};

/// Whether the fault is planted, and strikes now.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub(crate) const fn strikes(_: Fault) -> bool {
    false
}

/// Whether the fault is planted.
#[cfg(not(feature = "planted-faults"))]
#[inline(always)]
pub(crate) const fn planted(_: Fault) -> bool {
    false
}

/// A bound of the engine: the usual one, or few.
pub(crate) const fn bound(usual: usize, few: usize) -> usize {
    if cfg!(feature = "planted-faults") { few } else { usual }
}
