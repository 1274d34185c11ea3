//! How often things happen in a game, per team: NBA regular season 2023-24.
//!
//! 114.2 points, 21.7 free throws, 18.7 fouls (Associated Press, 14 April 2024, "Inside the NBA numbers"); 88.9 shots
//! of which 35.1 are threes, 42.2 and 12.8 made, 78.4 % of the free throws, 10.6 offensive and 33.0 defensive rebounds,
//! 26.7 assists, 7.5 steals, 5.1 blocks, 13.6 turnovers, 98.5 possessions in 48 minutes (league averages per game on
//! basketball-reference.com). 6.2 to 6.4 % of the games go to overtime (seasons 2013-14 to 2015-16, RotoGrinders,
//! "Banking On Overtime"); here it is about one in forty, because nobody plays for a tie. There are no published
//! figures for how often a basket is reviewed; here it is often enough to be seen.
//!
//! An attack ends with a shot, a turnover or a foul; a team has as many as possessions and offensive rebounds together.
//! Shares are of 1,024.

/// Attacks that end with a turnover: 13.6 of some 117.
pub(super) const TURNOVER: u32 = 119;
/// Attacks that end with a foul on the shooter and no basket.
pub(super) const SHOOTING_FOUL: u32 = 72;
/// Attacks that are interrupted by another foul of the defence.
pub(super) const FLOOR_FOUL: u32 = 58;
/// Both kinds of foul.
pub(super) const FOUL: u32 = SHOOTING_FOUL + FLOOR_FOUL;

/// Shots that are threes: 35.1 of 88.9.
pub(super) const THREE: u32 = 404;
/// Threes that are made: 12.8 of 35.1, and some that will be ruled twos.
pub(super) const THREE_MADE: u32 = 383;
/// Twos that are made: 29.4 of 53.8.
pub(super) const TWO_MADE: u32 = 560;
/// Free throws that are made.
pub(super) const FREE_THROW_MADE: u32 = 803;
/// Baskets that a teammate prepared: 26.7 of 42.2.
pub(super) const ASSISTED: u32 = 648;
/// Baskets with a foul on top of them, for one free throw.
pub(super) const AND_ONE: u32 = 60;
/// Misses that were blocked: 5.1 of 46.7.
pub(super) const BLOCKED: u32 = 112;
/// Turnovers other than offensive fouls that are steals: 7.5 of 12.1.
pub(super) const STOLEN: u32 = 635;
/// Turnovers that are offensive fouls.
pub(super) const OFFENSIVE_FOUL: u32 = 110;
/// Missed shots whose rebound the attackers get: 10.6 of 43.6.
pub(super) const OFFENSIVE_REBOUND: u32 = 255;
/// Misses that no single player gets, because the ball goes out: the 33.0 and 10.6 rebounds are of some 49 misses.
pub(super) const OUT_OF_BOUNDS: u32 = 112;
/// Missed last free throws whose rebound the attackers get.
pub(super) const FREE_THROW_REBOUND: u32 = 125;

/// Threes that turn out to have been twos.
pub(super) const THREE_WAS_TWO: u32 = 24;
/// Baskets that are cancelled.
pub(super) const CANCELLED: u32 = 10;
/// Rebounds and turnovers that turn out to have been another player's.
pub(super) const PLAYER_WAS: u32 = 20;

/// Baskets after which the other side takes a time-out, if it has one left.
pub(super) const TIMEOUT: u32 = 110;
/// Fouls and time-outs at which a side substitutes a player.
pub(super) const SUBSTITUTION: u32 = 520;
