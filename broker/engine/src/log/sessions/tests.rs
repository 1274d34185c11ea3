//! The session rule against a naive reading of the whole log, with records that are lost, repeated, late and reordered, and
//! with brokers that go on writing in a session that is over.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::log::record::{Entry, RecordWriter};

/// The bytes of a record; number 0 opens the session.
fn bytes_of(node: &str, session: u64, number: u64) -> Vec<u8> {
    let mut writer = RecordWriter::new(session, number);
    writer.add(&Entry::End { topic: "a", only: None }).expect("valid");
    if number == 0 {
        writer.add(&Entry::Open { node, session }).expect("valid");
    }
    writer.finish()
}

#[track_caller]
fn check(sessions: &mut Sessions, node: &str, (session, number): (u64, u64), expected: Result<(), Dropped>) {
    let position = sessions.nodes.values().map(|known| known.position).max().unwrap_or_default() + 1;
    let bytes = bytes_of(node, session, number);
    let record = Record::decode(&bytes).expect("valid");
    assert_eq!(sessions.counts(node, position, &record), expected, "{node} {session} {number}");
}

#[test]
fn each_reason() {
    let mut sessions = Sessions::default();
    check(&mut sessions, "a", (5, 1), Err(Dropped::Ahead));
    check(&mut sessions, "a", (5, 0), Ok(()));
    check(&mut sessions, "a", (5, 0), Err(Dropped::Repeated));
    check(&mut sessions, "a", (5, 2), Err(Dropped::Ahead));
    check(&mut sessions, "a", (5, 1), Ok(()));
    check(&mut sessions, "a", (5, 1), Err(Dropped::Repeated));
    check(&mut sessions, "b", (5, 2), Err(Dropped::Ahead));
    check(&mut sessions, "a", (6, 1), Err(Dropped::Ahead));
    assert_eq!(sessions.newest("a"), Some(5));
    check(&mut sessions, "a", (6, 0), Ok(()));
    check(&mut sessions, "a", (5, 2), Err(Dropped::StaleSession));
    check(&mut sessions, "a", (5, 0), Err(Dropped::StaleSession));
    check(&mut sessions, "a", (6, 1), Ok(()));
    assert_eq!((sessions.newest("a"), sessions.newest("b")), (Some(6), None));
    let bytes = bytes_of("b", 9, 0);
    let record = Record::decode(&bytes).expect("valid");
    assert_eq!(sessions.counts("a", 9, &record), Err(Dropped::OtherNode));
    assert_eq!(sessions.newest("a"), Some(6));
    let mut labels: Vec<_> = Dropped::ALL.iter().map(|reason| reason.as_str()).collect();
    labels.dedup();
    assert_eq!(labels, ["stale_session", "repeated", "ahead", "other_node"]);
}

#[test]
fn who_wrote_longest_ago_is_forgotten() {
    let mut sessions = Sessions::default();
    let name = |node: usize| format!("node-{node}");
    for node in 0..NODES_MAX {
        check(&mut sessions, &name(node), (1, 0), Ok(()));
    }
    // The first has written since, so the second is the one. A dropped record is no sign of life.
    check(&mut sessions, &name(0), (1, 1), Ok(()));
    check(&mut sessions, &name(1), (1, 0), Err(Dropped::Repeated));
    check(&mut sessions, "another", (1, 0), Ok(()));
    assert_eq!(sessions.nodes.len(), NODES_MAX);
    assert_eq!(sessions.newest(&name(1)), None);
    check(&mut sessions, &name(1), (1, 1), Err(Dropped::Ahead));
    // A new session of a broker that is known forgets nobody.
    check(&mut sessions, &name(0), (2, 0), Ok(()));
    assert_eq!(sessions.newest(&name(2)), Some(1));
    check(&mut sessions, &name(1), (2, 0), Ok(()));
    assert_eq!(sessions.newest(&name(2)), None);
    assert_eq!(Sessions::restore(sessions.list()), Ok(sessions));
}

#[test]
fn a_list_is_restored_if_it_is_valid() {
    let node = |node: &str, next| NodeSession { node: node.into(), session: 1, next, position: 7 };
    let restore = |nodes: &[NodeSession]| Sessions::restore(nodes.to_vec());
    assert_eq!(restore(&[]), Ok(Sessions::default()));
    let sessions = restore(&[node("b", 1), node("a", 2)]).expect("valid");
    assert_eq!(sessions.list(), [node("a", 2), node("b", 1)]);
    assert_eq!(restore(&[node("a", 1), node("b", 1), node("a", 1)]), Err(RestoreError::Twice("a".into())));
    assert_eq!(restore(&[node("a", 0)]), Err(RestoreError::Next { node: "a".into(), next: 0 }));
    assert!(matches!(restore(&[node("a", u64::MAX)]), Err(RestoreError::Next { .. })));
    assert!(matches!(restore(&[node("a b", 1)]), Err(RestoreError::Node(_))));
    let many: Vec<_> = (0..=NODES_MAX).map(|number| node(&number.to_string(), 1)).collect();
    assert_eq!(restore(&many), Err(RestoreError::TooMany(NODES_MAX + 1)));
}

/// A record by its broker, session and number.
type Name = (usize, u64, u64);

const NODES: [&str; 3] = ["a", "b", "c"];

