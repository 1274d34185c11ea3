//! Sensors in rooms: readings, alarms, and devices that go silent.

mod device;

use super::Scenario;
use super::ensemble::Ensemble;
use device::Device;

/// What `feed-sim describe sensors` prints.
pub(super) const DESCRIPTION: &str = "\
Per device DEVICE (s001, s002, ...), in an office, a cold room, a greenhouse or outdoors:
  sensors.DEVICE.reading  state  {\"device\",\"place\",\"seq\",\"temperature_c\",\"humidity_pct\",\"battery_pct\",\"at_ms\"}: every five seconds
  sensors.DEVICE.link     state  {\"device\",\"online\",\"last_seen_ms\"}: whether the device is heard from; whenever that changes
  sensors.DEVICE.alarm    event  {\"id\",\"device\",\"type\",\"alarm\",\"at_ms\"}, \"raised\" if it is cleared, and \"value\": `type` is `raised` or
                          `cleared`, `alarm` is `temperature_high`, `temperature_low`, `battery_low` or `silent`
Temperature (two decimals) and humidity (one) are decimal strings, as the device sends them. `seq` counts the device's
measurements: after a silence it has jumped by the number of lost ones. A device that is not heard from for three
intervals is offline and `silent` until it is heard from again. `raised` is the id of the event that raised the cleared
alarm. A temperature alarm is cleared half a degree inside the limit, `battery_low` (below 20 %) with a new battery.
`at_ms` and `last_seen_ms` are the feed's own clock.
The first device goes silent within the first half minute, so that every run shows a silence.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"sensors.*.reading\",\"sensors.*.alarm\",\"sensors.s001.link\"]}";

/// Updates per device and second, measured; a test checks it.
const UPDATES_PER_DEVICE_S: f64 = 0.1976;

/// Makes the scenario with `devices` devices, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, devices: u32) -> impl Scenario {
    let updates_per_s = f64::from(devices) * UPDATES_PER_DEVICE_S;
    Ensemble::new(devices, |number| Device::new(seed, number), device::INTERVAL_US, updates_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 50), 100_000);
    }
}
