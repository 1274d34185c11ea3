//! A match, tick by tick.

use std::collections::VecDeque;

use super::clubs::LEAGUE;
use super::messages::{self, Detail};
use super::rates::{self, Act};
use super::squad::Squad;
use crate::sports::{Contest, Desk, Sheet, Side, Teams, contest_number};
use feed_player::publication::Publication;
use feed_player::random::Random;

/// Seconds of play per tick: at four ticks a second, twenty times as fast as a real match.
pub(super) const TICK_PLAY_S: u32 = 5;
const HALF_S: u32 = 45 * 60;
/// The breaks, in ticks: ten and fifteen seconds for the viewer.
const HALF_TIME_TICKS: u32 = 40;
const FULL_TIME_TICKS: u32 = 60;
/// When the first match has a goal that will be disallowed.
const STAGED_GOAL_CLOCK_S: u32 = 150;
/// How many of 1,024 fouls are by the side without the ball.
const FOUL_BY_DEFENDER_OF_1024: u32 = 770;
/// How many of 1,024 ticks end with the ball free for either side: possession lasts some twenty seconds.
const BALL_FREE_OF_1024: u32 = 256;

/// The columns of `.stats`, as `STATS` names them.
#[derive(Clone, Copy)]
enum Stat {
    PossessionPct,
    Shots,
    OnTarget,
    Corners,
    Offsides,
    Fouls,
    YellowCards,
    RedCards,
    Substitutions,
}

const STATS: [&str; 9] = [
    "possession_pct",
    "shots",
    "on_target",
    "corners",
    "offsides",
    "fouls",
    "yellow_cards",
    "red_cards",
    "substitutions",
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Playing,
    HalfTime,
    FullTime,
    Interrupted,
}

/// An amendment of an earlier event, and the ticks until it is published.
struct Later {
    ticks: u32,
    event_id: u64,
    what: Amendment,
}

enum Amendment {
    /// Play is stopped until then.
    GoalDisallowed(Side),
    CardRescinded(Side, u32),
    PlayerWas(u32),
    ClockWas(u32),
}

/// One match, from kick-off to the break after it.
pub(super) struct Match {
    pub(super) number: u64,
    pub(super) clubs: Teams,
    pub(super) goals: [u32; 2],
    squads: [Squad; 2],
    sheet: Sheet<9>,
    pub(super) phase: Phase,
    pub(super) period: u32,
    /// Seconds of play; the second half starts at 45:00 again.
    pub(super) clock_s: u32,
    /// When the current half ends.
    half_ends_s: u32,
    /// Ticks left of a break or an interruption.
    wait_ticks: u32,
    /// The side that has the ball.
    attack: Side,
    possession_ticks: [u32; 2],
    /// How many of 1,024 free balls the home side gets.
    home_share_of_1024: u32,
    later: Vec<Later>,
    /// Whether events are published at once. Otherwise they wait for `uncovered_ticks` more ticks.
    pub(super) is_covered: bool,
    uncovered_ticks: u32,
    unsent: VecDeque<Publication>,
    kicked_off: bool,
}

impl Contest for Match {
    fn new(pitch: u32, round: u32, random: &mut Random) -> Self {
        Match {
            number: contest_number(pitch, round),
            clubs: LEAGUE.pairing(pitch, round),
            goals: [0, 0],
            squads: [Squad::new(), Squad::new()],
            sheet: Sheet::new(&STATS),
            phase: Phase::Playing,
            period: 1,
            clock_s: 0,
            half_ends_s: HALF_S,
            wait_ticks: 0,
            attack: Side::Home,
            possession_ticks: [0, 0],
            // 14.4 of 25.8 shots are the home side's: 572 of 1,024, some more and some less.
            home_share_of_1024: 472 + random.below(201),
            later: Vec::new(),
            is_covered: true,
            uncovered_ticks: 0,
            unsent: VecDeque::new(),
            kicked_off: false,
        }
    }

