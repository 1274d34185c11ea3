//! The same for people.

use std::fmt::{self, Write as _};

use broker_engine::log::record;
use broker_journal::local::{COMMANDS, Checked, Mark};
use broker_journal::{checkpoint, store};

use super::super::chain;
use super::super::moment;
use super::super::outlook::{begins_generation, counted, last_run, served, used};
use super::super::verify::damage;
use super::Found;

/// The whole text.
pub(super) fn text(found: &Found<'_>) -> String {
    let mut out = String::new();
    // Writing to a string cannot fail.
    let _ = write(&mut out, found);
    out
}

fn write(out: &mut String, found: &Found<'_>) -> fmt::Result {
    let Found { reading, survey, checkpoints, .. } = found;
    let (read_only, store) = (reading.found(), reading.found().store());
    let generation = store.generation();
    writeln!(out, "journal      {}", reading.dir().display())?;
    writeln!(out, "generation   {:016x}, since {}", generation.nonce, moment::text(generation.start_us))?;
    writeln!(out, "last run     {}", last_run(store.last_end()))?;
    writeln!(out, "next start   {}", next_start(found))?;
    writeln!(out, "formats      log {}, record {}, checkpoint {}", store::FORMAT, record::VERSION, checkpoint::FORMAT)?;
    match (survey.first, survey.last) {
        (Some(first), Some(last)) => {
            writeln!(out, "log          {}, {} bytes", counted(survey.records, "record"), store.log_bytes())?;
            writeln!(out, "first        {}", mark(first))?;
            writeln!(out, "last         {}", mark(last))?;
        }
        _ => writeln!(out, "log          no records; the next one is {}", store.next_position())?,
    }
    if read_only.unfinished_bytes() > 0 {
        let what =
            if read_only.is_torn() { "of a record that was not written to its end" } else { "that are no record" };
        writeln!(out, "unfinished   {} bytes {what}: the next start cuts them off", read_only.unfinished_bytes())?;
    }
    for found in &survey.damage {
        writeln!(out, "damaged      {}", damage(found))?;
    }

    writeln!(out, "\nsegments")?;
    for (segment, _) in &survey.segments {
        let name = segment.path.file_name().unwrap_or_default().display();
        let records = match segment.next - segment.first {
            0 => "no records".into(),
            _ => format!("records {} to {}", segment.first, segment.next - 1),
        };
        writeln!(out, "  {name}   {records}, {} bytes", segment.bytes)?;
    }
    writeln!(out, "\ncommands")?;
    for (what, number) in COMMANDS.iter().zip(survey.commands).filter(|(_, number)| *number > 0) {
        writeln!(out, "  {:<20} {number}", what.replace('_', " "))?;
    }
    let listed = survey.sessions.len() as u64;
    match survey.sessions_count - listed {
        0 => writeln!(out, "\nsessions")?,
        earlier => writeln!(out, "\nsessions, the last {listed}; {} before them", counted(earlier, "other"))?,
    }
    for session in &survey.sessions {
        writeln!(
            out,
            "  {:<6} {}, {} to {}, {} to {}",
            session.session,
            counted(session.records, "record"),
            session.first.position,
            session.last.position,
            moment::text(session.first.ts_us),
            moment::text(session.last.ts_us)
        )?;
    }
    writeln!(out, "\ncheckpoints")?;
    let used = used(checkpoints).map(|used| used.position);
    for checkpoint in checkpoints {
        writeln!(out, "  at {:<6} {}", checkpoint.position, state(checkpoint, used == Some(checkpoint.position)))?;
    }
    Ok(())
}

fn next_start(found: &Found<'_>) -> String {
    let store = found.reading.found().store();
    let checkpoint = used(&found.checkpoints).map(|used| used.position);
    let behind = store.next_position() - 1 - checkpoint.unwrap_or(0);
    match &found.served {
        Err(error) => format!("is refused: {}", chain(error)),
        Ok(number) => {
            let from = match checkpoint {
                Some(position) => format!("checkpoint {position} and {} behind it", counted(behind, "record")),
                None => counted(behind, "record"),
            };
            let generation = if begins_generation(store.last_end()) {
                ", under new epochs: clients are told to begin anew"
            } else {
                ""
            };
            format!("reads {from}, and serves {}{generation}", served(*number))
        }
    }
}

fn mark(mark: Mark) -> String {
    format!("{} at {}", mark.position, moment::text(mark.ts_us))
}

fn state(checkpoint: &Checked, is_used: bool) -> String {
    match &checkpoint.summary {
        Err(error) => format!("damaged: {}", chain(error)),
        Ok(summary) => {
            let state = match (checkpoint.fits, is_used) {
                (false, _) => "whole, but the log does not continue it",
                (true, true) => "whole, used by the next start",
                (true, false) => "whole",
            };
            format!(
                "{}, {}, {}, {} bytes: {state}",
                moment::text(summary.head.saved_us),
                counted(summary.topics, "topic"),
                counted(summary.updates, "update"),
                summary.bytes
            )
        }
    }
}
