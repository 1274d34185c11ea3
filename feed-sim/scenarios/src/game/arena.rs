//! An arena, and the round being played in it.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::TICK_US;
use super::player::{HP_MAX, PADS, Player, distance_cm};
use crate::ensemble::Actor;
use feed_player::publication::{Kind, Publication};
use feed_player::random::Random;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 6 << 40;

/// Two minutes.
const ROUND_TICKS: u64 = 2_400;
/// Three seconds.
const DEAD_TICKS: u32 = 60;
/// Ten seconds until an item that was taken is back.
const PAD_TICKS: u32 = 200;
const PICKUP_CM: i32 = 100;
const RANGE_CM: i32 = 1_500;
/// How many of 1,024 ticks with an enemy in range bring a hit.
const HIT_OF_1024: u32 = 40;
const DAMAGE_MIN: u32 = 15;
const DAMAGE_SPREAD: u32 = 31;
/// Every this many messages the scoreboard is sent whole, for a broker that was restarted and has lost it.
const WHOLE_EVERY: u32 = 256;

/// What a player has done in this round.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Tally {
    kills: u32,
    deaths: u32,
    pickups: u32,
}

pub(super) struct Arena {
    name: String,
    random: Random,
    tick: u64,
    round: u64,
    last_id: u64,
    players: Vec<Player>,
    /// Ticks until the item on each pad is back, 0 if it is there.
    pad_ticks: [u32; PADS.len()],
    tallies: Vec<Tally>,
    sent: Vec<Tally>,
    scoreboards: u32,
}

impl Arena {
    /// Makes arena `number`, from 0, with that many players.
    pub(super) fn new(seed: u64, number: u32, players: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let players: Vec<Player> = (0..players).map(|_| Player::new(&mut random)).collect();
        Arena {
            name: format!("a{}", number + 1),
            random,
            tick: 0,
            round: 0,
            last_id: 0,
            tallies: vec![Tally::default(); players.len()],
            sent: vec![Tally::default(); players.len()],
            players,
            pad_ticks: [0; PADS.len()],
            scoreboards: 0,
        }
    }

    fn begin_round(&mut self, out: &mut VecDeque<Publication>) {
        self.round += 1;
        self.tallies.fill(Tally::default());
        let round = self.round;
        self.emit("round_start", format_args!(",\"round\":{round}"), out);
        self.emit_scoreboard(true, out);
    }

    fn end_round(&mut self, out: &mut VecDeque<Publication>) {
        let most = self.tallies.iter().map(|tally| tally.kills).max().unwrap_or(0);
        let mut best = (0..self.tallies.len()).filter(|&index| self.tallies[index].kills == most);
        let winner = match (best.next(), best.next()) {
            (Some(index), None) => format!("\"p{}\"", index + 1),
            _ => "null".to_owned(),
        };
        let round = self.round;
        self.emit("round_end", format_args!(",\"round\":{round},\"winner\":{winner}"), out);
    }

    fn play(&mut self, index: usize, out: &mut VecDeque<Publication>) {
        let player = &mut self.players[index];
        if !player.is_alive() {
            player.dead_ticks -= 1;
            if player.is_alive() {
                player.spawn(&mut self.random);
                let life = player.life;
                self.emit("spawn", format_args!(",\"player\":\"p{}\",\"life\":{life}", index + 1), out);
            }
            return;
        }
        player.step(&mut self.random);
        self.pick_up(index, out);
        self.fight(index, out);
    }

    fn pick_up(&mut self, index: usize, out: &mut VecDeque<Publication>) {
        let at = self.players[index].at;
        for (pad, (item, pad_at)) in PADS.into_iter().enumerate() {
            if self.pad_ticks[pad] == 0 && distance_cm(at, pad_at) <= PICKUP_CM {
                self.pad_ticks[pad] = PAD_TICKS;
                if item == "medkit" {
                    self.players[index].hp = HP_MAX;
                }
                self.tallies[index].pickups += 1;
                let hp = self.players[index].hp;
                let rest = format_args!(",\"player\":\"p{}\",\"item\":\"{item}\",\"hp\":{hp}", index + 1);
                self.emit("pickup", rest, out);
            }
        }
    }

