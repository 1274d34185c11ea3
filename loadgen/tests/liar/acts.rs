//! What a liar does to the streams of its subscribers, and what the verifier has to find.

use std::collections::BTreeMap;

/// What is done to a stream, beginning with one update.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    /// This many updates are not sent.
    Lose(u64),
    /// The update is sent twice.
    Twice,
    /// The update is sent again after the next one.
    Again,
    /// The update is sent after this many others.
    Behind(u64),
    /// A byte of the update is changed.
    Garble,
    /// A digit is put before the update's number, which is given nowhere else.
    Misnumber,
    /// The update is sent with the payload of the one before.
    Stale,
    /// The update and the next two are not sent, and a gap announces it.
    Announce,
    /// The same, but the gap leaves out the first.
    AnnounceLess,
    /// An image stands for the update and the next.
    Image,
    /// The next update stands for this one as well.
    Merge,
}

/// The acts of a server without numbers of its own.
pub(crate) const PLAIN: &[Act] =
    &[Act::Lose(1), Act::Twice, Act::Behind(1), Act::Garble, Act::Again, Act::Misnumber, Act::Lose(3), Act::Behind(2)];

/// The acts of a server with numbers of its own, with those that are no lies among them.
pub(crate) const NUMBERED: &[Act] = &[
    Act::Lose(1),
    Act::Announce,
    Act::Garble,
    Act::Image,
    Act::Twice,
    Act::Stale,
    Act::Merge,
    Act::Behind(1),
    Act::AnnounceLess,
    Act::Again,
    Act::Lose(3),
    Act::Behind(2),
];

/// The acts that are no lies.
pub(crate) const HONEST: &[Act] = &[Act::Announce, Act::Image, Act::Merge];

/// Every this many updates there is an act, which spans fewer updates than this.
const EVERY: u64 = 5;
/// The last update with an act.
const LAST: u64 = 45;

/// A message that is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Sent {
    Update { n: u64, data: String },
    Merged { from: u64, n: u64, data: String },
    Image { n: u64, data: String },
    Gap { from: u64, to: u64 },
}

/// What the verifier has to find.
#[derive(Debug, Default)]
pub(crate) struct Lies {
    pub(crate) findings: Vec<String>,
    pub(crate) delivered: u64,
    pub(crate) images: u64,
    pub(crate) skipped: u64,
    pub(crate) announced: u64,
    pub(crate) lost: u64,
    pub(crate) duplicated: u64,
    pub(crate) reordered: u64,
    pub(crate) corrupted: u64,
}

#[derive(Debug, Default)]
struct Stream {
    /// The number of the last update.
    n: u64,
    /// The payload of the last update.
    before: String,
    /// An update that is held back.
    held: Option<(u64, String)>,
}

/// A liar.
pub(crate) struct Liar {
    acts: &'static [Act],
    /// Changes a byte of the payload of the `n`th update.
    garble: fn(&str, u64) -> String,
    /// By subscriber and topic.
    streams: BTreeMap<(u32, String), Stream>,
}

impl Liar {
    pub(crate) fn new(acts: &'static [Act], garble: fn(&str, u64) -> String) -> Self {
        Self { acts, garble, streams: BTreeMap::new() }
    }

    fn act(&self, subscriber: u32, topic: &str, base: u64) -> Option<Act> {
        if base == 0 || base > LAST || self.acts.is_empty() {
            return None;
        }
        // Each stream begins at another act of the list.
        let offset = 3 * subscriber as usize + topic.bytes().last().map_or(0, usize::from);
        Some(self.acts[((base / EVERY) as usize + offset) % self.acts.len()])
    }