#[derive(Debug, Clone)]
enum Step {
    /// The broker writes a record, which may be lost on its way.
    Write { node: usize, lost: bool },
    /// The broker writes again what has not counted yet.
    Resend { node: usize },
    /// The broker begins a new session, above the one before.
    Restart { node: usize },
    /// A process that still believes in an old session writes on in it.
    Zombie { node: usize, session: prop::sample::Index },
    /// Something that was written before comes, however late and however often.
    Late(prop::sample::Index),
    /// The broker that reads restarts from a checkpoint.
    Checkpoint,
}

fn step() -> impl Strategy<Value = Step> {
    let node = || 0..NODES.len();
    prop_oneof![
        6 => (node(), prop::bool::weighted(0.2)).prop_map(|(node, lost)| Step::Write { node, lost }),
        2 => node().prop_map(|node| Step::Resend { node }),
        1 => node().prop_map(|node| Step::Restart { node }),
        1 => (node(), any::<prop::sample::Index>()).prop_map(|(node, session)| Step::Zombie { node, session }),
        3 => any::<prop::sample::Index>().prop_map(Step::Late),
        1 => Just(Step::Checkpoint),
    ]
}

/// Brokers that write, and the log that comes of it.
#[derive(Default)]
struct World {
    sessions: Sessions,
    /// The sessions of each broker, each with the number of records written in it.
    written: [Vec<(u64, u64)>; 3],
    sent: Vec<Name>,
    log: Vec<Name>,
    counted: Vec<Name>,
}

impl World {
    fn step(&mut self, step: Step) {
        match step {
            Step::Write { node, lost } => self.write(node, usize::MAX, lost),
            Step::Zombie { node, session } => {
                let sessions = self.written[node].len();
                if sessions > 0 {
                    self.write(node, session.index(sessions), false);
                }
            }
            Step::Restart { node } => {
                let above = self.written[node].last().map_or(100, |(session, _)| session + 3);
                self.written[node].push((above, 0));
                self.write(node, usize::MAX, false);
            }
            Step::Resend { node } => self.resend(node),
            Step::Late(at) if !self.sent.is_empty() => self.arrive(self.sent[at.index(self.sent.len())]),
            Step::Late(_) => {}
            Step::Checkpoint => {
                self.sessions = Sessions::restore(self.sessions.list()).expect("it was listed");
            }
        }
    }

    fn write(&mut self, node: usize, session: usize, lost: bool) {
        let sessions = &mut self.written[node];
        let newest = sessions.len().saturating_sub(1);
        let Some((session, next)) = sessions.get_mut(session.min(newest)) else { return };
        let name = (node, *session, *next);
        *next += 1;
        self.sent.push(name);
        if !lost {
            self.arrive(name);
        }
    }

    /// The broker writes all of its newest session again that it has not seen count.
    fn resend(&mut self, node: usize) {
        let Some(&(session, written)) = self.written[node].last() else { return };
        let seen = self.counted.iter().filter(|(of, in_session, _)| (*of, *in_session) == (node, session)).count();
        for number in seen as u64..written {
            self.arrive((node, session, number));
        }
    }

    fn arrive(&mut self, name: Name) {
        let (node, session, number) = name;
        let expected = self.naive(name);
        self.log.push(name);
        let bytes = bytes_of(NODES[node], session, number);
        let record = Record::decode(&bytes).expect("valid");
        let counts = self.sessions.counts(NODES[node], self.log.len() as u64, &record);
        assert_eq!(counts, expected, "{name:?} after {:?}", self.log);
        if counts.is_ok() {
            self.counted.push(name);
        }
    }

    /// Decides by looking through all that has counted.
    fn naive(&self, (node, session, number): Name) -> Result<(), Dropped> {
        let own = || self.counted.iter().filter(|(of, ..)| *of == node);
        let newest = own().map(|(_, session, _)| *session).max();
        if newest.is_some_and(|newest| session < newest) {
            return Err(Dropped::StaleSession);
        }
        let seen = own().filter(|(_, of, _)| *of == session).count() as u64;
        match number {
            number if number < seen => Err(Dropped::Repeated),
            number if number > seen => Err(Dropped::Ahead),
            _ => Ok(()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn each_record_of_a_session_counts_once_and_in_order(steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::default();
        for step in steps {
            world.step(step);
        }
        (0..NODES.len()).for_each(|node| world.resend(node));
        let mut by_session: BTreeMap<(usize, u64), Vec<u64>> = BTreeMap::new();
        for (node, session, number) in &world.counted {
            by_session.entry((*node, *session)).or_default().push(*number);
        }
        for (name, numbers) in &by_session {
            prop_assert!(numbers.iter().copied().eq(0..numbers.len() as u64), "{:?}: {:?}", name, numbers);
        }
        // Nothing of the newest session is missing once it has been sent again.
        for (node, sessions) in world.written.iter().enumerate() {
            let Some((session, written)) = sessions.last() else { continue };
            let counted = by_session.get(&(node, *session)).map_or(0, Vec::len) as u64;
            prop_assert_eq!(counted, *written);
            prop_assert_eq!(world.sessions.newest(NODES[node]), Some(*session));
        }
        // Sessions do not overlap: once one has counted, the ones before it are over.
        for node in 0..NODES.len() {
            let own: Vec<_> = world.counted.iter().filter(|(of, ..)| *of == node).map(|(_, of, _)| *of).collect();
            prop_assert!(own.is_sorted(), "{:?}", own);
        }
    }
}
