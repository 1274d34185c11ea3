//! The end of an attack: a shot, free throws, or a turnover.

use super::game::{Amendment, Basket, Game, Stat};
use super::messages::Detail;
use super::rates;
use crate::sports::{Desk, Side};

/// From the fifth foul of the defence in a period on, each brings free throws (NBA rule 12, section B-V).
const FOULS_BEFORE_FREE_THROWS: u32 = 4;

impl Game {
    /// Gives `side` the ball, for as long as the shot clock allows: at most 24 seconds.
    pub(super) fn give_ball(&mut self, side: Side, desk: &mut Desk<'_>) {
        self.attack = side;
        self.attack_s = 4 + 2 * desk.random.below(10);
    }

    /// Gives the attackers the ball again, for at most 14 seconds.
    fn keep_ball(&mut self, desk: &mut Desk<'_>) {
        self.attack_s = 2 + 2 * desk.random.below(6);
    }

    /// Draws how the attack ends.
    pub(super) fn end_attack(&mut self, desk: &mut Desk<'_>) {
        match desk.random.below(1_024).checked_sub(rates::TURNOVER) {
            None => self.turnover(desk),
            Some(0..rates::SHOOTING_FOUL) => self.shooting_foul(desk),
            Some(rates::SHOOTING_FOUL..rates::FOUL) => self.floor_foul(desk),
            Some(_) => self.shoot(desk),
        }
    }

    fn turnover(&mut self, desk: &mut Desk<'_>) {
        let side = self.attack;
        let player = self.rosters[side as usize].player(desk.random);
        self.sheet.add(side, Stat::Turnovers as usize);
        if desk.random.chance(rates::OFFENSIVE_FOUL) {
            self.emit(desk, Detail::By { what: "turnover", side, player });
            self.foul(side, player, "offensive", desk);
        } else {
            let event_id = self.emit(desk, Detail::By { what: "turnover", side, player });
            self.perhaps_correct_player(event_id, side, player, desk);
            if desk.random.chance(rates::STOLEN) {
                self.sheet.add(side.other(), Stat::Steals as usize);
                let player = self.rosters[side.other() as usize].player(desk.random);
                self.emit(desk, Detail::By { what: "steal", side: side.other(), player });
            }
        }
        self.give_ball(side.other(), desk);
    }

    fn shooting_foul(&mut self, desk: &mut Desk<'_>) {
        let shooter = self.rosters[self.attack as usize].player(desk.random);
        // A foul on a three is rare.
        let throws = if desk.random.chance(40) { 3 } else { 2 };
        self.defender_fouls("shooting", desk);
        self.throw_free(shooter, throws, desk);
    }

    fn floor_foul(&mut self, desk: &mut Desk<'_>) {
        let in_penalty = self.period_fouls[self.attack.other() as usize] >= FOULS_BEFORE_FREE_THROWS;
        self.defender_fouls("personal", desk);
        if in_penalty {
            let shooter = self.rosters[self.attack as usize].player(desk.random);
            self.throw_free(shooter, 2, desk);
        } else {
            self.perhaps_substitute(desk);
            self.keep_ball(desk);
        }
    }

    fn shoot(&mut self, desk: &mut Desk<'_>) {
        let side = self.attack;
        let player = self.rosters[side as usize].player(desk.random);
        // In the last seconds a side that is three behind needs a three; a side that is less behind needs only a two.
        let behind = self.points(side.other()).saturating_sub(self.points(side));
        let three = match behind {
            1 | 2 if self.is_ending() => false,
            3 if self.is_ending() => true,
            _ => desk.random.chance(rates::THREE),
        };
        let points = if three { 3 } else { 2 };
        self.sheet.add(side, Stat::FgAttempted as usize);
        if three {
            self.sheet.add(side, Stat::ThreeAttempted as usize);
        }
        if desk.random.chance(if three { rates::THREE_MADE } else { rates::TWO_MADE }) {
            return self.basket(side, player, points, desk);
        }
        self.emit(desk, Detail::Shot { side, player, points, made: false, assist: None });
        if desk.random.chance(rates::BLOCKED) {
            self.sheet.add(side.other(), Stat::Blocks as usize);
            let player = self.rosters[side.other() as usize].player(desk.random);
            self.emit(desk, Detail::By { what: "block", side: side.other(), player });
        }
        self.rebound(rates::OFFENSIVE_REBOUND, desk);
    }

