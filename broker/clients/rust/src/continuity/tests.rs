use proptest::prelude::*;

use super::*;

fn start(kind: Option<Kind>, epoch: Option<&str>, seq: u64, start: Start) -> TopicStart {
    TopicStart { topic: "t".into(), kind, epoch: epoch.map(Into::into), seq, oldest: 1, start, conflate_ms: 0 }
}

/// What an entry with this position asked for.
fn of(position: Option<&Position>) -> Asked<'_> {
    position.map_or(Asked::Nothing, Asked::Position)
}

fn position(epoch: &str, seq: u64) -> Position {
    Position { epoch: epoch.into(), seq }
}

#[derive(Debug, Clone)]
enum Came {
    Update(u64),
    Merged(u64, u64),
    Patch(u64),
    Image(u64),
    Gap(u64, u64),
    Closed,
}
use Came::*;

fn feed(track: &mut Track, came: &Came) -> Result<Added, Violation> {
    match *came {
        Update(seq) => track.update(None, seq),
        Merged(from, seq) => track.update(Some(from), seq),
        Patch(seq) => track.patch(None, seq),
        Image(seq) => track.image("k1", seq),
        Gap(from, to) => track.gap(from, to),
        Closed => track.closed(),
    }
}

/// Feeds messages after a start, and compares which of them (by index) are violations.
#[track_caller]
fn check(kind: Kind, begins: Start, seq: u64, asked: Option<Position>, came: &[Came], wrong: &[usize]) {
    let (mut track, violation) = Track::begin(&start(Some(kind), Some("k1"), seq, begins), of(asked.as_ref()), None);
    assert_eq!(violation, None);
    let found: Vec<usize> =
        came.iter().enumerate().filter(|(_, came)| feed(&mut track, came).is_err()).map(|(index, _)| index).collect();
    assert_eq!(found, wrong, "{came:?}");
}

#[test]
fn live_follows_by_one() {
    check(Kind::Event, Start::Live, 7, None, &[Update(8), Update(9), Gap(10, 12), Update(13), Closed], &[]);
    check(Kind::Event, Start::Live, 7, None, &[Update(9), Update(10)], &[0]);
    check(Kind::Event, Start::Live, 7, None, &[Update(8), Update(8)], &[1]);
    check(Kind::Event, Start::Live, 7, None, &[Update(8), Gap(10, 12), Update(13)], &[1]);
    check(Kind::Event, Start::Live, 7, None, &[Update(8), Gap(9, 8), Update(9)], &[1]);
    check(Kind::Event, Start::Live, 0, None, &[Update(1)], &[]);
}

#[test]
fn images_jump_ahead_only() {
    check(Kind::State, Start::Image, 7, None, &[Image(7), Update(8), Image(20), Update(21)], &[]);
    check(Kind::State, Start::Image, 7, None, &[Image(9), Update(10)], &[]);
    check(Kind::State, Start::Image, 7, None, &[Image(6)], &[0]);
    check(Kind::State, Start::Image, 7, None, &[Update(8), Update(9)], &[0]);
    check(Kind::State, Start::Live, 7, None, &[Image(7)], &[0]);
    check(Kind::State, Start::Live, 7, None, &[Update(8), Image(8)], &[1]);
    check(Kind::State, Start::Image, 7, None, &[Closed], &[0]);
    check(Kind::Event, Start::Live, 7, None, &[Image(8)], &[0]);
}

#[test]
fn merged_updates_name_what_they_replace() {
    check(Kind::State, Start::Image, 7, None, &[Image(7), Merged(8, 12), Patch(13), Merged(14, 14)], &[]);
    check(Kind::State, Start::Image, 7, None, &[Image(7), Merged(9, 12), Update(13)], &[1]);
    check(Kind::Event, Start::Live, 7, None, &[Patch(8)], &[0]);
}