    /// The messages that a subscriber gets when the topic's `n`th update is published.
    pub(crate) fn publish(&mut self, subscriber: u32, topic: &str, n: u64, data: &str) -> Vec<Sent> {
        let phase = n % EVERY;
        let act = self.act(subscriber, topic, n - phase);
        let stream = self.streams.entry((subscriber, topic.to_owned())).or_default();
        let update = |n: u64, data: &str| Sent::Update { n, data: data.to_owned() };
        let said = match (act, phase) {
            (Some(Act::Lose(count)), phase) if phase < count => Vec::new(),
            (Some(Act::Twice), 0) => vec![update(n, data), update(n, data)],
            (Some(Act::Again), 1) => vec![update(n, data), update(n - 1, &stream.before)],
            (Some(Act::Behind(_)), 0) => {
                stream.held = Some((n, data.to_owned()));
                Vec::new()
            }
            (Some(Act::Behind(by)), phase) if phase == by => {
                let held = stream.held.take().map(|(n, data)| Sent::Update { n, data });
                std::iter::once(update(n, data)).chain(held).collect()
            }
            (Some(Act::Garble), 0) => vec![update(n, &(self.garble)(data, n))],
            (Some(Act::Misnumber), 0) => {
                vec![update(n, &data.replace(&format!("\"n\":{n},"), &format!("\"n\":9{n},")))]
            }
            (Some(Act::Stale), 0) => vec![update(n, &stream.before)],
            (Some(Act::Announce | Act::AnnounceLess), 0 | 1) => Vec::new(),
            (Some(Act::Announce), 2) => vec![Sent::Gap { from: n - 2, to: n }],
            (Some(Act::AnnounceLess), 2) => vec![Sent::Gap { from: n - 1, to: n }],
            (Some(Act::Image), 0) | (Some(Act::Merge), 0) => Vec::new(),
            (Some(Act::Image), 1) => vec![Sent::Image { n, data: data.to_owned() }],
            (Some(Act::Merge), 1) => vec![Sent::Merged { from: n - 1, n, data: data.to_owned() }],
            _ => vec![update(n, data)],
        };
        stream.n = n;
        data.clone_into(&mut stream.before);
        said
    }

    /// What the verifier has to find; `None` if too little was published.
    pub(crate) fn lies(&self) -> Option<Lies> {
        let mut lies = Lies::default();
        for ((subscriber, topic), stream) in &self.streams {
            if stream.n < LAST + EVERY {
                return None;
            }
            lies.delivered += stream.n;
            for base in (EVERY..=LAST).step_by(EVERY as usize) {
                let act = self.act(*subscriber, topic, base);
                act.into_iter().for_each(|act| lies.add(act, *subscriber, topic, base));
            }
        }
        Some(lies)
    }
}

impl Lies {
    fn add(&mut self, act: Act, subscriber: u32, topic: &str, n: u64) {
        let (what, updates, not_delivered) = match act {
            Act::Lose(count) => ("lost silently", count, count),
            Act::AnnounceLess => ("lost silently", 1, 3),
            // It arrived, but cannot be distinguished from one that did not.
            Act::Misnumber => ("lost silently", 1, 1),
            Act::Twice | Act::Again => ("duplicated", 1, 0),
            Act::Behind(_) => ("reordered", 1, 0),
            Act::Garble | Act::Stale => ("corrupted", 1, 0),
            Act::Announce => ("", 0, 3),
            Act::Image | Act::Merge => ("", 0, 1),
        };
        self.delivered -= not_delivered;
        match act {
            Act::Lose(_) => self.lost += updates,
            Act::AnnounceLess => (self.lost, self.announced) = (self.lost + 1, self.announced + 2),
            Act::Twice | Act::Again => self.duplicated += 1,
            Act::Behind(_) => self.reordered += 1,
            Act::Garble | Act::Stale => self.corrupted += 1,
            Act::Misnumber => {
                (self.lost, self.corrupted) = (self.lost + 1, self.corrupted + 1);
                self.findings.push(format!("{topic}: 1 update corrupted at seq 9{n}, subscriber {subscriber}"));
            }
            Act::Announce => self.announced += 3,
            Act::Image => (self.images, self.skipped) = (self.images + 1, self.skipped + 1),
            Act::Merge => self.skipped += 1,
        }
        if updates > 0 {
            let updates = if updates == 1 { "1 update".to_owned() } else { format!("{updates} updates") };
            self.findings.push(format!("{topic}: {updates} {what} at seq {n}, subscriber {subscriber}"));
        }
    }
}

/// Replaces a byte by another one, so that the result is still text.
pub(crate) fn other_byte(text: &str, at: usize) -> String {
    let mut bytes = text.as_bytes().to_vec();
    bytes[at] = match bytes[at] {
        b'9' => b'0',
        b'0'..=b'8' => bytes[at] + 1,
        b'x' => b'y',
        _ => b'x',
    };
    String::from_utf8(bytes).expect("text stays text")
}
