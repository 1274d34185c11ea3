//! Deleted topics release their memory at once, also if nothing else happens.

use std::io;

use super::stalled_wildcards::delete;
use crate::attack::{Attack, Stage};
use crate::patience::Patience;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "deleted_topics",
    what: "images fill `images_bytes_max`, are deleted, and are published again, over and over",
    settings: &[("images_bytes_max", ("16MiB", "4MiB"))],
    run: fill_and_delete,
    seconds: (5.0, 1.0),
    grows_mib: (80, 64),
    ..Attack::PLAIN
}];

/// The bytes of one state: a message may have 65,536.
const STATE_BYTES: usize = 60_000;

/// The most that the bystanders' topics and the broker's own may hold meanwhile.
const BYSTANDERS_BYTES: f64 = 512.0 * 1024.0;

fn fill_and_delete(stage: &mut Stage<'_>) -> io::Result<()> {
    let (data, mut rounds) = ("x".repeat(STATE_BYTES), 0);
    let mut all = 0;
    while !stage.is_over() {
        let names = fill(stage, rounds, &data)?;
        if rounds == 0 {
            all = names.len();
        }
        // What was deleted is free at once, so as many states fit as into an empty broker.
        stage.check(names.len() == all, || {
            format!("round {rounds}: {} of {all} states fit after the others were deleted", names.len())
        });
        if names.len() < all {
            break;
        }
        delete(stage, &names)?;
        rounds += 1;
    }
    stage.note(format!("{rounds} times {all} states"));
    let metrics = stage.broker.metrics(&Patience::of(std::time::Duration::from_secs(5)))?;
    let (images, histories) = (metrics.get("tickcast_image_bytes"), metrics.get("tickcast_history_bytes"));
    let left =
        [("images", images), ("histories", histories)].into_iter().filter(|(_, bytes)| *bytes > BYSTANDERS_BYTES);
    let left: Vec<String> = left.map(|(what, bytes)| format!("{bytes:.0} bytes of {what}")).collect();
    stage.check(left.is_empty(), || format!("all is deleted, and {} are counted", left.join(" and ")));
    Ok(())
}

/// Publishes states until one is refused. Returns the names of those that were accepted.
fn fill(stage: &mut Stage<'_>, round: usize, data: &str) -> io::Result<Vec<String>> {
    let (mut link, patience) = (stage.link()?, stage.patience());
    let mut names = Vec::new();
    loop {
        let name = format!("r{round}.n{}", names.len());
        link.say(&format!(r#"{{"op":"publish","id":1,"topic":"{name}","kind":"state","data":"{data}"}}"#), &patience)?;
        let answer = link.message(&patience)?;
        if answer["op"] != "published" {
            stage.check(answer["code"] == "limit", || format!("a publish was answered with {answer}"));
            return Ok(names);
        }
        names.push(name);
    }
}
