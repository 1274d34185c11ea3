//! What waits is bounded, and answers find their requests.

use broker_protocol::request::parse;

use super::*;

fn awaited(open: usize, answer: Answer) -> Awaited {
    Awaited { id: None, open, since_us: 0, answer }
}

#[test]
fn empty_messages_that_wait_are_bounded() {
    let mut awaiting = Awaiting::default();
    awaiting.push(7, awaited(1, Answer::Single(None)));
    let request = parse("");
    let mut held = 0;
    while !awaiting.is_full(7) {
        assert!(awaiting.must_hold(7, request.as_ref().ok()));
        awaiting.hold(7, "", request.as_ref().ok());
        held += 1;
        assert!(held <= HELD_BYTES_MAX, "a connection is read for ever");
    }
    assert!(awaiting.held_bytes(7) >= held * size_of::<Held>());
    awaiting.take_back(7, |answer| *answer = Answer::Refused(Box::default()));
    assert!(awaiting.pop_finished(7).is_some());
    awaiting.settle(7);
    assert_eq!(awaiting.next_released(), Some(7));
    while awaiting.has_released(7) {
        held -= usize::from(awaiting.take_held(7).is_some());
    }
    assert_eq!((held, awaiting.held_bytes(7)), (0, 0));
}

#[test]
fn what_waits_behind_a_request_that_waits_for_the_log_is_bounded() {
    let mut awaiting = Awaiting::default();
    awaiting.hold_for_log(7, Message::Text("".into()), 5);
    let request = parse(r#"{"op":"list"}"#);
    let mut held = 1;
    while !awaiting.is_full(7) {
        assert!(awaiting.must_hold(7, request.as_ref().ok()));
        awaiting.hold(7, "", request.as_ref().ok());
        held += 1;
        assert!(held <= HELD_BYTES_MAX, "a connection is read for ever");
    }
    awaiting.settle(7);
    assert!(!awaiting.has_released(7) && awaiting.next_released().is_none());
    assert!(!awaiting.waits_for_log_since(7, 4) && awaiting.waits_for_log_since(7, 5));
    awaiting.end_waiting_for_log(7, Reach::Unread);
    assert_eq!(awaiting.next_released(), Some(7));
    let first = awaiting.take_held(7);
    assert!(matches!(first, Some((Message::Text(_), Some(Reach::Unread)))));
    assert!(matches!(awaiting.take_held(7), Some((_, None))));
    while awaiting.take_held(7).is_some() {}
    assert_eq!(awaiting.held_bytes(7), 0);
}

#[test]
fn requests_that_are_refused_at_once_are_bounded() {
    let mut awaiting = Awaiting::default();
    awaiting.push(7, awaited(1, Answer::Single(None)));
    let mut refused = 0;
    while !awaiting.is_full(7) {
        awaiting.push(7, awaited(0, Answer::Refused("no".as_bytes().into())));
        refused += 1;
        assert!(refused <= REQUESTS_BYTES_MAX, "a connection is read for ever");
    }
    assert!(awaiting.held_bytes(7) < 2 * REQUESTS_BYTES_MAX);
}

#[test]
fn answers_find_their_requests_between_those_that_are_finished() {
    let mut awaiting = Awaiting::default();
    let batch = |open| awaited(open, Answer::Single(None));
    for open in [1, 0, 0, 2, 0, 1] {
        awaiting.push(7, batch(open));
    }
    let open = |awaiting: &Awaiting| -> Vec<usize> {
        awaiting.by_conn[&7].requests.iter().map(|request| request.open).collect()
    };
    awaiting.take_back(7, |_| {});
    awaiting.take_back(7, |_| {});
    assert_eq!(open(&awaiting), [0, 0, 0, 1, 0, 1]);
    assert_eq!(awaiting.by_conn[&7].finished, 3, "the finished ones are not looked at again");
    assert!(awaiting.pop_finished(7).is_some() && awaiting.pop_finished(7).is_some());
    awaiting.take_back(7, |_| {});
    assert_eq!(open(&awaiting), [0, 0, 0, 1]);
    while awaiting.pop_finished(7).is_some() {}
    awaiting.push(7, batch(1));
    // The first that is late is given up: what comes back first is its own, and nobody's.
    assert!(awaiting.give_up(7, 0).is_some());
    awaiting.take_back(7, |_| {});
    assert_eq!(open(&awaiting), [1]);
    awaiting.take_back(7, |_| {});
    assert_eq!(open(&awaiting), [0]);
}
