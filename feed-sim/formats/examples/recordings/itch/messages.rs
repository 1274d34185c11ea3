//! ITCH messages from their fields. Tests make more of them.

/// All types of the specification with their lengths in bytes, without the length before a message.
pub(crate) const LENGTHS: [(u8, usize); 23] = [
    (b'S', 12),
    (b'R', 39),
    (b'H', 25),
    (b'Y', 20),
    (b'L', 26),
    (b'V', 35),
    (b'W', 12),
    (b'K', 28),
    (b'J', 35),
    (b'h', 21),
    (b'A', 36),
    (b'F', 40),
    (b'E', 31),
    (b'C', 36),
    (b'X', 23),
    (b'D', 19),
    (b'U', 35),
    (b'P', 44),
    (b'Q', 40),
    (b'B', 19),
    (b'I', 50),
    (b'N', 20),
    (b'O', 48),
];

/// The length of a message of that type in bytes.
pub(crate) fn length(kind: u8) -> usize {
    LENGTHS.iter().find(|(known, _)| *known == kind).expect("a type").1
}

/// A field of a message.
pub(crate) enum Field<'a> {
    U8(u8),
    U32(u32),
    U64(u64),
    /// Text, padded with blanks to a width.
    Text(&'a str, usize),
}

/// A message: its fields, and zeros up to the length of its type. It is about stock 7, or, if it is about the whole
/// market, about stock 0.
pub(crate) fn message(kind: u8, time_ns: u64, fields: &[Field<'_>]) -> Vec<u8> {
    let stock = if matches!(kind, b'S' | b'V' | b'W') { 0 } else { 7 };
    let mut bytes = vec![kind, 0, stock, 0, 0];
    bytes.extend_from_slice(&time_ns.to_be_bytes()[2..]);
    for field in fields {
        match field {
            Field::U8(byte) => bytes.push(*byte),
            Field::U32(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Field::U64(number) => bytes.extend_from_slice(&number.to_be_bytes()),
            Field::Text(text, width) => bytes.extend_from_slice(format!("{text:<width$}").as_bytes()),
        }
    }
    assert!(bytes.len() <= length(kind), "{}", char::from(kind));
    bytes.resize(length(kind), 0);
    bytes
}

/// A new order for XY.A.
pub(crate) fn add(time_ns: u64, order: u64, side: u8, shares: u32, price: u32) -> Vec<u8> {
    let fields = [Field::U64(order), Field::U8(side), Field::U32(shares), Field::Text("XY.A", 8), Field::U32(price)];
    message(b'A', time_ns, &fields)
}

/// A message with its length before it, as the exchange's files have it.
pub(crate) fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes(), message].concat()
}
