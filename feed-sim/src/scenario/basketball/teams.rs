//! Who plays whom. All teams are made up.

/// A team: the three letters of its topics, and its name.
#[derive(Debug, Clone)]
pub(super) struct Team {
    pub(super) code: String,
    pub(super) name: String,
}

const KNOWN: &[(&str, &str)] = &[
    ("BRH", "Bridgeton Herons"),
    ("CAL", "Calder Foxes"),
    ("DUN", "Dunmore Giants"),
    ("ELK", "Elkridge Stags"),
    ("FAI", "Fairhaven Pilots"),
    ("GRA", "Granite Bay Bears"),
    ("HOL", "Holloway Comets"),
    ("IRO", "Ironvale Smiths"),
];

/// Each court has teams of its own, so that no team plays twice at once.
const TEAMS_PER_COURT: u32 = 4;

/// The teams of game number `round` on a court: home and away. Twelve games, then from the beginning: a feed that runs for a
/// week has no more topics than after a few hours.
pub(super) fn pairing(court: u32, round: u32) -> [Team; 2] {
    let home = round % TEAMS_PER_COURT;
    let away = (home + 1 + (round / TEAMS_PER_COURT) % (TEAMS_PER_COURT - 1)) % TEAMS_PER_COURT;
    [team(court * TEAMS_PER_COURT + home), team(court * TEAMS_PER_COURT + away)]
}

fn team(number: u32) -> Team {
    match KNOWN.get(number as usize) {
        Some(&(code, name)) => Team { code: code.to_owned(), name: name.to_owned() },
        None => Team { code: format!("T{number:02}"), name: format!("Team {number}") },
    }
}
