//! StatsBomb events: a match with own goals, cards and a shoot-out.
//!
//! Source: StatsBomb, "Open Data Specification", Events.

use serde_json::{Value, json};

pub(crate) fn recording() -> String {
    serde_json::to_string_pretty(&events()).expect("JSON") + "\n"
}

fn events() -> Vec<Value> {
    let shot = |outcome: &str| json!({"shot": {"outcome": {"name": outcome}, "statsbomb_xg": 0.5}});
    let incomplete_corner = json!({"pass": {"outcome": {"name": "Incomplete"}, "type": {"name": "Corner"}}});
    let yellow = json!({"foul_committed": {"card": {"name": "Yellow Card"}}});
    let second_yellow = json!({"bad_behaviour": {"card": {"name": "Second Yellow"}}});
    let (reds, blues) = ("Reds \"04\"", "Blues");
    vec![
        event(1, "00:00:00.000", "Starting XI", reds, json!({})),
        event(1, "00:00:00.000", "Starting XI", blues, json!({})),
        event(1, "00:00:00.000", "Half Start", reds, json!({})),
        event(1, "00:00:01.500", "Pass", reds, json!({"pass": {}})),
        event(1, "00:00:03.000", "Pass", reds, incomplete_corner),
        event(1, "00:01:00.000", "Shot", blues, shot("Goal")),
        event(1, "00:02:00.000", "Own Goal Against", blues, json!({})),
        event(1, "00:02:00.000", "Own Goal For", reds, json!({})),
        event(1, "00:46:00.000", "Half End", blues, json!({})),
        event(2, "00:00:00.000", "Half Start", blues, json!({})),
        event(2, "00:00:30.000", "Foul Committed", blues, yellow),
        event(2, "00:00:31.000", "Bad Behaviour", blues, second_yellow),
        // Entered late.
        event(2, "00:00:10.000", "Substitution", reds, json!({})),
        event(2, "00:48:00.000", "Half End", blues, json!({})),
        event(5, "00:00:00.000", "Half Start", blues, json!({})),
        event(5, "00:00:10.000", "Shot", blues, shot("Goal")),
        event(5, "00:00:20.000", "Shot", reds, shot("Saved")),
        event(5, "00:00:30.000", "Half End", blues, json!({})),
    ]
}

/// An event with `more` in it.
fn event(period: u32, timestamp: &str, kind: &str, team: &str, more: Value) -> Value {
    let minute = timestamp[3..5].parse::<u32>().expect("minutes") + [0, 45, 90, 105, 120][period as usize - 1];
    let mut event = json!({
        "period": period, "timestamp": timestamp, "minute": minute, "type": {"id": type_id(kind), "name": kind},
        "team": {"name": team}, "possession_team": {"name": team}
    });
    event.as_object_mut().expect("an object").extend(more.as_object().expect("an object").clone());
    event
}

/// The id of a type of event in the specification.
fn type_id(kind: &str) -> u32 {
    match kind {
        "Shot" => 16,
        "Half Start" => 18,
        "Substitution" => 19,
        "Own Goal Against" => 20,
        "Foul Committed" => 22,
        "Bad Behaviour" => 24,
        "Own Goal For" => 25,
        "Pass" => 30,
        "Half End" => 34,
        "Starting XI" => 35,
        _ => unreachable!("{kind} is in no recording"),
    }
}
