//! One player: position and destination.

use feed_player::random::Random;

/// The map, in centimetres.
pub(super) const MAP_CM: (i32, i32) = (10_000, 6_000);
/// The items and their positions. An item that was taken comes back after some time.
pub(super) const PADS: [(&str, (i32, i32)); 5] = [
    ("medkit", (1_500, 1_000)),
    ("medkit", (8_500, 5_000)),
    ("shield", (5_000, 3_000)),
    ("rockets", (8_500, 1_000)),
    ("rockets", (1_500, 5_000)),
];
const STEP_MAX_CM: i32 = 30;
pub(super) const HP_MAX: i32 = 100;
/// How many of 1,024 destinations are items; the others are anywhere.
const TO_PAD_OF_1024: u32 = 500;

pub(super) struct Player {
    pub(super) at: (i32, i32),
    to: (i32, i32),
    pub(super) hp: i32,
    /// Counts the spawns, from 1.
    pub(super) life: u32,
    /// Ticks until the player spawns; 0 for one who is alive.
    pub(super) dead_ticks: u32,
}

impl Player {
    pub(super) fn new(random: &mut Random) -> Self {
        let at = anywhere(random);
        Player { at, to: anywhere(random), hp: HP_MAX, life: 1, dead_ticks: 0 }
    }

    pub(super) fn is_alive(&self) -> bool {
        self.dead_ticks == 0
    }

    /// Begins the next life, somewhere else, with full health.
    pub(super) fn spawn(&mut self, random: &mut Random) {
        let life = self.life + 1;
        *self = Player { life, ..Player::new(random) };
    }

    /// Takes a step towards the destination, or draws another one on arrival.
    pub(super) fn step(&mut self, random: &mut Random) {
        let (dx, dy) = (self.to.0 - self.at.0, self.to.1 - self.at.1);
        let distance_cm = distance_cm(self.at, self.to);
        if distance_cm <= STEP_MAX_CM {
            self.at = self.to;
            self.to = match random.chance(TO_PAD_OF_1024) {
                true => PADS[random.below(PADS.len() as u32) as usize].1,
                false => anywhere(random),
            };
        } else {
            // Rounded towards zero, so that a step is never longer than it may be.
            self.at.0 += dx * STEP_MAX_CM / distance_cm;
            self.at.1 += dy * STEP_MAX_CM / distance_cm;
        }
    }
}

/// The distance, rounded up.
pub(super) fn distance_cm(a: (i32, i32), b: (i32, i32)) -> i32 {
    let (dx, dy) = ((a.0 - b.0).unsigned_abs(), (a.1 - b.1).unsigned_abs());
    let square = dx * dx + dy * dy;
    let root = square.isqrt();
    (root + u32::from(root * root < square)) as i32
}

fn anywhere(random: &mut Random) -> (i32, i32) {
    (random.below(MAP_CM.0 as u32 + 1) as i32, random.below(MAP_CM.1 as u32 + 1) as i32)
}

#[cfg(test)]
mod tests {
    use super::distance_cm;

    #[test]
    fn distances_are_rounded_up() {
        assert_eq!([(3, 4), (1, 1), (0, 0), (-10_000, 6_000)].map(|to| distance_cm((0, 0), to)), [5, 2, 0, 11_662]);
    }
}
