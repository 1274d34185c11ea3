//! One server: its load and its incidents.

use std::collections::VecDeque;

use crate::ensemble::Actor;
use feed_player::publication::{Kind, Publication};
use feed_player::random::Random;

/// The interval between health checks of a server.
pub(super) const INTERVAL_US: u64 = 2_000_000;
const INTERVAL_S: u32 = 2;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 3 << 40;

const ROLES: [&str; 5] = ["web", "api", "db", "cache", "queue"];
const REGIONS: [&str; 3] = ["eu-west", "us-east", "ap-south"];
const CAUSES: [&str; 5] =
    ["cpu saturated", "disk almost full", "out of memory", "network unreachable", "process crashed"];

/// How many of 1,024 health checks of a healthy server find something broken: one every half hour or so.
const BREAKS_OF_1024: u32 = 1;
/// How many of 1,024 incidents begin with the server down.
const DOWN_OF_1024: u32 = 300;
/// How many of 1,024 incidents turn out to be false alarms.
const FALSE_ALARM_OF_1024: u32 = 100;
/// The health check at which the first server has an incident.
const STAGED_AT: u32 = 5;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Up,
    Degraded,
    Down,
}

impl State {
    fn name(self) -> &'static str {
        match self {
            State::Up => "up",
            State::Degraded => "degraded",
            State::Down => "down",
        }
    }
}

/// An incident that is not over.
struct Incident {
    opened_id: u64,
    cause: &'static str,
    /// Health checks until it is over.
    left: u32,
    /// At how many left it is acknowledged.
    acknowledged_at: u32,
    /// At how many left it gets worse, if it does.
    escalates_at: Option<u32>,
    false_alarm: bool,
}

pub(super) struct Server {
    name: String,
    region: &'static str,
    random: Random,
    staged: bool,
    state: State,
    incident: Option<Incident>,
    incidents: u64,
    last_id: u64,
    checks: u32,
    /// In thousandths of its capacity.
    load: u32,
    memory: u32,
    uptime_s: u32,
}

impl Server {
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let roles = ROLES.len() as u32;
        Server {
            name: format!("{}-{}", ROLES[(number % roles) as usize], number / roles + 1),
            region: REGIONS[(number / roles) as usize % REGIONS.len()],
            staged: number == 0,
            state: State::Up,
            incident: None,
            incidents: 0,
            last_id: 0,
            checks: 0,
            load: 200 + random.below(400),
            memory: 300 + random.below(400),
            uptime_s: 3_600 + random.below(30 * 86_400),
            random,
        }
    }

    fn work(&mut self) {
        let towards = if self.state == State::Degraded { 930 } else { 380 };
        self.load = wander(self.load, towards, 60, &mut self.random);
        self.memory = wander(self.memory, 550, 12, &mut self.random);
        self.uptime_s = if self.state == State::Down { 0 } else { self.uptime_s + INTERVAL_S };
    }

    fn open(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        let left = 6 + self.random.below(40);
        let down = self.random.chance(DOWN_OF_1024);
        let false_alarm = self.random.chance(FALSE_ALARM_OF_1024);
        self.incidents += 1;
        self.state = if down { State::Down } else { State::Degraded };
        self.incident = Some(Incident {
            opened_id: self.last_id + 1,
            cause: CAUSES[self.random.below(CAUSES.len() as u32) as usize],
            left,
            acknowledged_at: left - 1 - self.random.below(4),
            escalates_at: (!down && !false_alarm && self.random.chance(256)).then_some(left / 2),
            false_alarm,
        });
        self.emit("opened", "", now_us, out);
    }

    fn go_on(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        let Some(incident) = &mut self.incident else { return };
        incident.left -= 1;
        let Incident { opened_id, left, acknowledged_at, escalates_at, false_alarm, .. } = *incident;
        if left == acknowledged_at {
            self.emit("acknowledged", "", now_us, out);
        }
        if Some(left) == escalates_at {
            self.state = State::Down;
            self.emit("escalated", "", now_us, out);
        }
        if left == 0 {
            self.state = State::Up;
            match false_alarm {
                true => self.emit("withdrawn", &format!(",\"corrects\":{opened_id}"), now_us, out),
                false => self.emit("resolved", "", now_us, out),
            }
            self.incident = None;
        }
    }

    fn emit(&mut self, what: &str, rest: &str, now_us: u64, out: &mut VecDeque<Publication>) {
        self.last_id += 1;
        let cause = self.incident.as_ref().map_or("", |incident| incident.cause);
        let data = format!(
            r#"{{"id":{},"incident":{},"server":"{}","type":"{what}","state":"{}","cause":"{cause}","at_ms":{}{rest}}}"#,
            self.last_id,
            self.incidents,
            self.name,
            self.state.name(),
            now_us / 1_000
        );
        out.push_back(Publication::new(&format!("status.{}.incident", self.name), Kind::Event, data));
    }

    fn health(&self, now_us: u64) -> Publication {
        let incident = if self.incident.is_some() { self.incidents.to_string() } else { "null".to_owned() };
        let figures = if self.state == State::Down {
            r#""cpu_pct":null,"memory_pct":null,"requests_per_s":null,"latency_ms":null"#.to_owned()
        } else {
            // As in any queue, waiting time grows without bound as the load nears 100 %: here as in an M/M/1 queue,
            // from 4 ms.
            let latency_ms = 4_000 / (1_000 - self.load.min(990));
            let (cpu, memory, requests) = (self.load / 10, self.memory / 10, self.load * 12 / 10);
            format!(r#""cpu_pct":{cpu},"memory_pct":{memory},"requests_per_s":{requests},"latency_ms":{latency_ms}"#)
        };
        let data = format!(
            r#"{{"server":"{}","region":"{}","state":"{}","incident":{incident},{figures},"uptime_s":{},"at_ms":{}}}"#,
            self.name,
            self.region,
            self.state.name(),
            self.uptime_s,
            now_us / 1_000
        );
        Publication::new(&format!("status.{}.health", self.name), Kind::State, data)
    }
}

impl Actor for Server {
    fn act(&mut self, now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        self.checks += 1;
        match self.incident {
            Some(_) => self.go_on(now_us, out),
            None if self.random.chance(BREAKS_OF_1024) || (self.staged && self.checks == STAGED_AT) => {
                self.open(now_us, out);
            }
            None => {}
        }
        self.work();
        out.push_back(self.health(now_us));
        INTERVAL_US
    }
}

/// Takes a random step of at most `step`, more likely towards `towards` than away from it, within 0 to 1,000.
fn wander(from: u32, towards: u32, step: u32, random: &mut Random) -> u32 {
    let pull = (i64::from(towards) - i64::from(from)) / 12;
    let chance = i64::from(random.below(2 * step + 1)) - i64::from(step);
    (i64::from(from) + (pull + chance).clamp(-i64::from(step), i64::from(step))).clamp(0, 1_000) as u32
}
