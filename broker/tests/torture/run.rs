//! One run of an attack, the best of several, and the control.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Size, Stage};
use crate::bars;
use crate::broker::Broker;
use crate::patience::{Patience, pass};
use crate::watch::{Figures, Watch, settled};

/// The shard that is attacked where an attack can choose one.
const TARGET: usize = 1;
/// How long memory may take to settle before the attack.
const SETTLING: Duration = Duration::from_secs(3);
/// How long the watch goes on after the attackers have left: leaving is a part of the attack.
const AFTERWARDS: (Duration, Duration) = (Duration::from_millis(500), Duration::from_millis(100));
/// Within what time memory has to be back.
const GIVING_BACK: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(5));
/// How long the broker may take to end before it is killed.
const STOPPING: Duration = Duration::from_secs(11);
/// How long the control run takes, in seconds.
const CONTROL_SECONDS: f64 = 4.0;
/// The share of a core from which on the shards count as busy.
const BUSY: f64 = 0.25;
/// How long connecting the bystanders may take.
const CONNECTING: Duration = Duration::from_secs(30);

/// What one run gave.
pub(crate) struct Run {
    pub(crate) figures: Figures,
    pub(crate) start_kib: u64,
    pub(crate) after_kib: u64,
    /// The shards' rounds, if the broker could be asked.
    pub(crate) rounds: Option<Rounds>,
    /// How long the broker took to stop.
    pub(crate) stopped: Option<Duration>,
    /// Promises that were broken.
    pub(crate) complaints: Vec<String>,
    pub(crate) notes: Vec<String>,
}

/// What the shards' rounds took.
pub(crate) struct Rounds {
    /// An upper bound of the longest one, by the broker's own clock.
    pub(crate) longest_ms: f64,
    /// CPU time of the shards for each round, by the kernel's accounting: what waits for a core does not count. Nothing where
    /// the shards were mostly asleep, as what they do on waking up and falling asleep is in no round.
    pub(crate) cpu_ms: Option<f64>,
}

/// The best run, what it missed, and the control.
pub(crate) struct Verdict {
    pub(crate) run: Run,
    pub(crate) control: Option<Run>,
    pub(crate) misses: Vec<String>,
}

/// Runs an attack up to so many times, until a run misses nothing. Otherwise the one that misses least counts.
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
    let best = best.ok_or_else(|| io::Error::other("no run was asked for"))?;
    Ok(Verdict { control, ..best })
}

fn run(attack: &Attack, size: Size, attacked: bool) -> io::Result<Run> {
    let mut broker = Broker::start(attack.settings(size), attack.open_files)?;
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