    fn tick(&mut self, desk: &mut Desk<'_>) -> bool {
        if self.wait_ticks > 0 {
            self.wait_ticks -= 1;
            match (self.wait_ticks, self.phase) {
                (1.., _) => return false,
                (0, Phase::FullTime) => return true,
                (0, Phase::Interrupted) => {
                    self.phase = Phase::Playing;
                    self.emit(desk, Detail::Plain("resumed"));
                }
                (0, _) => {
                    (self.phase, self.period, self.clock_s) = (Phase::Playing, 2, HALF_S);
                    self.kicked_off = false;
                }
            }
        }
        let was_covered = self.is_covered;
        if !self.kicked_off {
            self.kicked_off = true;
            // Stoppage time: one to four minutes in the first half, two to five in the second.
            self.half_ends_s = self.period * HALF_S + 60 * (self.period + desk.random.below(4));
            self.emit(desk, Detail::Plain("kick_off"));
            self.publish(desk, true);
            return false;
        }
        self.play_on(desk);
        if was_covered || self.is_covered {
            self.publish(desk, false);
        }
        false
    }
}

impl Match {
    fn play_on(&mut self, desk: &mut Desk<'_>) {
        self.clock_s += TICK_PLAY_S;
        self.possession_ticks[self.attack as usize] += 1;
        if !self.is_covered {
            self.uncovered_ticks -= 1;
            if self.uncovered_ticks == 0 {
                self.cover_again(desk);
            }
        }
        let under_review = self.is_under_review();
        self.emit_due(desk, 1);
        if under_review {
            return;
        }
        self.act(desk);
        if self.clock_s >= self.half_ends_s && !self.is_under_review() && self.phase == Phase::Playing {
            self.whistle(desk);
        }
    }

    fn act(&mut self, desk: &mut Desk<'_>) {
        if desk.random.chance(BALL_FREE_OF_1024) {
            self.attack = if desk.random.chance(self.home_share_of_1024) { Side::Home } else { Side::Away };
        }
        let side = self.attack;
        let player = self.squads[side as usize].player(desk.random);
        if self.number == 1 && self.period == 1 && self.clock_s == STAGED_GOAL_CLOCK_S {
            return self.goal(side, player, true, desk);
        }
        match rates::act(desk.random) {
            // Nothing may hide the staged goal of the first match.
            Some(Act::Interruption | Act::CoverageLost) if self.number == 1 && self.period == 1 => {}
            None => {}
            Some(Act::Goal) => {
                let disallowed = desk.random.chance(rates::DISALLOWED_OF_1024);
                self.goal(side, player, disallowed, desk);
            }
            Some(Act::ShotOnTarget) => self.shot(side, player, true, desk),
            Some(Act::ShotOffTarget) => self.shot(side, player, false, desk),
            Some(Act::Corner) => self.by("corner", Stat::Corners, side, player, desk),
            Some(Act::Offside) => self.by("offside", Stat::Offsides, side, player, desk),
            Some(Act::Foul) => self.foul(desk),
            Some(Act::Substitution) => self.substitute(desk),
            Some(Act::Interruption) => self.interrupt(desk),
            Some(Act::CoverageLost) => self.lose_coverage(desk),
        }
    }

    fn goal(&mut self, side: Side, player: u32, disallowed: bool, desk: &mut Desk<'_>) {
        self.goals[side as usize] += 1;
        self.sheet.add(side, Stat::Shots as usize);
        self.sheet.add(side, Stat::OnTarget as usize);
        let event_id = self.emit(desk, Detail::By { what: "goal", side, player });
        if disallowed {
            // Half a minute to a minute and a half of play.
            let ticks = 6 + desk.random.below(13);
            self.later.push(Later { ticks, event_id, what: Amendment::GoalDisallowed(side) });
        } else {
            self.perhaps_correct(event_id, side, player, desk);
        }
        // The side that conceded kicks off.
        self.attack = side.other();
    }

