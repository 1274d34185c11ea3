//! Who plays whom. All clubs are made up.

/// A club: the three letters of its topics, and its name.
#[derive(Debug, Clone)]
pub(super) struct Club {
    pub(super) code: String,
    pub(super) name: String,
}

const KNOWN: &[(&str, &str)] = &[
    ("NOR", "Northgate Rovers"),
    ("HAR", "Harbour City"),
    ("EST", "Eastmoor United"),
    ("RIV", "Riverside Athletic"),
    ("OAK", "Oakfield Town"),
    ("MIL", "Millbridge"),
    ("KIN", "Kingsmead Wanderers"),
    ("SAL", "Saltmarsh Albion"),
    ("FER", "Ferndale"),
    ("COP", "Copperhill Miners"),
    ("WES", "Westhaven"),
    ("LAN", "Langdale County"),
    ("PEN", "Penrose Argyle"),
    ("STO", "Stonebeck"),
    ("ASH", "Ashford Vale"),
    ("GLE", "Glenmore Thistle"),
];

/// Each pitch has clubs of its own, so that no club plays twice at once.
const CLUBS_PER_PITCH: u32 = 4;

/// The clubs of round `round` on a pitch: home and away. Twelve rounds, then from the beginning: a feed that runs for a
/// week has no more topics than after an hour.
pub(super) fn pairing(pitch: u32, round: u32) -> (Club, Club) {
    let home = round % CLUBS_PER_PITCH;
    let away = (home + 1 + (round / CLUBS_PER_PITCH) % (CLUBS_PER_PITCH - 1)) % CLUBS_PER_PITCH;
    (club(pitch * CLUBS_PER_PITCH + home), club(pitch * CLUBS_PER_PITCH + away))
}

fn club(number: u32) -> Club {
    match KNOWN.get(number as usize) {
        Some(&(code, name)) => Club { code: code.to_owned(), name: name.to_owned() },
        None => Club { code: format!("C{number:02}"), name: format!("Club {number}") },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn twelve_rounds_are_twelve_pairings() {
        let rounds = |from: u32| -> BTreeSet<String> {
            (from..from + 12).map(|round| pairing(1, round)).map(|(home, away)| home.code + "-" + &away.code).collect()
        };
        assert_eq!(rounds(0).len(), 12);
        assert_eq!(rounds(0), rounds(12));
        assert!((0..12).all(|round| pairing(0, round).0.code != pairing(0, round).1.code));
    }
}
