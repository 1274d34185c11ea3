//! A journal that is read, copied and exported while no broker has it open.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use broker_engine::{Limits, SavedTopic};
use broker_journal::JournalError;
use broker_journal::local::{ExportError, Exported, Reading, restore, verify_backup};
use broker_protocol::kind::Kind;
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use super::broker::{Broker, clock, options};
use super::{files, limits, small, until_checkpoints};

/// A journal with checkpoints that were written while it went on, and what its broker had in the end.
fn journal(seed: u64, dir: &Path) -> (Vec<SavedTopic>, u64) {
    let mut broker = Broker::start(small(dir), limits()).unwrap();
    until_checkpoints(&mut StdRng::seed_from_u64(seed), &mut broker, 3);
    let base = broker.engine.limits().order_base;
    (broker.topics(), base + broker.engine.feed().ordinal())
}

fn read(dir: &Path) -> Reading {
    Reading::open(&dir.join("journal"), clock).unwrap()
}

/// The values of a topic's retained updates.
fn values(topic: &SavedTopic) -> Vec<String> {
    let value = |message: &Vec<u8>| String::from_utf8_lossy(message).split_once("\"data\":").unwrap().1.to_owned();
    topic.updates.iter().map(|update| value(&update.message)).collect()
}

#[test]
fn a_survey_finds_all_records_and_checkpoints_and_what_a_start_serves() {
    for seed in 0..4 {
        let folder = tempfile::tempdir().unwrap();
        let (topics, _) = journal(seed, folder.path());
        let reading = read(folder.path());
        let (survey, store) = (reading.survey(), reading.found().store());
        assert!(survey.damage.is_empty() && survey.dropped.0 == 0, "{survey:?}");
        assert_eq!(survey.first.map(|mark| mark.position), store.first());
        assert_eq!(survey.last.map(|mark| mark.position), store.last());
        assert_eq!(survey.records, store.next_position() - store.first().unwrap());
        let checkpoints = reading.checkpoints().unwrap();
        assert!(checkpoints.len() == 2 && checkpoints.iter().all(|checkpoint| checkpoint.fits));
        let served = reading.start(&limits()).unwrap().served(clock());
        let updates = topics.iter().map(|topic| topic.updates.len() as u64).sum::<u64>();
        assert_eq!((served.topics, served.updates), (topics.len() as u64, updates));
    }
}

#[test]
fn a_restored_backup_has_the_same_topics_under_other_epochs_and_ids() {
    for seed in 0..4 {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (before, last_id) = journal(seed, folder.path());
        let reading = read(folder.path());
        let file = other.path().join("backup");
        let made = reading.backup(&reading.start(&limits()).unwrap(), &file).unwrap();
        assert_eq!((made.topics, &made), (before.len() as u64, &verify_backup(&file).unwrap()));
        let error = reading.backup(&reading.start(&limits()).unwrap(), &file).unwrap_err();
        assert!(matches!(error, JournalError::Checkpoint(_)), "{error}");
        assert!(verify_backup(&file).is_ok(), "it was left alone");
        restore(&file, &other.path().join("journal"), clock).unwrap();
        for _ in 0..2 {
            let broker = Broker::start(options(other.path()), limits()).unwrap();
            let after = broker.topics();
            assert_eq!(before.len(), after.len());
            for (one, other) in before.iter().zip(&after) {
                assert_ne!(one.epoch, other.epoch);
                assert_eq!(*one, SavedTopic { epoch: one.epoch.clone(), ..other.clone() });
            }
            let now = broker.engine.limits();
            assert!(now.order_base + now.order_first > last_id);
            assert_eq!(broker.engine.ordinal_of(last_id), 0, "an id from before continues nothing");
        }
        // The first one is as it was.
        drop(reading);
        assert_eq!(Broker::start(small(folder.path()), limits()).unwrap().topics(), before);
    }
}

#[test]
fn a_checkpoint_that_needs_the_log_is_no_backup() {
    let mut seeds = 0..50;
    let found = seeds.any(|seed| {
        let folder = tempfile::tempdir().unwrap();
        journal(seed, folder.path());
        let to = folder.path().join("restored");
        files(folder.path(), "checkpoint.").iter().any(|file| match restore(file, &to, clock) {
            Err(JournalError::NoBackup { .. }) => {
                assert!(!to.exists());
                true
            }
            // Nothing was published while it was written.
            Ok(_) => {
                fs::remove_dir_all(&to).unwrap();
                false
            }
            Err(error) => panic!("{error}"),
        })
    });
    assert!(found);
}

#[test]
fn what_is_exported_makes_the_same_topics_again() {
    for seed in 0..4 {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (before, _) = journal(seed, folder.path());
        // What is too large was decided by the first broker. A checkpoint has topics of several moments.
        let wide = Limits { image_bytes: 1 << 20, topics_max: 100, ..limits() };
        let mut second = Broker::start(options(other.path()), wide).unwrap();
        let mut updates = 0;
        let exported = read(folder.path()).export(&limits(), None, |exported| {
            match exported {
                Exported::Topic(topic) => match &topic.image {
                    Some(image) => second.publish(&topic.name, Kind::State, str::from_utf8(image).unwrap(), None),
                    None => values(topic).iter().try_for_each(|value| {
                        let value = value.strip_suffix('}').unwrap();
                        second.publish(&topic.name, Kind::Event, value, None)
                    }),
                },
                Exported::Update(update) => {
                    updates += 1;
                    second.publish(update.topic, update.kind, update.data.raw(), None)
                }
                Exported::End { topic } => second.end(topic),
            }
            .map_err(|refusal| refusal.message)?;
            second.run();
            Ok::<_, String>(())
        });
        match exported {
            Ok(()) => {}
            Err(ExportError::Journal(error)) => panic!("{error}"),
            Err(ExportError::Taker(message)) => panic!("{message}"),
        }
        assert!(updates > 0 && second.told().iter().all(Result::is_ok), "each of them is taken");
        let of = |topics: &[SavedTopic]| -> BTreeMap<String, (Kind, Option<Vec<u8>>, Vec<String>)> {
            let topic = |topic: &SavedTopic| {
                let values = if topic.image.is_some() { Vec::new() } else { values(topic) };
                ((*topic.name).to_owned(), (topic.kind, topic.image.clone(), values))
            };
            topics.iter().map(topic).collect()
        };
        assert_eq!(of(&before), of(&second.topics()), "seed {seed}");
    }
}
