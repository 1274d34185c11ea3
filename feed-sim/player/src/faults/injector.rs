//! The adapter: a feed with faults.

use std::collections::{HashMap, VecDeque};
use std::task::{Context, Poll, ready};

use broker_protocol::Pattern;

use super::corrections::{Waiting, correction_of};
use super::fault::What;
use super::malformed::Malformation;
use super::timing::Timing;
use super::{FaultCounts, Plan};
use crate::publication::{BadRecord, Counts, Feed, Publication, Timed};
use crate::random::Random;

/// The most topics that are silent at a time; at this number, no further topic becomes silent.
pub const SILENT_TOPICS_MAX: usize = 10_000;
/// The most corrections that wait until they are due; at this number, no further event is corrected.
pub const CORRECTIONS_WAITING_MAX: usize = 100_000;

/// The first random stream: far from those of the scenarios, which have the same seed.
const STREAM_FIRST: u64 = 0xfa17_0000_0000;
/// The stream for the details of a fault: how far a clock is off.
const STREAM_OF_DETAILS: u64 = STREAM_FIRST + 100;

/// A kind of fault and the random stream that decides when it happens.
struct Dice<T> {
    rate: u32,
    random: Random,
    parameter: T,
}

impl<T: Copy> Dice<T> {
    /// Returns the parameter if the fault happens now, which it does as often as the rate says.
    fn falls(&mut self) -> Option<T> {
        (self.random.below(1_000_000_000) < self.rate).then_some(self.parameter)
    }
}

fn falls<T: Copy>(dice: &mut Option<Dice<T>>) -> Option<T> {
    dice.as_mut()?.falls()
}

#[derive(Clone, Copy)]
struct Silence {
    quiet_us: u64,
    whole_feed: bool,
}

/// A feed with faults.
pub struct Faulty<F> {
    feed: F,
    /// Whether nothing is injected.
    clean: bool,
    topics: Option<Pattern>,
    silence: Option<Dice<Silence>>,
    gap: Option<Dice<u32>>,
    reorder: Option<Dice<u32>>,
    duplicate: Option<Dice<u32>>,
    malformed: Option<Dice<Option<Malformation>>>,
    correction: Option<Dice<u64>>,
    burst: Option<Dice<u64>>,
    clock_skew: Option<Dice<u32>>,
    details: Random,
    /// When the silence of each silent topic ends.
    silent_topics: HashMap<String, u64>,
    /// When the silence of the whole feed ends.
    silent_until_us: u64,
    /// How many more updates the current gap loses.
    lost_next: u32,
    /// Updates held back, each with the number of the feed's update that it follows.
    held_back: VecDeque<(u64, Publication)>,
    corrections: Waiting,
    timing: Timing,
    counts: FaultCounts,
    ready: VecDeque<Result<Timed, BadRecord>>,
    now_us: u64,
    over: bool,
}

impl<F: Feed> Faulty<F> {
    /// `feed` with the faults of `plan`.
    pub fn new(feed: F, plan: &Plan) -> Faulty<F> {
        let mut faulty = Faulty {
            feed,
            clean: plan.faults.is_empty(),
            topics: plan.topics.clone(),
            silence: None,
            gap: None,
            reorder: None,
            duplicate: None,
            malformed: None,
            correction: None,
            burst: None,
            clock_skew: None,
            details: Random::new(plan.seed, STREAM_OF_DETAILS),
            silent_topics: HashMap::new(),
            silent_until_us: 0,
            lost_next: 0,
            held_back: VecDeque::new(),
            corrections: Waiting::default(),
            timing: Timing::default(),
            counts: FaultCounts::default(),
            ready: VecDeque::new(),
            now_us: 0,
            over: false,
        };
        for fault in &plan.faults {
            faulty.set(fault.what, fault.rate, plan.seed);
        }
        faulty
    }

    fn set(&mut self, what: What, rate: u32, seed: u64) {
        /// Dice that draw from the kind's own stream.
        fn dice<T>(rate: u32, seed: u64, stream: u64, parameter: T) -> Option<Dice<T>> {
            Some(Dice { rate, random: Random::new(seed, STREAM_FIRST + stream), parameter })
        }
        match what {
            What::Silence { quiet_us, whole_feed } => {
                self.silence = dice(rate, seed, 0, Silence { quiet_us, whole_feed });
            }
            What::Gap { run } => self.gap = dice(rate, seed, 1, run),
            What::Reorder { distance } => self.reorder = dice(rate, seed, 2, distance),
            What::Duplicate { copies } => self.duplicate = dice(rate, seed, 3, copies),
            What::Malformed { only } => self.malformed = dice(rate, seed, 4, only),
            What::Correction { delay_us } => self.correction = dice(rate, seed, 5, delay_us),
            What::Burst { hold_us } => self.burst = dice(rate, seed, 6, hold_us),
            What::ClockSkew { offset_us_max } => self.clock_skew = dice(rate, seed, 7, offset_us_max),
            What::ClockDrift { ppm } => self.timing.set_drift(ppm),
        }
    }

    /// Reads one item of the feed, and puts what becomes of it into `ready`.
    fn read(&mut self) {
        match self.feed.next() {
            Some(Ok(timed)) => self.take(timed),
            Some(Err(bad)) => self.ready.push_back(Err(bad)),
            None => self.finish(),
        }
    }

