//! The players of a club who are on the pitch.

use feed_player::random::Random;

/// A club may substitute five of its players (IFAB, Laws of the Game, law 3).
const SUBSTITUTIONS_MAX: u32 = 5;
/// A match is abandoned with fewer than seven players (law 3), which never happens here.
const PLAYERS_MIN: usize = 8;
const PLAYERS: u32 = 11;

/// The players of a club, by shirt number. Number 1 keeps the goal; 12 to 16 come from the bench in that order.
pub(super) struct Squad {
    on_pitch: Vec<u32>,
    booked: Vec<u32>,
    substitutions: u32,
}

impl Squad {
    pub(super) fn new() -> Self {
        Squad { on_pitch: (1..=PLAYERS).collect(), booked: Vec::new(), substitutions: 0 }
    }

    /// Draws a player on the pitch other than the goalkeeper, who neither shoots nor fouls nor is replaced here.
    pub(super) fn player(&self, random: &mut Random) -> u32 {
        self.on_pitch[1 + random.below(self.on_pitch.len() as u32 - 1) as usize]
    }

    /// Draws a player other than `player`, for whom a scout mistook him.
    pub(super) fn teammate(&self, player: u32, random: &mut Random) -> u32 {
        loop {
            let other = self.player(random);
            if other != player {
                return other;
            }
        }
    }

    /// Whether `player` has a yellow card.
    pub(super) fn is_booked(&self, player: u32) -> bool {
        self.booked.contains(&player)
    }

    pub(super) fn book(&mut self, player: u32) {
        self.booked.push(player);
    }

    /// Whether a player may be sent off without ending the match.
    pub(super) fn can_lose_one(&self) -> bool {
        self.on_pitch.len() > PLAYERS_MIN
    }

    pub(super) fn send_off(&mut self, player: u32) {
        self.on_pitch.retain(|&other| other != player);
    }

    pub(super) fn bring_back(&mut self, player: u32) {
        self.on_pitch.push(player);
    }

    /// Draws and makes a substitution, if one is left: the player who goes and the player who comes.
    pub(super) fn substitute(&mut self, random: &mut Random) -> Option<(u32, u32)> {
        if self.substitutions == SUBSTITUTIONS_MAX {
            return None;
        }
        self.substitutions += 1;
        let off = self.player(random);
        let on = PLAYERS + self.substitutions;
        self.send_off(off);
        self.on_pitch.push(on);
        Some((off, on))
    }
}
