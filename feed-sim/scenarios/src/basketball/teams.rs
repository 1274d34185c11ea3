//! The teams.

use crate::sports::League;

pub(super) const LEAGUE: League = League {
    sport: "basketball",
    known: &[
        ("BRH", "Bridgeton Herons"),
        ("CAL", "Calder Foxes"),
        ("DUN", "Dunmore Giants"),
        ("ELK", "Elkridge Stags"),
        ("FAI", "Fairhaven Pilots"),
        ("GRA", "Granite Bay Bears"),
        ("HOL", "Holloway Comets"),
        ("IRO", "Ironvale Smiths"),
    ],
    others: ("T", "Team"),
};