    fn take(&mut self, Timed { due_us, publication }: Timed) {
        while let Some((correction_us, correction)) = self.corrections.pop(due_us) {
            self.now_us = correction_us;
            self.push(correction);
        }
        self.now_us = due_us;
        self.counts.from_feed += 1;
        let concerned = self.topics.as_ref().is_none_or(|topics| topics.matches(&publication.topic));
        if concerned {
            self.disturb_time();
        }
        if self.is_silent(concerned, &publication.topic) {
            self.counts.silenced += 1;
        } else if concerned && self.is_lost() {
            self.counts.left_out += 1;
        } else if !concerned {
            self.push(publication);
        } else if let Some(distance) = falls(&mut self.reorder) {
            self.counts.reordered += 1;
            self.held_back.push_back((self.counts.from_feed + u64::from(distance), publication));
        } else {
            self.come_out(publication);
        }
        while self.held_back.front().is_some_and(|(behind, _)| *behind <= self.counts.from_feed)
            && let Some((_, publication)) = self.held_back.pop_front()
        {
            self.come_out(publication);
        }
    }

    fn disturb_time(&mut self) {
        if let Some(hold_us) = falls(&mut self.burst)
            && !self.timing.is_held_up(self.now_us)
        {
            self.counts.bursts += 1;
            self.timing.hold_up(self.now_us + hold_us);
        }
        if let Some(offset_us_max) = falls(&mut self.clock_skew) {
            self.counts.clock_steps += 1;
            let offset_us = self.details.below(2 * offset_us_max + 1);
            self.timing.set_clock(i64::from(offset_us) - i64::from(offset_us_max));
        }
    }

    /// Whether the update is lost in a silence. One may begin with it.
    fn is_silent(&mut self, concerned: bool, topic: &str) -> bool {
        let now_us = self.now_us;
        if now_us < self.silent_until_us {
            return true;
        }
        if !concerned {
            return false;
        }
        match self.silent_topics.get(topic) {
            Some(until_us) if now_us < *until_us => return true,
            Some(_) => _ = self.silent_topics.remove(topic),
            None => {}
        }
        let Some(Silence { quiet_us, whole_feed }) = falls(&mut self.silence) else { return false };
        if whole_feed {
            self.silent_until_us = now_us + quiet_us;
        } else if self.silent_topics.len() < SILENT_TOPICS_MAX {
            self.silent_topics.insert(topic.to_owned(), now_us + quiet_us);
        } else {
            // Removes the entries of topics that had no update after their silence, which nothing else does.
            self.silent_topics.retain(|_, until_us| now_us < *until_us);
            return false;
        }
        self.counts.silences += 1;
        true
    }

    fn is_lost(&mut self) -> bool {
        if self.lost_next > 0 {
            self.lost_next -= 1;
            return true;
        }
        let Some(run) = falls(&mut self.gap) else { return false };
        self.lost_next = run - 1;
        true
    }

    /// Puts out the update itself, and what is added to it.
    fn come_out(&mut self, publication: Publication) {
        let copies = falls(&mut self.duplicate).unwrap_or(0);
        for _ in 0..copies {
            self.push(publication.clone());
        }
        self.counts.duplicates += u64::from(copies);
        let malformed = falls(&mut self.malformed).map(|only| {
            let all = Malformation::ALL;
            only.unwrap_or_else(|| all[(self.counts.malformed % all.len() as u64) as usize]).of(&publication)
        });
        let correction = falls(&mut self.correction).and_then(|delay_us| {
            let room = self.corrections.len() < CORRECTIONS_WAITING_MAX;
            room.then(|| correction_of(&publication))?.map(|correction| (self.now_us + delay_us, correction))
        });
        self.push(publication);
        if let Some(malformed) = malformed {
            self.counts.malformed += 1;
            self.push(malformed);
        }
        if let Some((due_us, correction)) = correction {
            self.counts.corrections += 1;
            self.corrections.push(due_us, correction);
        }
    }

    fn push(&mut self, mut publication: Publication) {
        self.counts.held += u64::from(self.timing.is_held_up(self.now_us));
        publication.source_offset_us = self.timing.offset_us(self.now_us);
        self.ready.push_back(Ok(Timed { due_us: self.timing.due_us(self.now_us), publication }));
    }

    /// Puts out everything that still waits, because the feed is at its end.
    fn finish(&mut self) {
        self.over = true;
        while let Some((_, publication)) = self.held_back.pop_front() {
            self.come_out(publication);
        }
        while let Some((correction_us, correction)) = self.corrections.pop(u64::MAX) {
            self.now_us = correction_us;
            self.push(correction);
        }
    }
}

impl<F: Feed> Iterator for Faulty<F> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.clean {
            return self.feed.next();
        }
        while self.ready.is_empty() && !self.over {
            self.read();
        }
        self.ready.pop_front()
    }
}

impl<F: Feed> Feed for Faulty<F> {
    fn counts(&self) -> Counts {
        self.feed.counts()
    }

    fn faults(&self) -> Option<FaultCounts> {
        let ready = self.ready.iter().filter(|item| item.is_ok()).count();
        let waiting = (ready + self.held_back.len() + self.corrections.len()) as u64;
        (!self.clean).then_some(FaultCounts { waiting, ..self.counts })
    }

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<()> {
        if self.clean {
            return self.feed.poll_ready(context);
        }
        // The update that it reads may be lost in a gap, and then nothing is ready yet.
        while self.ready.is_empty() && !self.over {
            ready!(self.feed.poll_ready(context));
            self.read();
        }
        Poll::Ready(())
    }
}
