//! The limits of a scenario. An error names the key, its value, and the allowed values.

use anyhow::ensure;

use super::{Follow, Popularity, Scenario};
use crate::payload::{BYTES_MAX, BYTES_MIN};

/// A run of a week.
const SECONDS_MAX: f64 = 7.0 * 86_400.0;
const SUBSCRIBERS_MAX: u32 = 1_000_000;
const TOPICS_MAX: usize = 1_000_000;

impl Scenario {
    /// Checks all values against each other.
    pub(crate) fn check(&self) -> anyhow::Result<()> {
        seconds("seconds", self.seconds, 0.1)?;
        seconds("warm_up_seconds", self.warm_up_seconds, 0.0)?;
        seconds("drain_seconds", self.drain_seconds, 0.0)?;
        self.check_subscribers()?;
        if self.publishes() {
            self.check_publish()?;
        }
        self.check_disturbances()
    }

    fn check_subscribers(&self) -> anyhow::Result<()> {
        let subscribers = &self.subscribers;
        between("subscribers.count", subscribers.count, 1, SUBSCRIBERS_MAX)?;
        between("subscribers.topics", subscribers.topics, 1, TOPICS_MAX)?;
        between("subscribers.each", subscribers.each, 1, subscribers.topics)?;
        between("subscribers.handshakes", subscribers.handshakes, 1, 10_000)?;
        between("subscribers.zipf_exponent", subscribers.zipf_exponent, 0.0, 10.0)?;
        let zipf = subscribers.popularity == Popularity::Zipf;
        ensure!(
            !(zipf && subscribers.follow == Follow::Pattern),
            "subscribers.popularity: with follow = \"pattern\" all topics of a group are followed equally; use \"even\", or \
             follow = \"name\""
        );
        if let Some(on_slow) = &subscribers.on_slow {
            let known = ["conflate", "retain", "disconnect"];
            ensure!(known.contains(&on_slow.as_str()), "subscribers.on_slow is {on_slow:?}: one of {known:?}");
        }
        if let Some(from) = &subscribers.from {
            let known = from == "image" || from == "live" || from.starts_with("{\"last\":") && from.ends_with('}');
            ensure!(known, "subscribers.from is {from:?}: \"image\", \"live\" or '{{\"last\":N}}'");
        }
        Ok(())
    }

    fn check_publish(&self) -> anyhow::Result<()> {
        let publish = &self.publish;
        match (publish.rate, publish.in_flight) {
            (Some(rate), None) => between("publish.rate", rate, 0.01, 10_000_000.0)?,
            (None, Some(in_flight)) => between("publish.in_flight", in_flight, 1, 1_000_000)?,
            (Some(_), Some(_)) => anyhow::bail!(
                "publish.rate and publish.in_flight: give one of the two, for a fixed rate or for as fast as possible"
            ),
            (None, None) => {}
        }
        between("publish.burst", publish.burst, 1, 1_000_000)?;
        between("publish.batch", publish.batch, 1, 1000)?;
        between("publish.bytes", publish.bytes, BYTES_MIN, BYTES_MAX)?;
        let topics = u32::try_from(self.subscribers.topics).unwrap_or(u32::MAX);
        between("publish.publishers", publish.publishers, 1, topics.min(1000))?;
        let kinds = ["event", "state", "patch"];
        ensure!(kinds.contains(&publish.kind.as_str()), "publish.kind is {:?}: one of {kinds:?}", publish.kind);
        ensure!(
            publish.ramp.is_empty() || publish.in_flight.is_none(),
            "publish.ramp changes publish.rate: not together with publish.in_flight"
        );
        let rising = publish.ramp.windows(2).all(|pair| pair[0].0 < pair[1].0);
        ensure!(rising, "publish.ramp: the seconds of its pairs must rise");
        for (at, factor) in &publish.ramp {
            between("publish.ramp's seconds", *at, 0.0, SECONDS_MAX)?;
            between("publish.ramp's factor", *factor, 0.001, 1000.0)?;
        }
        Ok(())
    }

    fn check_disturbances(&self) -> anyhow::Result<()> {
        ensure!(
            self.publish.in_flight.is_none() || (self.churn.is_none() && self.storm.is_none()),
            "publish.in_flight waits for every subscriber: with churn or storm use publish.rate"
        );
        let all = self.warm_up_seconds + self.seconds;
        if let Some(slow) = &self.slow {
            between("slow.share", slow.share, 0.0, 1.0)?;
            if let Some(until) = slow.until_seconds {
                between("slow.until_seconds", until, 0.0, all)?;
            }
        }
        if let Some(churn) = &self.churn {
            between("churn.per_second", churn.per_second, 0.01, 100_000.0)?;
        }
        if let Some(storm) = &self.storm {
            between("storm.share", storm.share, 0.0, 1.0)?;
            between("storm.at_seconds", storm.at_seconds, 0.0, all)?;
            between("storm.over_seconds", storm.over_seconds, 0.0, all)?;
            between("storm.handshakes", storm.handshakes.unwrap_or(1), 1, 10_000)?;
            ensure!(
                !(storm.resume && self.subscribers.follow == Follow::Pattern),
                "storm.resume: a pattern cannot resume; use subscribers.follow = \"name\""
            );
        }
        Ok(())
    }
}

fn seconds(key: &str, value: f64, least: f64) -> anyhow::Result<()> {
    between(key, value, least, SECONDS_MAX)
}

fn between<T: PartialOrd + std::fmt::Display>(key: &str, value: T, least: T, most: T) -> anyhow::Result<()> {
    ensure!(value >= least && value <= most, "{key} is {value}: {least} to {most}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenario::SHIPPED;

    #[test]
    fn the_shipped_scenarios_are_valid_and_described() {
        for (name, text) in SHIPPED {
            let scenario = Scenario::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert!(!scenario.about.is_empty(), "{name} has no description");
        }
    }

    #[test]
    fn an_error_names_the_key_and_the_allowed_values() {
        let cases = [
            ("seconds = 0", "seconds is 0: 0.1 to"),
            ("seconds = \"long\"", "seconds"),
            ("colour = 1", "colour"),
            ("[subscribers]\ncount = 0", "subscribers.count is 0: 1 to"),
            ("[subscribers]\ntopics = 5\neach = 6", "subscribers.each is 6: 1 to 5"),
            ("[subscribers]\npopularity = \"random\"", "popularity"),
            ("[subscribers]\non_slow = \"cry\"", "subscribers.on_slow is \"cry\""),
            ("[publish]\nrate = -1", "publish.rate is -1"),
            ("[publish]\nbytes = 10", "publish.bytes is 10: 100 to"),
            ("[publish]\nrate = 1.0\nin_flight = 5", "one of the two"),
            ("[publish]\nramp = [[1.0, 1.0], [1.0, 2.0]]", "publish.ramp"),
            ("[publish]\npublishers = 2", "publish.publishers is 2: 1 to 1"),
            ("[storm]\nat_seconds = 99\nshare = 0.5", "storm.at_seconds is 99: 0 to 11"),
            ("[storm]\nat_seconds = 1\nshare = 0.5\nhandshakes = 0", "storm.handshakes is 0: 1 to"),
            ("[slow]\nshare = 2.0\nbytes_per_second = 0", "slow.share is 2"),
        ];
        for (text, part) in cases {
            let error = format!("{:#}", Scenario::parse(text).expect_err(text));
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn numbers_that_are_not_finite_are_refused() {
        assert!(Scenario::parse("seconds = nan").is_err());
        assert!(Scenario::parse("[publish]\nrate = inf").is_err());
    }
}
