//! The fields of messages that are used. Integers are big-endian; the offsets are those of the specification.

use crate::levels::Side;

/// The beginning of every message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Header {
    /// The stock's number of the day; 0 in messages about the whole market.
    pub(super) locate: u16,
    /// Nanoseconds since midnight.
    pub(super) time_ns: u64,
}

/// A message. Prices are in ten-thousandths of a dollar.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message<'a> {
    System {
        event: u8,
    },
    Directory {
        symbol: &'a str,
        category: u8,
        financial_status: u8,
        round_lot: u32,
        etp: u8,
    },
    TradingAction {
        symbol: &'a str,
        state: u8,
        reason: &'a str,
    },
    Add {
        order: u64,
        side: Side,
        shares: u32,
        symbol: &'a str,
        price: u32,
    },
    Executed {
        order: u64,
        shares: u32,
        trade: u64,
    },
    ExecutedAt {
        order: u64,
        shares: u32,
        trade: u64,
        printable: bool,
        price: u32,
    },
    Cancel {
        order: u64,
        shares: u32,
    },
    Delete {
        order: u64,
    },
    Replace {
        order: u64,
        new_order: u64,
        shares: u32,
        price: u32,
    },
    HiddenTrade {
        shares: u32,
        symbol: &'a str,
        price: u32,
        trade: u64,
    },
    CrossTrade {
        shares: u64,
        symbol: &'a str,
        price: u32,
        trade: u64,
        cross: u8,
    },
    BrokenTrade {
        trade: u64,
    },
    Imbalance(Imbalance<'a>),
    /// A message that publishes nothing.
    Other,
}

/// A net order imbalance indicator: the state of a coming auction.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Imbalance<'a> {
    pub(super) paired: u64,
    pub(super) imbalance: u64,
    pub(super) direction: u8,
    pub(super) symbol: &'a str,
    pub(super) far: u32,
    pub(super) near: u32,
    pub(super) reference: u32,
    pub(super) cross: u8,
}

const DAY_NS: u64 = 24 * 3_600 * 1_000_000_000;

/// Returns the length in bytes of a type's messages, including the byte of the type.
pub(super) fn length_of(kind: u8) -> Option<usize> {
    Some(match kind {
        // System event; stock directory; trading action; Reg SHO restriction; market participant position.
        b'S' => 12,
        b'R' => 39,
        b'H' => 25,
        b'Y' => 20,
        b'L' => 26,
        // Market-wide circuit breaker, levels and breach; IPO quotation; auction collar; operational halt.
        b'V' => 35,
        b'W' => 12,
        b'K' => 28,
        b'J' => 35,
        b'h' => 21,
        // Add order, without and with attribution.
        b'A' => 36,
        b'F' => 40,
        // Executed, executed at a price; cancelled in part; deleted; replaced.
        b'E' => 31,
        b'C' => 36,
        b'X' => 23,
        b'D' => 19,
        b'U' => 35,
        // Trade of an order that was not displayed; cross; broken trade.
        b'P' => 44,
        b'Q' => 40,
        b'B' => 19,
        // Net order imbalance; retail interest; direct listing with capital raise.
        b'I' => 50,
        b'N' => 20,
        b'O' => 48,
        _ => return None,
    })
}

/// Reads a message.
pub(super) fn parse(record: &[u8]) -> Result<(Header, Message<'_>), String> {
    let kind = record.first().copied().ok_or("an empty record")?;
    let named = char::from(kind);
    let length = length_of(kind).ok_or_else(|| format!("there is no message type {named:?}"))?;
    if record.len() != length {
        return Err(format!("a message of type {named:?} has {length} bytes, but this one has {}", record.len()));
    }
    let fields = Fields(record);
    let header = Header { locate: u16::from_be_bytes(fields.bytes(1)), time_ns: fields.number(5, 6) };
    if header.time_ns >= DAY_NS {
        return Err(format!("{} ns is not a time of day", header.time_ns));
    }
    Ok((header, fields.message(kind)?))
}