    fn shot(&mut self, side: Side, player: u32, on_target: bool, desk: &mut Desk<'_>) {
        self.sheet.add(side, Stat::Shots as usize);
        if on_target {
            self.sheet.add(side, Stat::OnTarget as usize);
        }
        let event_id = self.emit(desk, Detail::Shot { side, player, on_target });
        self.perhaps_correct(event_id, side, player, desk);
    }

    fn by(&mut self, what: &'static str, stat: Stat, side: Side, player: u32, desk: &mut Desk<'_>) {
        self.sheet.add(side, stat as usize);
        let event_id = self.emit(desk, Detail::By { what, side, player });
        self.perhaps_correct(event_id, side, player, desk);
    }

    fn foul(&mut self, desk: &mut Desk<'_>) {
        let by_defender = desk.random.chance(FOUL_BY_DEFENDER_OF_1024);
        let side = if by_defender { self.attack.other() } else { self.attack };
        let player = self.squads[side as usize].player(desk.random);
        self.sheet.add(side, Stat::Fouls as usize);
        let foul_id = self.emit(desk, Detail::By { what: "foul", side, player });
        let can_lose_one = self.squads[side as usize].can_lose_one();
        if desk.random.chance(rates::RED_OF_1024) && can_lose_one {
            let card_id = self.send_off(side, player, false, desk);
            if desk.random.chance(rates::RESCINDED_OF_1024) {
                let ticks = 8 + desk.random.below(17);
                let what = Amendment::CardRescinded(side, player);
                self.later.push(Later { ticks, event_id: card_id, what });
            }
        } else if desk.random.chance(rates::YELLOW_OF_1024) {
            let booked = self.squads[side as usize].is_booked(player);
            if booked && !(can_lose_one && desk.random.chance(rates::SECOND_YELLOW_OF_1024)) {
                return;
            }
            self.sheet.add(side, Stat::YellowCards as usize);
            self.emit(desk, Detail::By { what: "yellow_card", side, player });
            match booked {
                true => _ = self.send_off(side, player, true, desk),
                false => self.squads[side as usize].book(player),
            }
        } else {
            self.perhaps_correct(foul_id, side, player, desk);
        }
    }

    fn send_off(&mut self, side: Side, player: u32, second_yellow: bool, desk: &mut Desk<'_>) -> u64 {
        self.squads[side as usize].send_off(player);
        self.sheet.add(side, Stat::RedCards as usize);
        self.emit(desk, Detail::RedCard { side, player, second_yellow })
    }

    fn substitute(&mut self, desk: &mut Desk<'_>) {
        if self.period == 1 {
            return;
        }
        let side = if desk.random.chance(512) { Side::Home } else { Side::Away };
        if let Some((player, player_on)) = self.squads[side as usize].substitute(desk.random) {
            self.sheet.add(side, Stat::Substitutions as usize);
            self.emit(desk, Detail::Substitution { side, player, player_on });
        }
    }

    fn interrupt(&mut self, desk: &mut Desk<'_>) {
        self.cover_again(desk);
        let reason = ["thunderstorm", "floodlight failure", "medical emergency", "crowd trouble"];
        let reason = reason[desk.random.below(4) as usize];
        self.phase = Phase::Interrupted;
        // Five to fifteen seconds for the viewer.
        self.wait_ticks = 20 + desk.random.below(41);
        self.emit(desk, Detail::Because { what: "interrupted", reason });
    }

    fn lose_coverage(&mut self, desk: &mut Desk<'_>) {
        if !self.is_covered {
            return;
        }
        let reason = ["scout lost connection", "no signal from the ground"][desk.random.below(2) as usize];
        self.emit(desk, Detail::Because { what: "coverage_suspended", reason });
        // One and a half to six minutes of play.
        self.is_covered = false;
        self.uncovered_ticks = 18 + desk.random.below(55);
    }

    /// Publishes the events that were missed, each with the clock at which it happened, and that the coverage is back.
    fn cover_again(&mut self, desk: &mut Desk<'_>) {
        if self.is_covered {
            return;
        }
        self.is_covered = true;
        desk.out.append(&mut self.unsent);
        self.emit(desk, Detail::Plain("coverage_resumed"));
    }

