//! Would this simulation notice? Faults are planted in the engine, one at a time, and each must be found.
//!
//! `cargo test -p broker-engine --features planted-faults --test journaled`

use broker_engine::fault::{Fault, plant};

/// Histories within which every fault must be found.
const SEEDS: u64 = 300;

fn is_found(fault: Fault) {
    plant(Some(fault));
    let found = super::run(SEEDS);
    plant(None);
    match found {
        Err(error) => eprintln!("{fault:?} was found: {error}"),
        Ok(_) => panic!("{fault:?} was not found in {SEEDS} histories"),
    }
}

#[test]
fn an_answer_before_everything_is_applied() {
    is_found(Fault::AnswerBeforeApply);
}

#[test]
fn an_answer_to_whoever_has_the_number_now() {
    is_found(Fault::AnswerToAnother);
}

#[test]
fn a_held_request_that_overtakes() {
    is_found(Fault::HeldOvertakes);
}

#[test]
fn an_answer_of_another_request() {
    is_found(Fault::AnswerOfAnother);
}

#[test]
fn a_late_answer_that_counts_for_the_next_request() {
    is_found(Fault::GivenUpForgotten);
}

#[test]
fn a_refused_record_that_is_written_later() {
    is_found(Fault::RefusedWritten);
}
