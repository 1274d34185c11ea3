//! The kinds of faults, and their syntax: `KIND=RATE[:PARAMETER]`.

use std::str::FromStr;

use super::malformed::Malformation;

/// The description of a kind of fault.
pub struct KindOfFault {
    /// Its name.
    pub name: &'static str,
    /// Its syntax.
    pub syntax: &'static str,
    /// What it does.
    pub what: &'static str,
}

/// All kinds, in the order in which they act.
pub const KINDS: &[KindOfFault] = &[
    KindOfFault {
        name: "silence",
        syntax: "silence=RATE[:DURATION[:feed]]",
        what: "the topic, or with `feed` every topic, is silent for DURATION (5s): its updates in that time are lost",
    },
    KindOfFault { name: "gap", syntax: "gap=RATE[:RUN]", what: "an update is lost, or RUN (1) updates in a row" },
    KindOfFault {
        name: "reorder",
        syntax: "reorder=RATE[:DISTANCE]",
        what: "an update is overtaken by the DISTANCE (1) updates behind it",
    },
    KindOfFault {
        name: "duplicate",
        syntax: "duplicate=RATE[:COPIES]",
        what: "an update is sent again, COPIES (1) times, as an update of its own that a broker cannot recognise",
    },
    KindOfFault {
        name: "malformed",
        syntax: "malformed=RATE[:json|kind|large|topic]",
        what: "an update is followed by one made from it that a broker has to refuse: its JSON is truncated, its kind is not \
               the topic's, it has 70,000 bytes, or its topic is a reserved one ($…); without a parameter each in turn",
    },
    KindOfFault {
        name: "correction",
        syntax: "correction=RATE[:DELAY]",
        what: "an event that has an id is withdrawn DELAY (1s) later by the event {\"corrects\":ID,\"action\":\"cancel\"}",
    },
    KindOfFault {
        name: "burst",
        syntax: "burst=RATE[:DURATION]",
        what: "the whole feed is held up for DURATION (1s), then everything is sent at once; nothing is lost",
    },
    KindOfFault {
        name: "clock-skew",
        syntax: "clock-skew=RATE[:OFFSET]",
        what: "the source's clock is set wrong, by up to OFFSET (100ms) in either direction, until it is set again: \
               `source_ts` jumps, also backwards",
    },
    KindOfFault {
        name: "clock-drift",
        syntax: "clock-drift=PPM",
        what: "the source's clock runs fast (50ppm) or slow (-50ppm): `source_ts` drifts away from the real time",
    },
];

/// A rate, in parts per billion of the updates whose topic matches.
pub(super) type PartsPerBillion = u32;

/// One kind of fault with its rate and parameter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    pub(super) rate: PartsPerBillion,
    pub(super) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    Silence { quiet_us: u64, whole_feed: bool },
    Gap { run: u32 },
    Reorder { distance: u32 },
    Duplicate { copies: u32 },
    Malformed { only: Option<Malformation> },
    Correction { delay_us: u64 },
    Burst { hold_us: u64 },
    ClockSkew { offset_us_max: u32 },
    ClockDrift { ppm: i64 },
}

/// The highest rate: with more, the feed would be mostly faults, and a fault that leaves out everything would never
/// end.
const RATE_MAX: f64 = 0.5;
/// The longest run, distance or number of copies.
const COUNT_MAX: u32 = 1_000;
/// The longest silence, burst, delay or offset: ten minutes.
const DURATION_US_MAX: u64 = 600 * 1_000_000;
/// The fastest drift: a tenth.
const DRIFT_PPM_MAX: i64 = 100_000;

impl Fault {
    /// The name of its kind.
    pub fn name(&self) -> &'static str {
        match self.what {
            What::Silence { .. } => "silence",
            What::Gap { .. } => "gap",
            What::Reorder { .. } => "reorder",
            What::Duplicate { .. } => "duplicate",
            What::Malformed { .. } => "malformed",
            What::Correction { .. } => "correction",
            What::Burst { .. } => "burst",
            What::ClockSkew { .. } => "clock-skew",
            What::ClockDrift { .. } => "clock-drift",
        }
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Fault, String> {
        let name = text.split_once('=').map_or(text, |(name, _)| name);
        let Some(kind) = KINDS.iter().find(|kind| kind.name == name) else {
            let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
            return Err(format!("there is no fault \"{name}\" (there are {})", known.join(", ")));
        };
        let parsed = match text.split_once('=') {
            Some((_, values)) => parse(name, values),
            None => Err("it lacks `=`".to_owned()),
        };
        parsed.map_err(|why| format!("{why}; it is written {}", kind.syntax))
    }
}

