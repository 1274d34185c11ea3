//! NASDAQ TotalView-ITCH 5.0: a day of one stock with each type of message that publishes something.
//!
//! Source: Nasdaq, "TotalView-ITCH 5.0" specification, sections 1.1 to 1.8.

mod messages;

use messages::Field::{Text, U8, U32, U64};
use messages::{add, framed, message};

pub(crate) fn recording() -> Vec<u8> {
    let imbalance = [U64(10), U64(20), U8(b'B'), Text("XY.A", 8), U32(1), U32(2), U32(3), U8(b'C'), U8(b'L')];
    let directory = [
        Text("XY.A", 8),
        U8(b'Q'),
        U8(b'N'),
        U32(100),
        // Mixed lots, common stock, production, no short sale restriction, no new issue, tier 1, no traded fund.
        Text("NCZ PNN1N", 9),
        // The leverage factor and the inverse indicator.
        U32(0),
        U8(b'N'),
    ];
    let day = [
        message(b'S', 1, &[U8(b'O')]),
        message(b'R', 2, &directory),
        message(b'H', 3, &[Text("XY.A", 8), U8(b'T'), U8(b' '), Text("IPO1", 4)]),
        message(b'S', 4, &[U8(b'Q')]),
        add(5, 1, b'B', 300, 99_900),
        message(b'F', 6, &[U64(2), U8(b'S'), U32(200), Text("XY.A", 8), U32(100_100), Text("MAKR", 4)]),
        message(b'E', 7, &[U64(2), U32(50), U64(901)]),
        message(b'C', 8, &[U64(2), U32(50), U64(902), U8(b'N'), U32(100_050)]),
        message(b'X', 9, &[U64(1), U32(100)]),
        message(b'U', 10, &[U64(1), U64(3), U32(400), U32(99_800)]),
        message(b'P', 11, &[U64(0), U8(b'B'), U32(10), Text("XY.A", 8), U32(100_000), U64(1 << 53)]),
        message(b'Q', 12, &[U64(5_000_000_000), Text("XY.A", 8), U32(100_000), U64(904), U8(b'O')]),
        message(b'Q', 13, &[U64(0), Text("XY.A", 8), U32(0), U64(905), U8(b'C')]),
        message(b'B', 14, &[U64(901)]),
        message(b'I', 15, &imbalance),
        message(b'D', 16, &[U64(3)]),
        message(b'H', 17, &[Text("XY.A", 8), U8(b'P'), U8(b' '), Text("LUDP", 4)]),
        message(b'S', 18, &[U8(b'M')]),
    ];
    day.iter().flat_map(|message| framed(message)).collect()
}
