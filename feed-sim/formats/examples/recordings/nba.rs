//! NBA play-by-play, version 3: the beginning of a game.
//!
//! Source: the fields that `nba_api` documents for the league's endpoint `playbyplayv3`
//! (`docs/nba_api/stats/endpoints/playbyplayv3.md`).

use serde_json::{Value, json};

pub(crate) fn recording() -> String {
    let actions = [
        action(1, "PT12M00.00S", ["period", "start"], ["", ""], ["0", "0"]),
        action(2, "PT11M30.00S", ["Made Shot", "Layup Shot"], ["h", "ABC"], ["2", "0"]),
        action(3, "PT11M10.00S", ["Made Shot", "Jump Shot"], ["v", "XYZ"], ["2", "3"]),
        // Entered late.
        action(4, "PT11M20.00S", ["Foul", "Personal"], ["h", "ABC"], ["", ""]),
        action(5, "PT11M00.50S", ["Rebound", "Unknown"], ["v", "XYZ"], ["", ""]),
    ];
    let document =
        json!({"meta": {"version": 1}, "game": {"gameId": "90002", "videoAvailable": 0, "actions": actions}});
    serde_json::to_string_pretty(&document).expect("JSON") + "\n"
}

fn action(
    number: u32,
    clock: &str,
    [kind, detail]: [&str; 2],
    [location, team]: [&str; 2],
    [home, away]: [&str; 2],
) -> Value {
    json!({
        "actionNumber": number, "clock": clock, "period": 1, "teamTricode": team, "location": location,
        "scoreHome": home, "scoreAway": away, "actionType": kind, "subType": detail, "actionId": number
    })
}