#[test]
fn history_begins_anywhere_up_to_the_newest() {
    check(Kind::Event, Start::History, 7, None, &[Update(5), Update(6), Update(7), Update(8)], &[]);
    check(Kind::Event, Start::History, 7, None, &[Update(7)], &[]);
    check(Kind::Event, Start::History, 7, None, &[Gap(5, 6), Update(7)], &[]);
    check(Kind::Event, Start::History, 7, None, &[Update(8)], &[0]);
    check(Kind::Patch, Start::History, 7, None, &[Image(5), Patch(6), Patch(7)], &[]);
}

#[test]
fn resuming_connects_to_what_was_asked() {
    let asked = Some(position("k1", 4));
    check(Kind::Event, Start::Resumed, 7, asked.clone(), &[Update(5), Update(6)], &[]);
    check(Kind::Event, Start::Resumed, 7, asked.clone(), &[Update(8)], &[0]);
    // Reset within the epoch: a gap from the first missing update, then everything retained.
    check(Kind::Event, Start::Reset, 9, asked.clone(), &[Gap(5, 6), Update(7), Update(8)], &[]);
    check(Kind::Event, Start::Reset, 9, asked.clone(), &[Gap(6, 6), Update(7)], &[0]);
    check(Kind::State, Start::Reset, 9, asked, &[Image(9), Update(10)], &[]);
    // Another epoch: everything from 1 on is missing.
    let other = Some(position("k0", 400));
    check(Kind::Event, Start::Reset, 9, other.clone(), &[Gap(1, 6), Update(7)], &[]);
    check(Kind::Event, Start::Reset, 9, other.clone(), &[Update(1), Update(2)], &[]);
    check(Kind::Event, Start::Reset, 9, other, &[Update(7)], &[0]);
    // Ahead of the topic: only the broker can say what is missing.
    check(Kind::Event, Start::Reset, 9, Some(position("k1", 50)), &[Update(3), Update(4)], &[]);
    check(Kind::Event, Start::Reset, 9, Some(position("k1", 50)), &[Update(10)], &[]);
}

#[test]
fn resumed_from_nowhere_is_a_violation() {
    let resumed = start(Some(Kind::Event), Some("k1"), 9, Start::Resumed);
    for asked in [None, Some(position("k0", 4)), Some(position("k1", 10))] {
        let (_, violation) = Track::begin(&resumed, of(asked.as_ref()), None);
        assert!(matches!(violation, Some(Violation::NotAsked { .. })), "{asked:?}");
    }
}

/// Checks a stream that resumes from an id, for a client that had everything up to `had`: what each message adds, or
/// `None` if it is a violation.
#[track_caller]
fn check_id(kind: Kind, begins: Start, seq: u64, had: u64, came: &[Came], added: &[Option<Added>]) {
    let (before, _) = Track::begin(&start(Some(kind), Some("k1"), had, Start::Live), Asked::Nothing, None);
    let (mut track, violation) = Track::begin(&start(Some(kind), Some("k1"), seq, begins), Asked::Id, Some(&before));
    assert_eq!((violation, track.position()), (None, Some(position("k1", had))));
    let found: Vec<Option<Added>> = came.iter().map(|came| feed(&mut track, came).ok()).collect();
    assert_eq!(found, added, "{came:?}");
}

