//! Faults that a test plants, to prove that the simulation would find them. Without the feature `planted-faults`, which
//! no normal build enables, nothing of this remains: [`strikes`] is false and [`bound`] returns its usual value.
//!
//! With the feature the engine's bounds are also small, so that a history of a few topics reaches them all.

/// What can be wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(
    not(feature = "planted-faults"),
    allow(dead_code, unreachable_pub, reason = "only named without the feature")
)]
pub enum Fault {
    /// A subscriber is skipped.
    FrameSkipped,
    /// What was written stays queued.
    FrameSentTwice,
    /// The cached encoded image outlives its state.
    StaleImage,
    /// A gap ends one update too early.
    ShortGap,
    /// Only the first of the sleeping shards is woken.
    WakeLost,
    /// The rest of a half-written frame is forgotten.
    HalfFrame,
    /// A connection whose socket is full keeps its run in a part of the ring that is reused.
    EvictionUnderReader,
    /// Two neighbouring entries of the feed are swapped.
    OrderAcrossTopics,
    /// A client resumes by the `seq` of an epoch that is over.
    ResumeIntoNewEpoch,
    /// A change within the interval is not scheduled.
    ViewLosesLastUpdate,
    /// What is pending goes out behind the answer to `unsubscribe`.
    UnsubscribeLeaks,
    /// Patterns that match a new topic are not notified of its beginning.
    PatternMissesTopic,
    /// A topic's `closed` counts as sent once its image is sent.
    ClosedForgotten,
    /// What is published meanwhile is delivered as well as the image that already includes it.
    ImageAndUpdate,
    /// A topic begins without its first update.
    BeginningWithoutUpdate,
    /// A walk continues only where the feed is read to its end.
    WalkWaitsForTail,
    /// A want gets its turn again and again, and nothing of it is sent.
    WantWithoutProgress,
    /// What was wanted remains counted.
    BudgetKept,
    /// Counting the topics of patterns costs no work.
    WorkUncounted,
    /// What is pending of a topic that is denied by new permissions stays pending.
    DeniedStaysPending,
    /// A message that was cut ends without the mark of its transport's encoding.
    EndForgotten,
    /// A broker that was restored applies again what a topic has had already.
    PlaceIgnored,
    /// A checkpoint lacks a topic that ended while it was written.
    EndsForgotten,
    /// A broker that was restored judges by what it has what was refused before its checkpoint was complete.
    RefusalsForgotten,
    /// A checkpoint lacks the sessions.
    SessionsForgotten,
    /// The last record of a session counts once more when it is repeated.
    LastRecordTwice,
    /// An update has the time of the broker that applies it.
    ClockInApply,
    /// An epoch follows from how many topics this broker has begun.
    EpochFromCounter,
    /// A batch is answered when the first of its updates is back from the log.
    AnswerBeforeApply,
    /// What comes back from the log goes to whichever connection has the number by now.
    AnswerToAnother,
    /// What is no publish does not wait for the publishes before it.
    HeldOvertakes,
    /// What comes back from the log counts for a connection's newest request.
    AnswerOfAnother,
    /// What comes back from the log counts although its request was given up.
    GivenUpForgotten,
    /// A record whose commands were refused is written later.
    RefusedWritten,
    /// A client that is ahead of this broker is treated as one of another run.
    AheadIsReset,
    /// A log is cut behind what the older of the two newest checkpoints needs.
    CutTooFar,
    /// A log of which something is missing counts as the one that was read.
    HoleAccepted,
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

    /// Whether the fault is planted: for faults that are harmless unless they always strike.
    pub(crate) fn planted(fault: Fault) -> bool {
        PLANTED.get() == Some(fault)
    }

    /// A fault that always strikes is easily found: this one strikes at every third opportunity.
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

/// A bound of the engine: `usual`, or `few` with the feature.
pub(crate) const fn bound(usual: usize, few: usize) -> usize {
    if cfg!(feature = "planted-faults") { few } else { usual }
}