    fn basket(&mut self, side: Side, player: u32, points: u32, desk: &mut Desk<'_>) {
        self.score(side, points);
        self.sheet.add(side, Stat::FgMade as usize);
        if points == 3 {
            self.sheet.add(side, Stat::ThreeMade as usize);
        }
        let assisted = desk.random.chance(rates::ASSISTED);
        let assist = assisted.then(|| self.rosters[side as usize].teammate(player, desk.random));
        if assisted {
            self.sheet.add(side, Stat::Assists as usize);
        }
        let event_id = self.emit(desk, Detail::Shot { side, player, points, made: true, assist });
        let basket = Basket { event_id, side, points, assisted };
        // In the first game the first three was a two, so that every run shows a correction.
        if points == 3 && (desk.random.chance(rates::THREE_WAS_TWO) || self.staged) {
            self.staged = false;
            self.amend_later(Amendment::ThreeWasTwo(basket), desk);
        } else if desk.random.chance(rates::CANCELLED) {
            self.amend_later(Amendment::Cancelled(basket), desk);
        } else if desk.random.chance(rates::AND_ONE) {
            self.defender_fouls("shooting", desk);
            return self.throw_free(player, 1, desk);
        }
        self.give_ball(side.other(), desk);
        if desk.random.chance(rates::TIMEOUT) {
            self.take_timeout(side.other(), desk);
        }
    }

    fn throw_free(&mut self, player: u32, of: u32, desk: &mut Desk<'_>) {
        let side = self.attack;
        let mut made = false;
        for number in 1..=of {
            made = desk.random.chance(rates::FREE_THROW_MADE);
            self.sheet.add(side, Stat::FtAttempted as usize);
            if made {
                self.sheet.add(side, Stat::FtMade as usize);
                self.score(side, 1);
            }
            self.emit(desk, Detail::FreeThrow { side, player, number, of, made });
        }
        if made {
            self.perhaps_substitute(desk);
            self.give_ball(side.other(), desk);
        } else {
            self.rebound(rates::FREE_THROW_REBOUND, desk);
        }
    }

    fn rebound(&mut self, offensive: u32, desk: &mut Desk<'_>) {
        let offensive = desk.random.chance(offensive);
        let (side, kind, stat) = match offensive {
            true => (self.attack, "offensive", Stat::OffensiveRebounds),
            false => (self.attack.other(), "defensive", Stat::DefensiveRebounds),
        };
        if desk.random.chance(rates::OUT_OF_BOUNDS) {
            self.emit(desk, Detail::Team { what: "out_of_bounds", side });
        } else {
            let player = self.rosters[side as usize].player(desk.random);
            self.sheet.add(side, stat as usize);
            let event_id = self.emit(desk, Detail::Rebound { side, player, kind });
            self.perhaps_correct_player(event_id, side, player, desk);
        }
        match offensive {
            true => self.keep_ball(desk),
            false => self.give_ball(side, desk),
        }
    }

    fn defender_fouls(&mut self, kind: &'static str, desk: &mut Desk<'_>) {
        let side = self.attack.other();
        let player = self.rosters[side as usize].player(desk.random);
        self.period_fouls[side as usize] += 1;
        self.foul(side, player, kind, desk);
    }

    fn foul(&mut self, side: Side, player: u32, kind: &'static str, desk: &mut Desk<'_>) {
        self.sheet.add(side, Stat::Fouls as usize);
        self.emit(desk, Detail::Foul { side, player, kind });
        if self.rosters[side as usize].foul(player) {
            self.substitute(side, Some(player), desk);
        }
    }

    /// Now and then a side substitutes a player.
    pub(super) fn perhaps_substitute(&mut self, desk: &mut Desk<'_>) {
        for side in Side::BOTH {
            if desk.random.chance(rates::SUBSTITUTION) {
                self.substitute(side, None, desk);
            }
        }
    }

    fn substitute(&mut self, side: Side, player: Option<u32>, desk: &mut Desk<'_>) {
        if let Some((player, player_on)) = self.rosters[side as usize].substitute(player, desk.random) {
            self.emit(desk, Detail::Substitution { side, player, player_on });
        }
    }

    fn perhaps_correct_player(&mut self, event_id: u64, side: Side, player: u32, desk: &mut Desk<'_>) {
        if desk.random.chance(rates::PLAYER_WAS) {
            let player = self.rosters[side as usize].teammate(player, desk.random);
            self.amend_later(Amendment::PlayerWas { event_id, player }, desk);
        }
    }

    fn score(&mut self, side: Side, points: u32) {
        self.sheet.set(side, Stat::Points as usize, self.points(side) + points);
    }
}
