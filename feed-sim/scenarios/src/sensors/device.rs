//! One device: its measurements, and what the gateway reports about it.

use std::collections::VecDeque;

use crate::ensemble::Actor;
use feed_player::publication::{Kind, Publication};
use feed_player::random::Random;

pub(super) const INTERVAL_US: u64 = 5_000_000;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 4 << 40;

/// The kind of location of a device, and its usual climate.
struct Place {
    name: &'static str,
    /// Hundredths of a degree Celsius.
    usual: i32,
    /// Added in the warmest and subtracted in the coldest hour.
    swing: i32,
    high: i32,
    low: i32,
    /// Tenths of a percent.
    humidity: i32,
}

const PLACES: [Place; 4] = [
    Place { name: "office", usual: 2_150, swing: 100, high: 2_600, low: 1_700, humidity: 420 },
    Place { name: "cold room", usual: 400, swing: 30, high: 800, low: 0, humidity: 750 },
    Place { name: "greenhouse", usual: 2_400, swing: 400, high: 3_400, low: 1_200, humidity: 680 },
    Place { name: "outdoors", usual: 1_100, swing: 600, high: 3_000, low: -500, humidity: 600 },
];

/// A day takes an hour, so that its course can be seen.
const DAY_US: u64 = 3_600_000_000;
/// An alarm is cleared this far inside its limit, or it would come and go with every reading.
const HYSTERESIS: i32 = 50;
const BATTERY_LOW: u32 = 200;
/// The battery is replaced at this many tenths of a percent.
const BATTERY_CHANGED: u32 = 50;
/// The gateway considers a device offline after missing this many readings.
const MISSED_MAX: u32 = 3;
/// How many of 1,024 readings are followed by a silence.
const GOES_SILENT_OF_1024: u32 = 4;
/// How many of 1,024 readings begin a fault of heating or cooling, which lasts some minutes.
const FAULT_OF_1024: u32 = 3;
/// The first device goes silent after this many readings.
const STAGED_AT: u64 = 2;

/// The alarms, as `ALARMS` names them.
#[derive(Clone, Copy)]
enum Alarm {
    TemperatureHigh,
    TemperatureLow,
    BatteryLow,
    Silent,
}

const ALARMS: [&str; 4] = ["temperature_high", "temperature_low", "battery_low", "silent"];

pub(super) struct Device {
    name: String,
    place: &'static Place,
    random: Random,
    staged: bool,
    seq: u64,
    last_id: u64,
    /// The deviation from the usual temperature, in hundredths of a degree.
    drift: i32,
    /// How far a fault pulls the temperature off, and for how many more readings.
    fault: (i32, u32),
    humidity: i32,
    battery: u32,
    silent_left: u32,
    missed: u32,
    /// `None` before the first reading reaches the gateway.
    last_seen_ms: Option<u64>,
    /// The id of the event that raised each alarm that is on.
    raised: [Option<u64>; 4],
}