#[test]
fn updates_that_an_id_repeats_are_recognized_by_their_numbers() {
    let (new, old) = (Some(Added::All), Some(Added::Nothing));
    let event = Kind::Event;
    check_id(event, Start::Resumed, 9, 7, &[Update(6), Update(7), Update(8), Update(9)], &[old, old, new, new]);
    check_id(event, Start::Resumed, 7, 7, &[Update(8), Update(9)], &[new, new]);
    check_id(event, Start::Resumed, 9, 7, &[Update(6), Update(8), Update(9)], &[old, None, new]);
    check_id(event, Start::Resumed, 9, 7, &[Update(9)], &[None]);
    check_id(event, Start::Resumed, 9, 7, &[Update(0)], &[None]);
    check_id(event, Start::Resumed, 9, 7, &[Update(7), Gap(8, 9), Update(10)], &[old, new, new]);
    check_id(event, Start::Resumed, 7, 7, &[Closed], &[new]);
    // The gap begins at 1, whatever the client has of it.
    check_id(event, Start::Reset, 9, 7, &[Gap(1, 5), Update(6), Update(7), Update(8)], &[old, old, old, new]);
    check_id(event, Start::Reset, 9, 7, &[Gap(1, 8), Update(9)], &[Some(Added::From(8)), new]);
    check_id(event, Start::Reset, 9, 7, &[Gap(9, 9)], &[None]);
    let state = Kind::State;
    check_id(state, Start::Resumed, 9, 7, &[Patch(7), Image(9), Update(10)], &[old, new, new]);
    check_id(state, Start::Resumed, 9, 7, &[Image(6), Update(7)], &[None, new]);
    check_id(state, Start::Resumed, 9, 7, &[Merged(6, 9)], &[Some(Added::From(8))]);
    check_id(state, Start::Reset, 9, 7, &[Image(9), Update(10)], &[new, new]);
}

#[test]
fn an_interrupted_repetition_loses_nothing() {
    let (before, _) = Track::begin(&start(Some(Kind::Event), Some("k1"), 7, Start::Live), Asked::Nothing, None);
    let resumed = start(Some(Kind::Event), Some("k1"), 9, Start::Resumed);
    let (mut track, _) = Track::begin(&resumed, Asked::Id, Some(&before));
    track.update(None, 5).unwrap();
    assert_eq!(track.position(), Some(position("k1", 7)), "not where the repetition stands");
    let (mut again, violation) = Track::begin(&resumed, Asked::Id, Some(&track));
    assert_eq!((violation, again.update(None, 5)), (None, Ok(Added::Nothing)));
}

#[test]
fn a_name_that_waits_and_a_topic_that_ends() {
    let (mut track, violation) = Track::begin(&start(None, None, 0, Start::Live), Asked::Nothing, None);
    assert_eq!((violation, track.waits(), track.position()), (None, true, None));
    assert!(track.clone().update(None, 1).is_err());
    let (mut born, violation) =
        Track::begin(&start(Some(Kind::Event), Some("k1"), 0, Start::Live), Asked::Nothing, Some(&track));
    assert_eq!(violation, None);
    born.update(None, 1).unwrap();
    born.closed().unwrap();
    assert_eq!(born.position(), Some(position("k1", 1)), "what ended can be resumed from");
    assert!(born.clone().closed().is_err(), "it ended already");

    let again = start(Some(Kind::Event), Some("k1"), 0, Start::Live);
    assert!(matches!(Track::begin(&again, Asked::Nothing, Some(&born)).1, Some(Violation::SameEpoch { .. })));
    let again = start(Some(Kind::Event), Some("k2"), 0, Start::Live);
    assert_eq!(Track::begin(&again, Asked::Nothing, Some(&born)).1, None);
    track = born;
    assert!(track.update(None, 2).is_err(), "only a start may follow");
}

#[test]
fn the_point_to_resume_from_waits_for_what_was_promised() {
    let asked = position("k0", 4);
    let reset = start(Some(Kind::State), Some("k1"), 9, Start::Reset);
    let (mut track, _) = Track::begin(&reset, Asked::Position(&asked), None);
    assert_eq!(track.position(), Some(asked), "the image has not come: nothing of the new epoch is known");
    track.image("k1", 9).unwrap();
    assert_eq!(track.position(), Some(position("k1", 9)));
    track.gap(10, 14).unwrap();
    assert_eq!(track.position(), Some(position("k1", 14)));

    let (track, _) = Track::begin(&start(Some(Kind::State), Some("k1"), 9, Start::Image), Asked::Nothing, None);
    assert_eq!(track.position(), None);
    let (track, _) = Track::begin(&start(Some(Kind::State), Some("k1"), 9, Start::Live), Asked::Nothing, None);
    assert_eq!(track.position(), Some(position("k1", 9)));
}

