//! A game, tick by tick: its clock, periods, breaks, and the amendments of earlier events.

use super::messages::{self, Detail};
use super::roster::Roster;
use super::teams::LEAGUE;
use crate::sports::{Contest, Desk, Sheet, Side, Teams, contest_number};
use feed_player::random::Random;

/// Seconds of play per tick: at four ticks a second, eight times as fast as a real game.
pub(super) const TICK_PLAY_S: u32 = 2;
const PERIODS: u32 = 4;
const PERIOD_S: u32 = 12 * 60;
const OVERTIME_S: u32 = 5 * 60;
/// The breaks, in ticks: three to fifteen seconds for the viewer.
const BREAK_TICKS: u32 = 20;
const HALF_TIME_TICKS: u32 = 40;
const FINAL_TICKS: u32 = 60;
const TIMEOUT_TICKS: u32 = 12;
/// NBA rule 5, section VI: seven in a game, two more in each overtime.
const TIMEOUTS: u32 = 7;
const OVERTIME_TIMEOUTS: u32 = 2;

/// The columns of `.stats`, as `STATS` names them.
#[derive(Clone, Copy)]
pub(super) enum Stat {
    Points,
    FgMade,
    FgAttempted,
    ThreeMade,
    ThreeAttempted,
    FtMade,
    FtAttempted,
    OffensiveRebounds,
    DefensiveRebounds,
    Assists,
    Steals,
    Blocks,
    Turnovers,
    Fouls,
    TimeoutsLeft,
}

const STATS: [&str; 15] = [
    "points",
    "fg_made",
    "fg_attempted",
    "three_made",
    "three_attempted",
    "ft_made",
    "ft_attempted",
    "offensive_rebounds",
    "defensive_rebounds",
    "assists",
    "steals",
    "blocks",
    "turnovers",
    "fouls",
    "timeouts_left",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Playing,
    Timeout,
    Break,
    Final,
}

/// A basket as it was published.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basket {
    pub(super) event_id: u64,
    pub(super) side: Side,
    pub(super) points: u32,
    pub(super) assisted: bool,
}

/// The amendment of an earlier event, published later.
#[derive(Debug, Clone, Copy)]
pub(super) enum Amendment {
    ThreeWasTwo(Basket),
    Cancelled(Basket),
    PlayerWas { event_id: u64, player: u32 },
}

/// One game, from its first period to the break after it.
pub(super) struct Game {
    pub(super) number: u64,
    pub(super) teams: Teams,
    pub(super) rosters: [Roster; 2],
    pub(super) sheet: Sheet<15>,
    pub(super) phase: Phase,
    pub(super) period: u32,
    /// Seconds left in the period.
    pub(super) clock_s: u32,
    /// Ticks left of a break or a time-out.
    wait_ticks: u32,
    /// The fouls of each team in this period.
    pub(super) period_fouls: [u32; 2],
    pub(super) attack: Side,
    /// Seconds left of the attack, until its shot or another end.
    pub(super) attack_s: u32,
    /// Amendments, each with the ticks until it is published.
    later: Vec<(u32, Amendment)>,
    pub(super) staged: bool,
}

impl Contest for Game {
    fn new(court: u32, round: u32, _random: &mut Random) -> Self {
        let mut sheet = Sheet::new(&STATS);
        for side in Side::BOTH {
            sheet.set(side, Stat::TimeoutsLeft as usize, TIMEOUTS);
        }
        Game {
            number: contest_number(court, round),
            teams: LEAGUE.pairing(court, round),
            rosters: [Roster::new(), Roster::new()],
            sheet,
            phase: Phase::Break,
            period: 0,
            clock_s: 0,
            wait_ticks: 1,
            period_fouls: [0, 0],
            attack: Side::Home,
            attack_s: 0,
            later: Vec::new(),
            staged: court == 0 && round == 0,
        }
    }

    fn tick(&mut self, desk: &mut Desk<'_>) -> bool {
        let mut begins = false;
        if self.wait_ticks > 0 {
            self.wait_ticks -= 1;
            match (self.wait_ticks, self.phase) {
                (1.., _) => return false,
                (0, Phase::Final) => return true,
                (0, Phase::Break) => {
                    begins = true;
                    self.begin_period(desk);
                }
                (0, _) => self.phase = Phase::Playing,
            }
        }
        if !begins {
            self.clock_s -= TICK_PLAY_S;
            self.attack_s = self.attack_s.saturating_sub(TICK_PLAY_S);
            self.emit_due(desk, 1);
            if self.attack_s == 0 {
                self.end_attack(desk);
            }
            if self.clock_s == 0 {
                self.end_period(desk);
            }
        }
        desk.out.push_back(messages::score(self));
        let topic = self.teams.topic("stats");
        desk.out.extend(self.sheet.publication(&topic, &format!("\"game\":{},", self.number), begins));
        false
    }
}