    /// Hits the nearest enemy now and then, if one is in range.
    fn fight(&mut self, index: usize, out: &mut VecDeque<Publication>) {
        let at = self.players[index].at;
        let enemies = self.players.iter().enumerate().filter(|&(other, enemy)| other != index && enemy.is_alive());
        let nearest = enemies.map(|(other, enemy)| (distance_cm(at, enemy.at), other)).min();
        let Some((distance_cm, victim)) = nearest else { return };
        if distance_cm > RANGE_CM || !self.random.chance(HIT_OF_1024) {
            return;
        }
        let damage = DAMAGE_MIN + self.random.below(DAMAGE_SPREAD);
        let enemy = &mut self.players[victim];
        enemy.hp = (enemy.hp - damage as i32).max(0);
        if enemy.hp == 0 {
            enemy.dead_ticks = DEAD_TICKS;
            self.tallies[index].kills += 1;
            self.tallies[victim].deaths += 1;
            let (killer, victim) = (index + 1, victim + 1);
            let rest = format_args!(",\"killer\":\"p{killer}\",\"victim\":\"p{victim}\",\"distance_cm\":{distance_cm}");
            self.emit("kill", rest, out);
        }
    }

    fn emit(&mut self, what: &str, rest: std::fmt::Arguments<'_>, out: &mut VecDeque<Publication>) {
        self.last_id += 1;
        let data = format!(r#"{{"id":{},"tick":{},"type":"{what}"{rest}}}"#, self.last_id, self.tick);
        out.push_back(Publication::new(&format!("game.{}.event", self.name), Kind::Event, data));
    }

    fn emit_positions(&self, out: &mut VecDeque<Publication>) {
        for (index, player) in self.players.iter().enumerate() {
            let data = format!(
                r#"{{"tick":{},"x":{},"y":{},"life":{},"hp":{},"alive":{}}}"#,
                self.tick,
                player.at.0,
                player.at.1,
                player.life,
                player.hp,
                player.is_alive()
            );
            let topic = format!("game.{}.position.p{}", self.name, index + 1);
            out.push_back(Publication::new(&topic, Kind::State, data));
        }
    }

    fn emit_scoreboard(&mut self, whole: bool, out: &mut VecDeque<Publication>) {
        if !whole && self.sent == self.tallies {
            return;
        }
        let whole = whole || self.scoreboards.is_multiple_of(WHOLE_EVERY);
        self.scoreboards += 1;
        let mut data = String::from("{");
        if whole {
            _ = write!(data, "\"round\":{},", self.round);
        }
        data.push_str("\"players\":{");
        for (index, (now, before)) in self.tallies.iter().zip(&self.sent).enumerate() {
            if whole || now != before {
                _ = write!(
                    data,
                    "\"p{}\":{{\"kills\":{},\"deaths\":{},\"pickups\":{}}},",
                    index + 1,
                    now.kills,
                    now.deaths,
                    now.pickups
                );
            }
        }
        // The comma after the last player.
        data.pop();
        data.push_str("}}");
        self.sent.clone_from(&self.tallies);
        let kind = if whole { Kind::State } else { Kind::Patch };
        out.push_back(Publication::new(&format!("game.{}.scoreboard", self.name), kind, data));
    }
}

impl Actor for Arena {
    fn act(&mut self, _now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        if self.tick.is_multiple_of(ROUND_TICKS) {
            if self.tick > 0 {
                self.end_round(out);
            }
            self.begin_round(out);
        }
        self.tick += 1;
        for ticks in &mut self.pad_ticks {
            *ticks = ticks.saturating_sub(1);
        }
        for index in 0..self.players.len() {
            self.play(index, out);
        }
        self.emit_positions(out);
        self.emit_scoreboard(false, out);
        TICK_US
    }
}
