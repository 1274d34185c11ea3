//! One run of an attack, the best of several, and the control.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Size, Stage};
use crate::bars;
use crate::broker::Broker;
use crate::patience::{Patience, pass};
use crate::watch::{Figures, Watch, settled};

/// The shard that is attacked if an attack can choose one.
const TARGET: usize = 1;
/// The longest time for memory to settle before the attack.
const SETTLING: Duration = Duration::from_secs(3);
/// How long the watch goes on after the attackers have left: leaving is a part of the attack.
const AFTERWARDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(100));
/// The time within which memory has to be returned.
const GIVING_BACK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// The longest time for the broker to end before it is killed.
const STOPPING: Duration = Duration::from_secs(11);
/// The duration of the control run in seconds.
const CONTROL_SECONDS: f64 = 4.0;
/// The share of a core from which the shards count as busy.
const BUSY: f64 = 0.25;
/// The longest time for connecting the bystanders.
const CONNECTING: Duration = Duration::from_secs(30);

/// The result of one run.
pub(crate) struct Run {
    pub(crate) figures: Figures,
    pub(crate) start_kib: u64,
    pub(crate) after_kib: u64,
    /// The shards' rounds, if the broker answered.
    pub(crate) rounds: Option<Rounds>,
    /// How long the broker took to stop; `None` if it did not stop in time.
    pub(crate) stopped: Option<Duration>,
    /// The broken promises.
    pub(crate) complaints: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// The durations of the shards' rounds.
pub(crate) struct Rounds {
    /// An upper bound of the longest one, by the broker's own clock.
    pub(crate) longest_ms: f64,
    /// CPU time of the shards per round, by the kernel's accounting: waiting for a core does not count. `None` if the
    /// shards were mostly asleep, because what they do when they wake up and fall asleep is in no round.
    pub(crate) cpu_ms: Option<f64>,
}

/// The best run, what it missed, and the control.
pub(crate) struct Verdict {
    pub(crate) run: Run,
    pub(crate) control: Option<Run>,
    pub(crate) misses: Vec<String>,
}

/// Runs an attack up to `runs` times, until a run misses nothing. Otherwise the run that misses least counts.
pub(crate) fn best_of(attack: &Attack, size: Size, runs: usize) -> io::Result<Verdict> {
    let control = match size {
        Size::Full => Some(run(attack, size, false)?),
        // The short bars do not depend on it.
        Size::Short => None,
    };
    let mut best: Option<Verdict> = None;
    for _ in 0..runs {
        let run = run(attack, size, true)?;
        let misses = bars::misses(attack, size, &run, control.as_ref());
        let is_better = best.as_ref().is_none_or(|best| {
            let key = |misses: &[String], run: &Run| (misses.len(), run.figures.same.max());
            let (one, other) = (key(&misses, &run), key(&best.misses, &best.run));
            one.0.cmp(&other.0).then(one.1.total_cmp(&other.1)).is_lt()
        });
        let passed = misses.is_empty();
        if is_better {
            best = Some(Verdict { run, control: None, misses });
        }
        if passed {
            break;
        }
    }
    let best = best.ok_or_else(|| io::Error::other("no run was requested"))?;
    Ok(Verdict { control, ..best })
}

fn run(attack: &Attack, size: Size, attacked: bool) -> io::Result<Run> {
    let mut broker = Broker::start(attack.settings(size), attack.files, attack.open_files)?;
    let mut stage = Stage::new(&broker, size, TARGET);
    (attack.prepare)(&stage)?;
    let start_kib = settled(&broker, u64::MAX, SETTLING);
    let watch = Watch::start(&broker, TARGET, &Patience::of(CONNECTING))?;
    let (before, cpu, begin) = (broker.metrics(&stage.patience())?, broker.shards_cpu(), Instant::now());
    if attacked {
        stage.begin(size.pick(attack.seconds.0, attack.seconds.1));
        if let Err(error) = (attack.run)(&mut stage) {
            stage.complain(format!("the attack could not go on: {error}"));
        }
    } else {
        pass(Duration::from_secs_f64(CONTROL_SECONDS));
    }
    let (cpu, elapsed) = ((broker.shards_cpu() - cpu).as_secs_f64(), begin.elapsed().as_secs_f64());
    let rounds = broker.metrics(&Patience::of(STOPPING)).ok().map(|after| Rounds {
        longest_ms: after.longest_round(&before) * 1e3,
        cpu_ms: (cpu > BUSY * elapsed).then(|| cpu * 1e3 / after.rounds(&before).max(1.0)),
    });
    let (mut complaints, mut notes) = stage.end();
    pass(size.pick(AFTERWARDS.0, AFTERWARDS.1));
    let figures = watch.stop(&broker);
    let keeps_kib = start_kib + 1024 * size.pick(attack.keeps_mib.0, attack.keeps_mib.1);
    let after_kib = settled(&broker, keeps_kib, size.pick(GIVING_BACK.0, GIVING_BACK.1));
    if after_kib > keeps_kib
        && let Ok(metrics) = broker.metrics(&Patience::of(STOPPING))
    {
        notes.push(format!("memory that the broker counts afterwards: {}", metrics.bytes_held()));
    }
    if broker.has_ended() {
        complaints.push("the broker has ended".to_owned());
    }
    let stopped = broker.stop(STOPPING);
    Ok(Run { figures, start_kib, after_kib, rounds, stopped, complaints, notes })
}
