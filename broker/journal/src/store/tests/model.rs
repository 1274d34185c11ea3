//! A store against a list, by random operations.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Clone)]
enum Step {
    Append(Vec<Vec<u8>>),
    Segment,
    /// In thousandths of the positions so far and some more.
    Cut(u64),
    Sync,
    Reopen,
    /// Opens it again; whether it is closed before.
    Open(bool),
    Read(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        8 => prop::collection::vec(bytes, 0..8).prop_map(Step::Append),
        3 => Just(Step::Segment),
        2 => (0..1_200u64).prop_map(Step::Cut),
        1 => Just(Step::Sync),
        1 => Just(Step::Reopen),
        2 => any::<bool>().prop_map(Step::Open),
        2 => (0..1_200u64).prop_map(Step::Read),
    ]
}

/// What a store should have: the segments' first positions and all records that are there.
#[derive(Default)]
struct Model {
    begins: Vec<u64>,
    records: Vec<Stored>,
    next: u64,
}

impl Model {
    fn cut(&mut self, below: u64) {
        while self.begins.len() > 1 && self.begins[1] <= below {
            self.begins.remove(0);
        }
        let begin = self.begins[0];
        self.records.retain(|stored| stored.position >= begin);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_store_is_a_list_that_grows_at_its_end(steps in prop::collection::vec(step(), 1..40)) {
        let dir = test_dir();
        let mut store = open(dir.path());
        let mut model = Model { begins: vec![1], next: 1, ..Model::default() };
        for step in steps {
            match step {
                Step::Append(batch) => {
                    let batch: Vec<Stored> = batch.into_iter().zip(model.next..)
                        .map(|(bytes, position)| Stored { position, ts_us: position ^ 5, bytes }).collect();
                    store.append(batch.iter().map(|stored| (stored.position, stored.ts_us, &stored.bytes[..]))).unwrap();
                    model.next += batch.len() as u64;
                    model.records.extend(batch);
                }
                Step::Segment => {
                    store.begin_segment().unwrap();
                    if model.begins.last() != Some(&model.next) {
                        model.begins.push(model.next);
                    }
                }
                Step::Cut(share) => {
                    let below = model.next * share / 1_000;
                    store.cut(below).unwrap();
                    model.cut(below);
                }
                Step::Sync => store.sync().unwrap(),
                Step::Reopen => store.reopen().unwrap(),
                Step::Open(is_closed) => {
                    if is_closed {
                        store.close().unwrap();
                    } else {
                        drop(store);
                    }
                    store = open(dir.path());
                    prop_assert_eq!(store.last_end(), if is_closed { LastEnd::Clean } else { LastEnd::Killed });
                }
                Step::Read(share) => {
                    let from = (model.next * share / 1_000).max(model.begins[0]);
                    let found: Vec<Stored> = store.read_from(from).map(Result::unwrap).collect();
                    let expected = model.records.iter().filter(|stored| stored.position >= from).cloned();
                    prop_assert_eq!(found, expected.collect::<Vec<_>>());
                }
            }
            prop_assert_eq!(store.first(), model.records.first().map(|stored| stored.position));
            prop_assert_eq!(store.last(), model.records.last().map(|stored| stored.position));
            prop_assert_eq!(store.next_position(), model.next);
            prop_assert_eq!(store.log_bytes(), model.records.iter().map(|stored| stored.bytes.len() as u64).sum::<u64>());
        }
        let found: Vec<Stored> = store.read_from(model.begins[0]).map(Result::unwrap).collect();
        prop_assert_eq!(found, model.records);
    }
}
