//! Databento DBN, version 3: market by order, with each action.
//!
//! Source: Databento, "Databento Binary Encoding" (metadata), "Market by order (MBO)" (fields and flags) and "Actions
//! and types". The crate `dbn`, which is Databento's own, lays out the bytes.

mod records;

use records::{mbo, metadata};

pub(crate) fn recording() -> Vec<u8> {
    let records = [
        mbo(1, b'R', b'N', 0, 0, 0, false),
        mbo(1, b'A', b'B', 1, 400, 10, false),
        mbo(1, b'A', b'A', 2, 401, 5, true),
        mbo(2, b'T', b'B', 0, 401, 3, false),
        mbo(2, b'F', b'A', 2, 401, 3, false),
        mbo(2, b'C', b'A', 2, 401, 3, true),
        mbo(3, b'M', b'B', 1, 399, 12, true),
        // Of orders from before the recording; the change makes the second one known.
        mbo(4, b'C', b'B', 8, 399, 1, true),
        mbo(5, b'M', b'B', 9, 398, 1, true),
        mbo(6, b'R', b'N', 0, 0, 0, true),
        // Some futures have prices below zero.
        mbo(7, b'A', b'A', 3, -1, 5, true),
    ];
    records.iter().fold(metadata(3), |bytes, record| [bytes.as_slice(), record.as_ref()].concat())
}