impl Game {
    pub(super) fn points(&self, side: Side) -> u32 {
        self.sheet.get(side, Stat::Points as usize)
    }

    fn begin_period(&mut self, desk: &mut Desk<'_>) {
        self.phase = Phase::Playing;
        self.period += 1;
        self.period_fouls = [0, 0];
        self.clock_s = if self.period <= PERIODS { PERIOD_S } else { OVERTIME_S };
        if self.period > PERIODS {
            for side in Side::BOTH {
                self.sheet.set(side, Stat::TimeoutsLeft as usize, OVERTIME_TIMEOUTS);
            }
        }
        self.emit(desk, Detail::Plain("period_start"));
        let attack = if desk.random.chance(512) { Side::Home } else { Side::Away };
        self.give_ball(attack, desk);
    }

    /// Ends a period, after the amendments that are still to come, so that a tie is final.
    fn end_period(&mut self, desk: &mut Desk<'_>) {
        self.emit_due(desk, u32::MAX);
        self.emit(desk, Detail::Plain("period_end"));
        let tied = self.points(Side::Home) == self.points(Side::Away);
        if self.period >= PERIODS && !tied {
            self.emit(desk, Detail::Plain("game_end"));
            (self.phase, self.wait_ticks) = (Phase::Final, FINAL_TICKS);
        } else {
            let ticks = if self.period == PERIODS / 2 { HALF_TIME_TICKS } else { BREAK_TICKS };
            (self.phase, self.wait_ticks) = (Phase::Break, ticks);
        }
    }

    pub(super) fn take_timeout(&mut self, side: Side, desk: &mut Desk<'_>) {
        // Not in the last second: the break comes anyway.
        if self.sheet.get(side, Stat::TimeoutsLeft as usize) == 0 || self.clock_s == 0 {
            return;
        }
        self.sheet.take_back(side, Stat::TimeoutsLeft as usize);
        self.emit(desk, Detail::Team { what: "timeout", side });
        (self.phase, self.wait_ticks) = (Phase::Timeout, TIMEOUT_TICKS);
        self.perhaps_substitute(desk);
    }

    /// Whether these are the last 24 seconds of the fourth period or of an overtime.
    pub(super) fn is_ending(&self) -> bool {
        self.period >= PERIODS && self.clock_s <= 24
    }

    /// Plans an amendment: published one to six seconds later for the viewer, and before the period ends.
    pub(super) fn amend_later(&mut self, what: Amendment, desk: &mut Desk<'_>) {
        self.later.push((4 + desk.random.below(21), what));
    }

    /// Publishes the amendments that are due when `ticks` more have passed.
    fn emit_due(&mut self, desk: &mut Desk<'_>, ticks: u32) {
        let is_due = |(left, _): &mut (u32, Amendment)| {
            *left = left.saturating_sub(ticks);
            *left == 0
        };
        let due: Vec<_> = self.later.extract_if(.., is_due).collect();
        for (_, what) in due {
            let detail = match what {
                Amendment::ThreeWasTwo(Basket { event_id, side, .. }) => {
                    self.take_back(side, &[Stat::Points, Stat::ThreeMade, Stat::ThreeAttempted]);
                    Detail::Correction { corrects: event_id, field: "points", value: 2 }
                }
                Amendment::Cancelled(Basket { event_id, side, points, assisted }) => {
                    for _ in 0..points {
                        self.take_back(side, &[Stat::Points]);
                    }
                    self.take_back(side, &[Stat::FgMade, Stat::FgAttempted]);
                    if points == 3 {
                        self.take_back(side, &[Stat::ThreeMade, Stat::ThreeAttempted]);
                    }
                    if assisted {
                        self.take_back(side, &[Stat::Assists]);
                    }
                    let reason = ["shot clock violation", "offensive foul", "goaltending"];
                    let reason = reason[desk.random.below(3) as usize];
                    Detail::Cancelled { side, corrects: event_id, reason }
                }
                Amendment::PlayerWas { event_id, player } => {
                    Detail::Correction { corrects: event_id, field: "player", value: player }
                }
            };
            self.emit(desk, detail);
        }
    }

    fn take_back(&mut self, side: Side, stats: &[Stat]) {
        for &stat in stats {
            self.sheet.take_back(side, stat as usize);
        }
    }

    pub(super) fn emit(&mut self, desk: &mut Desk<'_>, detail: Detail) -> u64 {
        *desk.last_id += 1;
        desk.out.push_back(messages::event(self, *desk.last_id, detail));
        *desk.last_id
    }
}