    /// Now and then the scout later corrects an event: it was another player, or some seconds earlier.
    fn perhaps_correct(&mut self, event_id: u64, side: Side, player: u32, desk: &mut Desk<'_>) {
        if !desk.random.chance(rates::CORRECTED_OF_1024) {
            return;
        }
        let ticks = 4 + desk.random.below(21);
        let what = if desk.random.chance(512) {
            Amendment::PlayerWas(self.squads[side as usize].teammate(player, desk.random))
        } else {
            let half_began_s = (self.period - 1) * HALF_S;
            Amendment::ClockWas(self.clock_s.saturating_sub(1 + desk.random.below(20)).max(half_began_s))
        };
        self.later.push(Later { ticks, event_id, what });
    }

    fn is_under_review(&self) -> bool {
        self.later.iter().any(|later| matches!(later.what, Amendment::GoalDisallowed(_)))
    }

    /// Publishes the amendments that are due when `ticks` more have passed.
    fn emit_due(&mut self, desk: &mut Desk<'_>, ticks: u32) {
        let is_due = |later: &mut Later| {
            later.ticks = later.ticks.saturating_sub(ticks);
            later.ticks == 0
        };
        let due: Vec<Later> = self.later.extract_if(.., is_due).collect();
        for Later { event_id: corrects, what, .. } in due {
            let detail = match what {
                Amendment::GoalDisallowed(side) => {
                    self.goals[side as usize] -= 1;
                    self.sheet.take_back(side, Stat::Shots as usize);
                    self.sheet.take_back(side, Stat::OnTarget as usize);
                    let reason = ["offside", "handball", "foul"][desk.random.below(3) as usize];
                    Detail::TakenBack { what: "goal_disallowed", side, corrects, reason }
                }
                Amendment::CardRescinded(side, player) => {
                    self.squads[side as usize].bring_back(player);
                    self.sheet.take_back(side, Stat::RedCards as usize);
                    Detail::TakenBack { what: "card_rescinded", side, corrects, reason: "no clear foul" }
                }
                Amendment::PlayerWas(player) => Detail::PlayerWas { corrects, player },
                Amendment::ClockWas(clock_s) => Detail::ClockWas { corrects, clock_s },
            };
            self.emit(desk, detail);
        }
    }

    /// Ends a half, after the amendments that are still to come.
    fn whistle(&mut self, desk: &mut Desk<'_>) {
        self.emit_due(desk, u32::MAX);
        self.cover_again(desk);
        let (what, phase, ticks) = match self.period {
            1 => ("half_time", Phase::HalfTime, HALF_TIME_TICKS),
            _ => ("full_time", Phase::FullTime, FULL_TIME_TICKS),
        };
        self.emit(desk, Detail::Plain(what));
        (self.phase, self.wait_ticks) = (phase, ticks);
    }

    fn emit(&mut self, desk: &mut Desk<'_>, detail: Detail) -> u64 {
        *desk.last_id += 1;
        let event = messages::event(self, *desk.last_id, detail);
        if self.is_covered {
            desk.out.push_back(event)
        } else {
            self.unsent.push_back(event)
        }
        *desk.last_id
    }

    fn publish(&mut self, desk: &mut Desk<'_>, whole: bool) {
        desk.out.push_back(messages::score(self));
        // Rounds half up, and the other side gets the rest, so that the sum is always 100.
        let [home, away] = self.possession_ticks;
        let home_pct = (200 * home + home + away).checked_div(2 * (home + away)).unwrap_or(50);
        self.sheet.set(Side::Home, Stat::PossessionPct as usize, home_pct);
        self.sheet.set(Side::Away, Stat::PossessionPct as usize, 100 - home_pct);
        let topic = self.clubs.topic("stats");
        desk.out.extend(self.sheet.publication(&topic, &format!("\"match\":{},", self.number), whole));
    }
}
