//! Which topics each subscriber follows, and how often each is published: fixed by the scenario and its seed before
//! anything runs.

use std::sync::Arc;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::scenario::{Follow, Popularity, Scenario};

/// The topics of a run and their subscribers.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Every topic that is published, by its number.
    pub(crate) topics: Vec<Arc<str>>,
    /// The topics and patterns to subscribe to, if another publisher makes the feed.
    listen: Vec<Arc<str>>,
    each: usize,
    follow: Follow,
    /// With Zipf's law: the cumulated shares of the topics.
    shares: Option<Vec<f64>>,
    prefix: String,
    seed: u64,
}

impl Plan {
    /// Makes a plan. `run` makes the topics' names unique, so that they contain nothing of an earlier run.
    pub(crate) fn new(scenario: &Scenario, run: &str) -> Self {
        let each = scenario.subscribers.each.min(scenario.subscribers.topics).max(1);
        let prefix = format!("load-{run}");
        let topics = match scenario.listen.is_empty() {
            true => (0..scenario.subscribers.topics).map(|number| name(&prefix, number, each).into()).collect(),
            false => Vec::new(),
        };
        let shares = match scenario.subscribers.popularity {
            Popularity::Even => None,
            Popularity::Zipf => Some(zipf(scenario.subscribers.topics, scenario.subscribers.zipf_exponent)),
        };
        let listen = scenario.listen.iter().map(|entry| entry.as_str().into()).collect();
        Self { topics, listen, each, follow: scenario.subscribers.follow, shares, prefix, seed: scenario.seed }
    }

    /// The topics that a subscriber gets, by number, in order; empty if another publisher makes the feed.
    pub(crate) fn topics_of(&self, subscriber: u32) -> Vec<u32> {
        if self.topics.is_empty() {
            return Vec::new();
        }
        let count = self.topics.len();
        let mut chosen: Vec<u32> = match (&self.follow, &self.shares) {
            (Follow::Pattern, _) => {
                let first = self.group_of(subscriber) * self.each;
                (first..(first + self.each).min(count)).map(|number| number as u32).collect()
            }
            (Follow::Name, None) => {
                (0..self.each).map(|at| ((subscriber as usize * self.each + at) % count) as u32).collect()
            }
            (Follow::Name, Some(shares)) => {
                let mut random = StdRng::seed_from_u64(self.seed ^ (u64::from(subscriber) << 20));
                let mut chosen = Vec::with_capacity(self.each);
                while chosen.len() < self.each {
                    let topic = pick(shares, random.random());
                    if !chosen.contains(&topic) {
                        chosen.push(topic);
                    }
                }
                chosen
            }
        };
        chosen.sort_unstable();
        chosen
    }

    /// The entries that a subscriber subscribes to: names, a pattern, or those of the scenario's `listen`.
    pub(crate) fn entries_of(&self, subscriber: u32) -> Vec<Arc<str>> {
        if self.topics.is_empty() {
            return self.listen.clone();
        }
        match self.follow {
            Follow::Pattern => vec![format!("{}.{}.*", self.prefix, self.group_of(subscriber)).into()],
            Follow::Name => {
                self.topics_of(subscriber).into_iter().map(|topic| self.topics[topic as usize].clone()).collect()
            }
        }
    }

    /// Whether subscribers follow patterns.
    pub(crate) fn by_pattern(&self) -> bool {
        self.follow == Follow::Pattern
    }

    fn group_of(&self, subscriber: u32) -> usize {
        subscriber as usize % self.topics.len().div_ceil(self.each)
    }

    /// The topic of the `n`th update: in turn, or drawn by Zipf's law.
    pub(crate) fn published(&self, n: u64, random: &mut StdRng) -> u32 {
        match &self.shares {
            None => (n % self.topics.len() as u64) as u32,
            Some(shares) => pick(shares, random.random()),
        }
    }
}

/// The name of the topic with this number; a pattern names its group.
fn name(prefix: &str, number: usize, each: usize) -> String {
    format!("{prefix}.{}.{number}", number / each)
}

/// The cumulated shares by Zipf's law: that of the topic of rank k is proportional to 1 / k^exponent (G. K. Zipf,
/// 1949).
fn zipf(topics: usize, exponent: f64) -> Vec<f64> {
    let weights: Vec<f64> = (1..=topics).map(|rank| (rank as f64).powf(-exponent)).collect();
    let all: f64 = weights.iter().sum();
    let mut sum = 0.0;
    let mut shares: Vec<f64> = weights
        .iter()
        .map(|weight| {
            sum += weight / all;
            sum
        })
        .collect();
    if let Some(last) = shares.last_mut() {
        *last = 1.0;
    }
    shares
}

fn pick(shares: &[f64], random: f64) -> u32 {
    shares.partition_point(|share| *share <= random).min(shares.len() - 1) as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(change: impl FnOnce(&mut Scenario)) -> Plan {
        let mut scenario = Scenario::default();
        change(&mut scenario);
        Plan::new(&scenario, "x")
    }

    #[test]
    fn each_subscriber_follows_its_number_and_each_topic_is_followed_equally() {
        let plan = plan(|scenario| (scenario.subscribers.topics, scenario.subscribers.each) = (100, 10));
        let mut followers = vec![0; 100];
        for subscriber in 0..1000 {
            let topics = plan.topics_of(subscriber);
            assert_eq!((topics.len(), plan.entries_of(subscriber).len()), (10, 10));
            topics.iter().for_each(|topic| followers[*topic as usize] += 1);
        }
        assert!(followers.iter().all(|followers| *followers == 100));
    }

    #[test]
    fn by_zipfs_law_the_first_is_followed_most_and_published_most() {
        let plan = plan(|scenario| {
            (scenario.subscribers.topics, scenario.subscribers.each) = (1000, 3);
            scenario.subscribers.popularity = Popularity::Zipf;
        });
        let mut random = StdRng::seed_from_u64(1);
        let mut published = vec![0; 1000];
        (0..100_000).for_each(|n| published[plan.published(n, &mut random) as usize] += 1);
        // 1 / H(1000) = 13.4 %.
        assert!((12_900..13_900).contains(&published[0]), "{}", published[0]);
        assert!((6_300..7_100).contains(&published[1]), "{}", published[1]);
        for subscriber in 0..100 {
            let topics = plan.topics_of(subscriber);
            assert!(topics.len() == 3 && topics.is_sorted_by(|a, b| a < b), "{topics:?}");
            assert_eq!(topics, plan.topics_of(subscriber));
        }
    }

    #[test]
    fn a_pattern_covers_the_topics_of_its_group() {
        let plan = plan(|scenario| {
            (scenario.subscribers.topics, scenario.subscribers.each) = (25, 10);
            scenario.subscribers.follow = Follow::Pattern;
        });
        assert_eq!(&*plan.entries_of(4)[0], "load-x.1.*");
        assert_eq!(plan.topics_of(4), (10..20).collect::<Vec<_>>());
        assert_eq!(&*plan.topics[10], "load-x.1.10");
        assert_eq!(plan.topics_of(2).len(), 5, "the last group is smaller");
    }
}
