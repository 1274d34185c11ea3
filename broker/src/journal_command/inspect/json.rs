//! The same for programs.

use broker_engine::log::record;
use broker_journal::local::{COMMANDS, Mark};
use broker_journal::{checkpoint, store};
use serde_json::{Map, Value, json};

use super::super::outlook::{begins_generation, name, used};
use super::super::{chain, verify};
use super::Found;

/// The whole text, one line.
pub(super) fn text(found: &Found<'_>) -> String {
    let Found { reading, survey, checkpoints, served } = found;
    let (read_only, store) = (reading.found(), reading.found().store());
    let generation = store.generation();
    let commands: Map<String, Value> =
        COMMANDS.iter().zip(survey.commands).map(|(what, number)| ((*what).to_owned(), number.into())).collect();
    let segments = survey.segments.iter().map(|(segment, records)| {
        json!({
            "file": segment.path.file_name().unwrap_or_default().to_string_lossy(),
            "first": segment.first,
            "next": segment.next,
            "records": records,
            "bytes": segment.bytes,
        })
    });
    let sessions = survey.sessions.iter().map(|session| {
        json!({
            "session": session.session,
            "records": session.records,
            "first": mark(session.first),
            "last": mark(session.last),
        })
    });
    let checkpoints_json = checkpoints.iter().map(|checkpoint| match &checkpoint.summary {
        Ok(summary) => json!({
            "position": checkpoint.position,
            "saved_us": summary.head.saved_us,
            "topics": summary.topics,
            "updates": summary.updates,
            "bytes": summary.bytes,
            "valid": true,
            "fits": checkpoint.fits,
        }),
        Err(error) => json!({ "position": checkpoint.position, "valid": false, "error": chain(error) }),
    });
    let start = match served {
        Ok(served) => json!({
            "checkpoint": used(checkpoints).map(|used| used.position),
            "topics": served.topics,
            "updates": served.updates,
            "new_generation": begins_generation(store.last_end()),
        }),
        Err(error) => json!({ "error": chain(error) }),
    };
    let all = json!({
        "journal": reading.dir().to_string_lossy(),
        "generation": {
            // A number of 64 bits would lose some in most readers of JSON.
            "nonce": format!("{:016x}", generation.nonce),
            "start_us": generation.start_us,
            "first_ordinal": generation.first_ordinal,
        },
        "last_end": name(store.last_end()),
        "start": start,
        "formats": { "log": store::FORMAT, "record": record::VERSION, "checkpoint": checkpoint::FORMAT },
        "log": {
            "first": survey.first.map(mark),
            "last": survey.last.map(mark),
            "records": survey.records,
            "bytes": store.log_bytes(),
            "unfinished_bytes": read_only.unfinished_bytes(),
        },
        "dropped": survey.dropped.0,
        "damage": survey.damage.iter().map(verify::damage).collect::<Vec<_>>(),
        "segments": segments.collect::<Vec<_>>(),
        "commands": commands,
        "sessions_count": survey.sessions_count,
        "sessions": sessions.collect::<Vec<_>>(),
        "checkpoints": checkpoints_json.collect::<Vec<_>>(),
    });
    format!("{all}\n")
}

fn mark(mark: Mark) -> Value {
    json!({ "position": mark.position, "ts_us": mark.ts_us })
}
