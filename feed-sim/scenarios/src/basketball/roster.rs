//! The players of a team, and those who are on the court.

use feed_player::random::Random;

/// A player with this many fouls plays no more (NBA rule 3, section I).
const FOULS_MAX: u8 = 6;
const ON_COURT: usize = 5;
const SHIRTS: [u32; 13] = [0, 1, 3, 5, 7, 8, 11, 12, 15, 21, 23, 30, 34];

/// The players of a team: the first five are on the court.
pub(super) struct Roster {
    shirts: [u32; SHIRTS.len()],
    fouls: [u8; SHIRTS.len()],
}

impl Roster {
    pub(super) fn new() -> Self {
        Roster { shirts: SHIRTS, fouls: [0; SHIRTS.len()] }
    }

    /// Draws a player on the court.
    pub(super) fn player(&self, random: &mut Random) -> u32 {
        self.shirts[random.below(ON_COURT as u32) as usize]
    }

    /// Draws a player on the court other than `player`.
    pub(super) fn teammate(&self, player: u32, random: &mut Random) -> u32 {
        let at = random.below(ON_COURT as u32 - 1) as usize;
        if self.shirts[at] == player { self.shirts[ON_COURT - 1] } else { self.shirts[at] }
    }

    /// Counts a foul of `player`, and returns whether it was his last.
    pub(super) fn foul(&mut self, player: u32) -> bool {
        let index = self.index(player);
        self.fouls[index] += 1;
        self.fouls[index] >= FOULS_MAX
    }

    /// Replaces `player`, or anyone on the court, by a player from the bench, if one may still play.
    pub(super) fn substitute(&mut self, player: Option<u32>, random: &mut Random) -> Option<(u32, u32)> {
        let off = match player {
            Some(player) => self.index(player),
            None => random.below(ON_COURT as u32) as usize,
        };
        let bench = SHIRTS.len() - ON_COURT;
        let first = random.below(bench as u32) as usize;
        let on = (0..bench).map(|step| ON_COURT + (first + step) % bench).find(|&on| self.fouls[on] < FOULS_MAX)?;
        self.shirts.swap(off, on);
        self.fouls.swap(off, on);
        Some((self.shirts[on], self.shirts[off]))
    }

    fn index(&self, player: u32) -> usize {
        self.shirts.iter().position(|&shirt| shirt == player).expect("he is on the team")
    }
}
