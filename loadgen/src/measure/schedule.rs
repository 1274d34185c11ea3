//! When updates are due: fixed before anything runs, so that a stall delays only the deliveries (open loop). Otherwise
//! a server that stops would get no updates meanwhile, which Gil Tene calls coordinated omission.

/// Due times at a rate that may change over time.
#[derive(Debug, Clone)]
pub(crate) struct Schedule {
    per_second: f64,
    burst: u64,
    /// The points of the ramp: seconds, the factor at that time, and the integral of the factor up to then.
    ramp: Vec<(f64, f64, f64)>,
    count: u64,
}

impl Schedule {
    /// Makes a schedule in which `burst` updates are due at the same moment.
    pub(crate) fn new(per_second: f64, burst: u64, ramp: &[(f64, f64)]) -> Self {
        let mut points: Vec<(f64, f64, f64)> = Vec::with_capacity(ramp.len() + 1);
        for &(at, factor) in ramp {
            let integral = match points.last() {
                // Before the first point its factor applies.
                None => at * factor,
                Some(&(before, from, sum)) => sum + (at - before) * (from + factor) / 2.0,
            };
            points.push((at, factor, integral));
        }
        Self { per_second, burst, ramp: points, count: 0 }
    }

    /// When the next update is due, in ns after publishing began.
    pub(crate) fn due_ns(&self) -> u64 {
        let first_of_burst = self.count / self.burst * self.burst;
        (self.seconds_of(first_of_burst as f64 / self.per_second) * 1e9) as u64
    }

    /// Takes the next update.
    pub(crate) fn take(&mut self) {
        self.count += 1;
    }

    /// When the integral of the factor reaches `units`: at a factor of 1, after that many seconds.
    fn seconds_of(&self, units: f64) -> f64 {
        let (Some(&(_, factor, sum)), Some(&(last, last_factor, all))) = (self.ramp.first(), self.ramp.last()) else {
            return units;
        };
        if units <= sum {
            return units / factor;
        }
        if units >= all {
            return last + (units - all) / last_factor;
        }
        let right = self.ramp.partition_point(|&(.., integral)| integral < units);
        let ((at, from, done), (until, to, _)) = (self.ramp[right - 1], self.ramp[right]);
        // The factor changes from `from` to `to`: units - done = from x + slope x^2 / 2.
        let (slope, rest) = ((to - from) / (until - at), units - done);
        if slope.abs() < 1e-9 {
            return at + rest / from;
        }
        at + ((from * from + 2.0 * slope * rest).sqrt() - from) / slope
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(mut schedule: Schedule, seconds: f64) -> Vec<f64> {
        let mut moments = Vec::new();
        while schedule.due_ns() as f64 / 1e9 < seconds {
            moments.push(schedule.due_ns() as f64 / 1e9);
            schedule.take();
        }
        moments
    }

    #[test]
    fn at_a_fixed_rate_due_times_are_evenly_spaced() {
        let moments = moments(Schedule::new(1000.0, 1, &[]), 5.0);
        assert_eq!(moments.len(), 5000);
        assert!(moments.iter().enumerate().all(|(n, at)| (at - n as f64 / 1000.0).abs() < 1e-8));
    }

    #[test]
    fn a_burst_is_due_at_once_and_the_rate_stays() {
        let moments = moments(Schedule::new(1000.0, 100, &[]), 1.0);
        assert_eq!(moments.len(), 1000);
        assert!(moments[..100].iter().all(|at| *at == 0.0));
        assert!(moments[100..200].iter().all(|at| (at - 0.1).abs() < 1e-8));
    }

    #[test]
    fn a_ramp_changes_the_rate_as_stated() {
        let ramp = [(1.0, 1.0), (2.0, 10.0), (3.0, 10.0), (4.0, 0.5)];
        let moments = moments(Schedule::new(1000.0, 1, &ramp), 6.0);
        let between = |from: f64, until: f64| moments.iter().filter(|at| (from..until).contains(*at)).count() as f64;
        for (from, until, expected) in [
            (0.0, 1.0, 1000.0),
            (1.0, 2.0, 5500.0),
            (2.0, 3.0, 10_000.0),
            (3.0, 4.0, 5250.0),
            (4.0, 5.0, 500.0),
            (5.0, 6.0, 500.0),
        ] {
            let got = between(from, until);
            assert!((got - expected).abs() <= 2.0, "{from} to {until}: {got} rather than {expected}");
        }
        assert!(moments.is_sorted());
    }

    #[test]
    fn a_ramp_may_begin_at_once() {
        let moments = moments(Schedule::new(100.0, 1, &[(0.0, 2.0), (1.0, 2.0)]), 2.0);
        assert!((398..=402).contains(&moments.len()), "{}", moments.len());
    }
}