#[test]
fn an_image_of_another_epoch_is_a_violation() {
    let (mut track, _) = Track::begin(&start(Some(Kind::State), Some("k2"), 3, Start::Image), Asked::Nothing, None);
    assert!(matches!(track.image("k1", 3), Err(Violation::OtherEpoch { .. })));
}

/// The naive model: list every number that each message explains. The stream is whole if and only if the list counts up
/// by one from the number after the start.
fn is_whole(newest: u64, came: &[Came]) -> bool {
    let mut explained: Vec<u64> = Vec::new();
    for came in came {
        let reached = explained.last().copied().unwrap_or(newest);
        match *came {
            Update(seq) | Patch(seq) => explained.push(seq),
            Merged(from, to) | Gap(from, to) if from > to => return false,
            Merged(from, to) | Gap(from, to) => explained.extend(from..=to),
            Image(seq) if seq <= reached => return false,
            Image(seq) => explained.extend(reached + 1..=seq),
            Closed => {}
        }
    }
    explained.iter().copied().eq(newest + 1..=newest + explained.len() as u64)
}

/// A valid stream of random messages after `newest`; each step says how many numbers a message explains.
fn valid(newest: u64, steps: &[(u8, u64)]) -> Vec<Came> {
    let mut last = newest;
    let mut came = Vec::new();
    for &(what, wide) in steps {
        let to = last + 1 + wide;
        let (message, reached) = match what {
            0 => (Update(last + 1), last + 1),
            1 => (Patch(last + 1), last + 1),
            2 => (Merged(last + 1, to), to),
            3 => (Gap(last + 1, to), to),
            _ => (Image(to), to),
        };
        came.push(message);
        last = reached;
    }
    came
}

/// Plants one fault in a valid stream.
fn plant_fault(came: &mut Vec<Came>, what: u8, at: usize) {
    let at = at % came.len().max(1);
    match (what, came.is_empty()) {
        (_, true) | (0, _) => {}
        (1, _) => drop(came.remove(at)),
        (2, _) => came.insert(at, came[at].clone()),
        (3, _) => {
            let other = (at + 1) % came.len();
            came.swap(at, other);
        }
        _ => {
            came[at] = match came[at].clone() {
                Update(seq) => Update(seq + 1),
                Patch(seq) => Patch(seq.saturating_sub(1)),
                Merged(from, to) => Merged(from + 1, to),
                Gap(from, to) => Gap(from, to.saturating_sub(1)),
                Image(seq) => Image(seq.saturating_sub(1)),
                Closed => Closed,
            }
        }
    }
}

proptest! {
    #[test]
    fn agrees_with_the_naive_model(
        newest in 0_u64..20,
        steps in prop::collection::vec((0_u8..5, 0_u64..4), 0..30),
        fault in 0_u8..5,
        at in 0_usize..30,
    ) {
        let mut came = valid(newest, &steps);
        plant_fault(&mut came, fault, at);
        let begins = start(Some(Kind::Patch), Some("k1"), newest, Start::Live);
        let (mut track, _) = Track::begin(&begins, Asked::Nothing, None);
        let verdict = came.iter().all(|came| feed(&mut track, came).is_ok());
        prop_assert_eq!(verdict, is_whole(newest, &came), "{:?}", came);
        if verdict {
            let reached = came.iter().fold(newest, |last, came| match *came {
                Update(to) | Patch(to) | Merged(_, to) | Gap(_, to) | Image(to) => last.max(to),
                Closed => last,
            });
            prop_assert_eq!(track.position(), Some(position("k1", reached)));
        }
    }
}
