//! The clubs.

use crate::sports::League;

pub(super) const LEAGUE: League = League {
    sport: "football",
    known: &[
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
    ],
    others: ("C", "Club"),
};
