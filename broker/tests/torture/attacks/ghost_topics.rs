//! First publishes that the budget of images refuses. They must leave nothing behind, and cause no further work.

use std::io;
use std::time::{Duration, Instant};

use crate::attack::{Attack, Stage};
use crate::link::subscribe;
use crate::patience::pass;

pub(super) const ATTACKS: &[Attack] = &[Attack {
    name: "ghost_topics",
    what: "images fill `images_bytes_max`; 1,000 first patches are refused, and a client follows their topics",
    settings: &[
        ("images_bytes_max", ("64KiB", "64KiB")),
        ("image_bytes", ("32KiB", "32KiB")),
        ("message_bytes", ("32KiB", "32KiB")),
    ],
    run: ghosts,
    seconds: (4.0, 1.0),
    ..Attack::PLAIN
}];

const GHOSTS: usize = 1000;
/// The share of a core that an idle broker may use: the bystanders cost it much less.
const BUSY_MAX: f64 = 0.3;

fn ghosts(stage: &mut Stage<'_>) -> io::Result<()> {
    let (mut publisher, mut follower, patience) = (stage.link()?, stage.link()?, stage.patience());
    let mut publish = |topic: &str, kind: &str, data: &str| {
        let message = format!(r#"{{"op":"publish","id":1,"topic":"{topic}","kind":"{kind}","data":{data}}}"#);
        publisher.say(&message, &patience)?;
        publisher.message(&patience).map_err(io::Error::from)
    };
    // Nearly full: there is room for less than another kilobyte.
    for (size, length) in [30_000, 1_000].into_iter().enumerate() {
        let data = format!("\"{}\"", "x".repeat(length));
        for number in 0..100 {
            if publish(&format!("full.{size}.{number}"), "state", &data)?["op"] != "published" {
                break;
            }
        }
    }
    let before = stage.broker.metrics(&patience)?.get("tickcast_topics");
    let mut published = 0;
    for number in 0..GHOSTS {
        // Patches of every size: some seem to fit and do not, because an image takes more memory than its text.
        let data = format!(r#"{{"x":"{}"}}"#, "x".repeat(number));
        let answer = publish(&format!("ghost.{number}"), "patch", &data)?;
        published += usize::from(answer["op"] == "published");
    }
    let after = stage.broker.metrics(&patience)?.get("tickcast_topics");
    let names = (0..GHOSTS / 2).map(|number| format!("ghost.{number}")).chain(["ghost.>".to_owned()]);
    follower.ask(&subscribe(names, ""), "subscribed", &patience)?;
    let (begin, cpu) = (Instant::now(), stage.broker.cpu());
    pass(Duration::from_secs_f64(stage.size.pick(2.0, 0.5)));
    let busy = (stage.broker.cpu() - cpu).as_secs_f64() / begin.elapsed().as_secs_f64();
    stage.note(format!("{published} of {GHOSTS} first patches taken; {busy:.2} of a core afterwards"));
    let made = after - before;
    stage.check(made == published as f64, || format!("{published} first patches were taken, and made {made} topics"));
    stage.check(busy < BUSY_MAX, || format!("with nothing to do the broker uses {busy:.2} of a core"));
    Ok(())
}