impl Device {
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let place = &PLACES[number as usize % PLACES.len()];
        Device {
            name: format!("s{:03}", number + 1),
            place,
            staged: number == 0,
            seq: 0,
            last_id: 0,
            drift: 0,
            fault: (0, 0),
            humidity: place.humidity,
            // Batteries of all ages.
            battery: 220 + random.below(781),
            silent_left: 0,
            missed: 0,
            last_seen_ms: None,
            raised: [None; 4],
            random,
        }
    }

    /// The temperature now, in hundredths of a degree.
    fn temperature(&mut self, now_us: u64) -> i32 {
        if self.fault.1 > 0 {
            self.fault.1 -= 1;
        } else if self.random.chance(FAULT_OF_1024) {
            let degrees = 600 + self.random.below(900) as i32;
            let degrees = if self.random.chance(600) { degrees } else { -degrees };
            self.fault = (degrees, 20 + self.random.below(60));
        }
        let towards = if self.fault.1 > 0 { self.fault.0 } else { 0 };
        self.drift += (towards - self.drift) / 8 + self.random.below(31) as i32 - 15;
        // The course of a day as a triangle: coldest at its beginning, warmest in the middle.
        let time = (now_us % DAY_US) as i64;
        let half_day = DAY_US as i64 / 2;
        let course = i64::from(self.place.swing) * (half_day - 2 * (time - half_day).abs()) / half_day;
        self.place.usual + course as i32 + self.drift
    }

    fn measure(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        self.seq += 1;
        let temperature = self.temperature(now_us);
        let step = self.random.below(13) as i32 - 6;
        self.humidity = (self.humidity + (self.place.humidity - self.humidity) / 20 + step).clamp(0, 1_000);
        self.battery -= u32::from(self.random.chance(512));
        if self.battery <= BATTERY_CHANGED {
            self.battery = 1_000;
        }
        if self.silent_left > 0 {
            self.silent_left -= 1;
            self.note_missed(now_us, out);
            return;
        }
        self.note_received(now_us, out);
        let data = format!(
            r#"{{"device":"{}","place":"{}","seq":{},"temperature_c":"{}","humidity_pct":"{}.{}","battery_pct":{},"at_ms":{}}}"#,
            self.name,
            self.place.name,
            self.seq,
            degrees(temperature),
            self.humidity / 10,
            self.humidity % 10,
            self.battery / 10,
            now_us / 1_000
        );
        out.push_back(Publication::new(&format!("sensors.{}.reading", self.name), Kind::State, data));
        let Place { high, low, .. } = *self.place;
        let value = format!("\"{}\"", degrees(temperature));
        self.judge(Alarm::TemperatureHigh, temperature > high, temperature < high - HYSTERESIS, &value, now_us, out);
        self.judge(Alarm::TemperatureLow, temperature < low, temperature > low + HYSTERESIS, &value, now_us, out);
        let battery_pct = (self.battery / 10).to_string();
        let is_low = self.battery < BATTERY_LOW;
        self.judge(Alarm::BatteryLow, is_low, !is_low, &battery_pct, now_us, out);
        if self.random.chance(GOES_SILENT_OF_1024) || (self.staged && self.seq == STAGED_AT) {
            self.silent_left = 2 + self.random.below(14);
            if self.staged && self.seq == STAGED_AT {
                self.silent_left = self.silent_left.max(MISSED_MAX + 1);
            }
        }
    }

    /// Notes that a reading did not reach the gateway.
    fn note_missed(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        self.missed += 1;
        if self.missed == MISSED_MAX {
            self.link(false, out);
            self.judge(Alarm::Silent, true, false, "null", now_us, out);
        }
    }

    fn note_received(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        let is_new = self.last_seen_ms.is_none() || self.missed >= MISSED_MAX;
        self.last_seen_ms = Some(now_us / 1_000);
        self.missed = 0;
        if is_new {
            self.link(true, out);
            self.judge(Alarm::Silent, false, true, "null", now_us, out);
        }
    }

    fn link(&self, online: bool, out: &mut VecDeque<Publication>) {
        let last_seen_ms = self.last_seen_ms.unwrap_or(0);
        let data = format!(r#"{{"device":"{}","online":{online},"last_seen_ms":{last_seen_ms}}}"#, self.name);
        out.push_back(Publication::new(&format!("sensors.{}.link", self.name), Kind::State, data));
    }

    /// Raises an alarm that is off and should be on, or clears one that is on and should be off.
    fn judge(
        &mut self,
        alarm: Alarm,
        raise: bool,
        clear: bool,
        value: &str,
        now_us: u64,
        out: &mut VecDeque<Publication>,
    ) {
        let (what, rest) = match self.raised[alarm as usize] {
            None if raise => ("raised", String::new()),
            Some(raised) if clear => ("cleared", format!(",\"raised\":{raised}")),
            _ => return,
        };
        self.last_id += 1;
        self.raised[alarm as usize] = raise.then_some(self.last_id);
        let data = format!(
            r#"{{"id":{},"device":"{}","type":"{what}","alarm":"{}","value":{value},"at_ms":{}{rest}}}"#,
            self.last_id,
            self.name,
            ALARMS[alarm as usize],
            now_us / 1_000
        );
        out.push_back(Publication::new(&format!("sensors.{}.alarm", self.name), Kind::Event, data));
    }
}

impl Actor for Device {
    fn act(&mut self, now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        self.measure(now_us, out);
        INTERVAL_US
    }
}

/// Formats hundredths of a degree: `-0.05`.
fn degrees(hundredths: i32) -> String {
    let sign = if hundredths < 0 { "-" } else { "" };
    format!("{sign}{}.{:02}", hundredths.abs() / 100, hundredths.abs() % 100)
}

#[cfg(test)]
mod tests {
    use super::degrees;

    #[test]
    fn degrees_keep_their_sign_and_digits() {
        assert_eq!([2_150, 5, -5, -1_203, 0].map(degrees), ["21.50", "0.05", "-0.05", "-12.03", "0.00"]);
    }
}
