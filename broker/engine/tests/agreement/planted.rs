//! Would these tests notice? Faults are planted in the engine, one at a time, and each must be found.
//!
//! `cargo test -p broker-engine --features planted-faults --test agreement`

use std::panic::catch_unwind;

use broker_engine::fault::{Fault, plant};

fn is_found(fault: Fault, by: fn()) {
    plant(Some(fault));
    let found = catch_unwind(by).is_err();
    plant(None);
    assert!(found, "{fault:?} was not found");
}

#[test]
fn a_broker_that_applies_again_what_a_topic_has_had() {
    is_found(Fault::PlaceIgnored, super::a_broker_restored_from_a_checkpoint_that_was_written_meanwhile_agrees);
}

#[test]
fn a_checkpoint_that_lacks_what_ended_meanwhile() {
    is_found(Fault::EndsForgotten, super::a_broker_restored_from_a_checkpoint_that_was_written_meanwhile_agrees);
}

#[test]
fn a_clock_of_one_broker() {
    is_found(Fault::ClockInApply, super::brokers_that_apply_the_same_commands_agree);
}

#[test]
fn an_epoch_from_a_counter() {
    is_found(Fault::EpochFromCounter, super::a_broker_restored_from_a_checkpoint_that_was_written_meanwhile_agrees);
}

#[test]
fn a_checkpoint_without_sessions() {
    is_found(Fault::SessionsForgotten, || _ = super::histories());
}

#[test]
fn a_repeated_record_that_counts() {
    is_found(Fault::LastRecordTwice, || _ = super::histories());
}

#[test]
fn a_broker_on_a_log_that_applies_again_what_a_topic_has_had() {
    is_found(Fault::PlaceIgnored, || _ = super::histories());
}

#[test]
fn a_bound_for_programs_that_a_restored_broker_asks_for_itself() {
    is_found(Fault::RefusalsForgotten, || _ = super::histories());
}

#[test]
fn a_client_that_is_ahead_and_is_told_to_begin_anew() {
    is_found(Fault::AheadIsReset, || _ = super::histories());
}

#[test]
fn a_log_that_is_cut_too_far() {
    is_found(Fault::CutTooFar, || _ = super::histories());
}

#[test]
fn a_log_that_lacks_something_and_is_read_on() {
    is_found(Fault::HoleAccepted, || _ = super::histories());
}
