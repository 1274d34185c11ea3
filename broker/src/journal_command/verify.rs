//! `tickcast journal verify`: reads everything, and says what a start would make of it.

use std::fmt::Write as _;
use std::path::Path;
use std::process::ExitCode;

use broker::clock;
use broker::config::Config;
use broker_journal::LastEnd;
use broker_journal::local::{Damage, JournalError, Reading, check_checkpoints, verify_backup};
use broker_journal::store::StoreError;

use super::outlook::{begins_generation, counted, last_run, served};
use super::{chain, moment, open};
use crate::say;

const COMMAND: &str = "tickcast journal verify";

/// Reads a journal.
pub(super) fn run(dir: &Path, config: &Config) -> anyhow::Result<ExitCode> {
    let reading = match Reading::open(dir, clock::now) {
        Err(JournalError::Store(error @ (StoreError::Damaged { .. } | StoreError::Format { .. }))) => {
            return Ok(refused(dir, &error));
        }
        _ => open(dir)?,
    };
    let (mut text, mut is_good) = (String::new(), true);
    let mut say = |is_damage: bool, line: String| {
        is_good &= !is_damage;
        // Writing to a string cannot fail.
        let _ = writeln!(text, "{}{line}", if is_damage { "DAMAGED  " } else { "good     " });
    };
    let survey = reading.survey();
    for (segment, records) in &survey.segments {
        let expected = segment.next - segment.first;
        let name = segment.path.file_name().unwrap_or_default().display();
        let read = if *records == expected { String::new() } else { format!(" of {expected}") };
        say(
            *records != expected,
            format!("{name}: {records}{read} {}", if expected == 1 { "record" } else { "records" }),
        );
    }
    survey.damage.iter().for_each(|found| say(true, damage(found)));
    if let (count, Some((position, why))) = survey.dropped {
        say(
            true,
            format!("{} that a start passes over; the first is record {position}: {why}", counted(count, "record")),
        );
    }
    for checkpoint in reading.checkpoints()? {
        let position = checkpoint.position;
        match (&checkpoint.summary, checkpoint.fits) {
            (Err(error), _) => say(true, chain(error)),
            (Ok(_), false) => {
                say(true, format!("the checkpoint at {position} is whole, but the log does not continue it"))
            }
            (Ok(has), true) => say(
                false,
                format!(
                    "the checkpoint at {position}: {}, {}",
                    counted(has.topics, "topic"),
                    counted(has.updates, "retained update")
                ),
            ),
        }
    }
    let (found, end) = (reading.found(), reading.found().store().last_end());
    match (end, found.unfinished_bytes()) {
        (LastEnd::PowerLost | LastEnd::Damaged, 0) => say(true, format!("the last run: {}", last_run(end))),
        (LastEnd::PowerLost | LastEnd::Damaged, bytes) => say(
            true,
            format!(
                "the last run: {}. {} behind the last whole record cannot be read, and a start deletes them: copy the \
                 directory first if you want to keep them",
                last_run(end),
                counted(bytes, "byte")
            ),
        ),
        (_, 0) => {}
        (_, bytes) => say(
            false,
            format!("{bytes} bytes at the end are half a record, which was never answered: a start cuts them off"),
        ),
    }
    let start = reading.start(&config.engine_limits()).map(|start| served(start.served(clock::now())));
    let outlook = match start {
        Err(error) => {
            is_good = false;
            format!("A start is refused: {}", chain(&error))
        }
        Ok(served) if is_good => format!("A start serves everything: {served}."),
        Ok(served) if begins_generation(end) => format!(
            "A start begins a new generation with {served}: clients are told to begin anew. The newest updates may be \
             missing."
        ),
        Ok(served) => format!(
            "A start serves everything all the same: {served}. What is damaged is not needed for that; make a backup while \
             this is so."
        ),
    };
    text.push_str(&outlook);
    text.push('\n');
    Ok(status(say::output(COMMAND, &text), is_good))
}

/// Reads a backup.
pub(super) fn backup(file: &Path) -> anyhow::Result<ExitCode> {
    let has = verify_backup(file)?;
    let text = format!(
        "{} is whole: {} with {}, of {}, {} bytes.\n",
        file.display(),
        counted(has.topics, "topic"),
        counted(has.updates, "retained update"),
        moment::text(has.head.saved_us),
        has.bytes
    );
    Ok(say::output(COMMAND, &text))
}

/// Says of a journal that cannot even be opened what of it can be read.
fn refused(dir: &Path, error: &StoreError) -> ExitCode {
    let mut text = format!("DAMAGED  {}\n", chain(error));
    for checkpoint in check_checkpoints(dir).into_iter().flatten() {
        let _ = match &checkpoint.summary {
            Ok(_) => writeln!(text, "good     the checkpoint at {} is whole", checkpoint.position),
            Err(error) => writeln!(text, "DAMAGED  {}", chain(error)),
        };
    }
    text.push_str(
        "A start is refused, and nothing of this is served. Restore a backup with `tickcast journal restore`.\n",
    );
    status(say::output(COMMAND, &text), false)
}

/// What is damaged, in a sentence.
pub(super) fn damage(damage: &Damage) -> String {
    match damage {
        Damage::Segment { error, .. } => chain(error),
        Damage::Record { position, error } => {
            format!("record {position} cannot be read, although it is as it was written: {}", chain(error))
        }
    }
}

fn status(output: ExitCode, is_good: bool) -> ExitCode {
    if is_good { output } else { ExitCode::FAILURE }
}
