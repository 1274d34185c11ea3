//! Kraken's messages about a book, version 2, and the checksum in them. Tests make more of them.

/// Prices and quantities of a side, the best first.
pub(crate) type Levels = Vec<(String, String)>;

pub(crate) fn levels(levels: &[(&str, &str)]) -> Levels {
    levels.iter().map(|(px, qty)| ((*px).to_owned(), (*qty).to_owned())).collect()
}

/// CRC32 of the ten best asks and then the ten best bids, without points and leading zeros ("Book checksum"). Written
/// from the definition of CRC32 bit by bit: the replay uses a crate.
pub(crate) fn crc(asks: &Levels, bids: &Levels) -> u32 {
    let levels = asks.iter().take(10).chain(bids.iter().take(10));
    let numbers = levels.flat_map(|(px, qty)| [px, qty]);
    let digits: String = numbers.map(|number| number.replace('.', "").trim_start_matches('0').to_owned()).collect();
    let mut crc = u32::MAX;
    for byte in digits.bytes() {
        crc ^= u32::from(byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0xedb8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

/// A message of the channel `book`.
pub(crate) fn book(kind: &str, bids: &Levels, asks: &Levels, checksum: u32) -> String {
    let side = |levels: &Levels| {
        let levels: Vec<_> = levels.iter().map(|(px, qty)| format!(r#"{{"price":{px},"qty":{qty}}}"#)).collect();
        levels.join(",")
    };
    format!(
        r#"{{"channel":"book","type":"{kind}","data":[{{"symbol":"AB/CD","bids":[{}],"asks":[{}],"checksum":{checksum},"timestamp":"1970-01-01T00:00:09.5Z"}}]}}"#,
        side(bids),
        side(asks)
    )
}