/// The bytes of a message that has the length of its type.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    fn message(&self, kind: u8) -> Result<Message<'a>, String> {
        Ok(match kind {
            b'S' => Message::System { event: self.code(11, b"OSQMEC", "system event")? },
            b'R' => Message::Directory {
                symbol: self.symbol(11)?,
                category: self.letter(19)?,
                financial_status: self.letter(20)?,
                round_lot: self.u32(21),
                etp: self.letter(33)?,
            },
            b'H' => Message::TradingAction {
                symbol: self.symbol(11)?,
                state: self.code(19, b"HPQT", "trading state")?,
                reason: self.text(21, 4)?,
            },
            b'A' | b'F' => Message::Add {
                order: self.u64(11),
                side: match self.code(19, b"BS", "side")? {
                    b'B' => Side::Bid,
                    _ => Side::Ask,
                },
                shares: self.u32(20),
                symbol: self.symbol(24)?,
                price: self.u32(32),
            },
            b'E' => Message::Executed { order: self.u64(11), shares: self.u32(19), trade: self.u64(23) },
            b'C' => Message::ExecutedAt {
                order: self.u64(11),
                shares: self.u32(19),
                trade: self.u64(23),
                printable: self.code(31, b"YN", "printable")? == b'Y',
                price: self.u32(32),
            },
            b'X' => Message::Cancel { order: self.u64(11), shares: self.u32(19) },
            b'D' => Message::Delete { order: self.u64(11) },
            b'U' => Message::Replace {
                order: self.u64(11),
                new_order: self.u64(19),
                shares: self.u32(27),
                price: self.u32(31),
            },
            b'P' => Message::HiddenTrade {
                shares: self.u32(20),
                symbol: self.symbol(24)?,
                price: self.u32(32),
                trade: self.u64(36),
            },
            b'Q' => Message::CrossTrade {
                shares: self.u64(11),
                symbol: self.symbol(19)?,
                price: self.u32(27),
                trade: self.u64(31),
                cross: self.letter(39)?,
            },
            b'B' => Message::BrokenTrade { trade: self.u64(11) },
            b'I' => Message::Imbalance(Imbalance {
                paired: self.u64(11),
                imbalance: self.u64(19),
                direction: self.letter(27)?,
                symbol: self.symbol(28)?,
                far: self.u32(36),
                near: self.u32(40),
                reference: self.u32(44),
                cross: self.letter(48)?,
            }),
            _ => Message::Other,
        })
    }

    fn bytes<const COUNT: usize>(&self, at: usize) -> [u8; COUNT] {
        self.0[at..].first_chunk().copied().expect("the length is that of the type")
    }

    fn number(&self, at: usize, count: usize) -> u64 {
        self.0[at..at + count].iter().fold(0, |number, &byte| number << 8 | u64::from(byte))
    }

    fn u32(&self, at: usize) -> u32 {
        u32::from_be_bytes(self.bytes(at))
    }

    fn u64(&self, at: usize) -> u64 {
        u64::from_be_bytes(self.bytes(at))
    }

    /// Reads one of these codes.
    fn code(&self, at: usize, codes: &[u8], what: &str) -> Result<u8, String> {
        let code = self.0[at];
        if codes.contains(&code) { Ok(code) } else { Err(format!("there is no {what} {:?}", char::from(code))) }
    }

    /// Reads any code; the venue adds some from time to time.
    fn letter(&self, at: usize) -> Result<u8, String> {
        let code = self.0[at];
        if code.is_ascii_graphic() || code == b' ' {
            Ok(code)
        } else {
            Err(format!("byte {code:#04x} at {at} is not a letter"))
        }
    }

    /// Reads text that is padded with blanks on the right.
    fn text(&self, at: usize, count: usize) -> Result<&'a str, String> {
        let bytes = self.0[at..at + count].trim_ascii_end();
        match str::from_utf8(bytes) {
            Ok(text) if text.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ') => Ok(text),
            _ => Err(format!("{:?} is not text", bytes.escape_ascii().to_string())),
        }
    }

    fn symbol(&self, at: usize) -> Result<&'a str, String> {
        match self.text(at, 8)? {
            "" => Err("the stock has no symbol".to_owned()),
            symbol => Ok(symbol),
        }
    }
}