fn parse(name: &str, values: &str) -> Result<Fault, String> {
    let mut values = values.split(':');
    let first = values.next().unwrap_or_default();
    let parameter = values.next();
    let third = values.next();
    if let Some(extra) = values.next().or(third.filter(|_| name != "silence")) {
        return Err(format!("\":{extra}\" is one parameter too many"));
    }
    let duration_us = |default_us| parameter.map_or(Ok(default_us), duration_us);
    let count = || parameter.map_or(Ok(1), count);
    let what = match name {
        "silence" => {
            let whole_feed = match third {
                None => false,
                Some("feed") => true,
                Some(other) => return Err(format!("\"{other}\" is not `feed`")),
            };
            What::Silence { quiet_us: duration_us(5_000_000)?, whole_feed }
        }
        "gap" => What::Gap { run: count()? },
        "reorder" => What::Reorder { distance: count()? },
        "duplicate" => What::Duplicate { copies: count()? },
        "malformed" => What::Malformed { only: parameter.map(Malformation::parse).transpose()? },
        "correction" => What::Correction { delay_us: duration_us(1_000_000)? },
        "burst" => What::Burst { hold_us: duration_us(1_000_000)? },
        "clock-skew" => What::ClockSkew { offset_us_max: duration_us(100_000)? as u32 },
        _ => match parameter {
            None => return Ok(Fault { rate: 0, what: What::ClockDrift { ppm: drift_ppm(first)? } }),
            Some(extra) => return Err(format!("\":{extra}\" is one parameter too many")),
        },
    };
    Ok(Fault { rate: rate(first)?, what })
}

/// `0.1%`, `100ppm` or `0.001`.
fn rate(text: &str) -> Result<PartsPerBillion, String> {
    let (number, unit) = if let Some(number) = text.strip_suffix('%') {
        (number, 1e-2)
    } else if let Some(number) = text.strip_suffix("ppm") {
        (number, 1e-6)
    } else {
        (text, 1.0)
    };
    let wrong = || format!("\"{text}\" is not a rate above 0 and up to 50% (0.1%, 100ppm or 0.001)");
    let rate = number.parse::<f64>().map_err(|_| wrong())? * unit;
    let parts = (rate * 1e9).round();
    if parts >= 1.0 && rate <= RATE_MAX { Ok(parts as PartsPerBillion) } else { Err(wrong()) }
}

/// `1500us`, `20ms`, `5s` or `2m`.
fn duration_us(text: &str) -> Result<u64, String> {
    let units = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6)];
    let number = units.iter().find_map(|(unit, us)| Some((text.strip_suffix(unit)?, us)));
    let micros = number.and_then(|(number, us)| Some((number.parse::<f64>().ok()? * us).round()));
    match micros {
        Some(micros) if micros >= 1.0 && micros <= DURATION_US_MAX as f64 => Ok(micros as u64),
        _ => Err(format!("\"{text}\" is not a duration above 0 and up to 10 minutes (1500us, 20ms, 5s or 2m)")),
    }
}

fn count(text: &str) -> Result<u32, String> {
    let number = text.parse().ok().filter(|number| (1..=COUNT_MAX).contains(number));
    number.ok_or_else(|| format!("\"{text}\" is not a number from 1 to {COUNT_MAX}"))
}

fn drift_ppm(text: &str) -> Result<i64, String> {
    let number = text.strip_suffix("ppm").and_then(|number| number.parse::<i64>().ok());
    number.filter(|ppm| *ppm != 0 && ppm.abs() <= DRIFT_PPM_MAX).ok_or_else(|| {
        format!("\"{text}\" is not a whole number of parts per million up to {DRIFT_PPM_MAX} (50ppm, -50ppm)")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_syntax() {
        for (text, rate, what) in [
            ("gap=0.1%", 1_000_000, What::Gap { run: 1 }),
            ("gap=100ppm:20", 100_000, What::Gap { run: 20 }),
            ("reorder=0.5:3", 500_000_000, What::Reorder { distance: 3 }),
            ("silence=1ppm:2m:feed", 1_000, What::Silence { quiet_us: 120_000_000, whole_feed: true }),
            ("burst=1%:1.5ms", 10_000_000, What::Burst { hold_us: 1_500 }),
            ("malformed=1%:large", 10_000_000, What::Malformed { only: Some(Malformation::Large) }),
            ("clock-drift=-50ppm", 0, What::ClockDrift { ppm: -50 }),
        ] {
            assert_eq!(text.parse(), Ok(Fault { rate, what }), "{text}");
        }
    }

    #[test]
    fn an_error_says_what_is_allowed() {
        for (text, why) in [
            ("gip=1%", "there is no fault \"gip\" (there are silence, gap, reorder"),
            ("gap", "lacks `=`; it is written gap=RATE[:RUN]"),
            ("gap=", "is not a rate"),
            ("gap=0", "is not a rate"),
            ("gap=51%", "up to 50%"),
            ("gap=nan", "is not a rate"),
            ("gap=1%:0", "is not a number from 1 to 1000"),
            ("gap=1%:1:1", "\":1\" is one parameter too many"),
            ("burst=1%:5", "is not a duration"),
            ("burst=1%:11m", "up to 10 minutes"),
            ("silence=1%:1s:all", "\"all\" is not `feed`"),
            ("silence=1%:1s:feed:x", "one parameter too many"),
            ("malformed=1%:x", "json, kind, large, topic"),
            ("clock-drift=1%", "parts per million"),
            ("clock-drift=1ppm:1s", "one parameter too many"),
        ] {
            let error = text.parse::<Fault>().expect_err(text);
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn the_table_knows_every_kind() {
        for kind in KINDS {
            let text = if kind.name == "clock-drift" { "clock-drift=1ppm".into() } else { format!("{}=1%", kind.name) };
            assert_eq!(text.parse::<Fault>().map(|fault| fault.name()), Ok(kind.name));
        }
    }
}
