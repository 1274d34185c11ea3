//! The content of an update: JSON of a fixed length, with everything needed to verify its arrival.
//!
//! ```json
//! {"t":1000012345678901234,"w":1000012345678955555,"k":17,"n":4211,"p":"xxxxxxxx","c":"5a1b9e0c"}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `t` | when it was due, ns of the load's clock: latency counts from then |
//! | `w` | when it was handed to the publisher's socket |
//! | `k` | the number of the topic |
//! | `n` | counts the updates of the topic from 1 |
//! | `p` | fills up to the requested length |
//! | `c` | CRC-32 (ISO-HDLC, as in zlib) of everything before `","c":`, in hexadecimal |

use memchr::memmem;

/// The smallest length that has room for all fields, whatever the numbers.
pub(crate) const BYTES_MIN: usize = 100;
/// The largest length: with its envelope it fits into a broker's message of 64 KiB.
pub(crate) const BYTES_MAX: usize = 60_000;

const BEGIN: &[u8] = b"{\"t\":";
const CHECK: &[u8] = b"\",\"c\":\"";

/// The fields of a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    pub(crate) due_ns: u64,
    pub(crate) sent_ns: u64,
    pub(crate) topic: u32,
    pub(crate) n: u64,
}

/// Appends a payload of exactly `len` bytes, or of a few more if its numbers need them.
pub(crate) fn write(out: &mut Vec<u8>, len: usize, stamp: Stamp) {
    let begin = out.len();
    out.extend(BEGIN);
    digits(out, stamp.due_ns);
    out.extend(b",\"w\":");
    digits(out, stamp.sent_ns);
    out.extend(b",\"k\":");
    digits(out, stamp.topic.into());
    out.extend(b",\"n\":");
    digits(out, stamp.n);
    out.extend(b",\"p\":\"");
    let tail = CHECK.len() + 8 + 2;
    let filled = out.len() - begin + tail;
    out.resize(out.len() + len.saturating_sub(filled), b'x');
    let check = crc32fast::hash(&out[begin..]);
    out.extend(CHECK);
    for shift in (0..8).rev() {
        out.push(b"0123456789abcdef"[(check >> (shift * 4)) as usize & 15]);
    }
    out.extend(b"\"}");
}

fn digits(out: &mut Vec<u8>, number: u64) {
    let mut text = [0; 20];
    let mut at = text.len();
    let mut rest = number;
    loop {
        at -= 1;
        text[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend(&text[at..]);
}

/// Finds the payload in a message of any shape.
pub(crate) fn find(message: &[u8]) -> Option<&[u8]> {
    // The text before it is short: searching for a byte is faster than making a finder.
    let at = memchr::memchr_iter(b'{', message).find(|&at| message[at..].starts_with(BEGIN))?;
    Some(&message[at..])
}

/// Reads the payload at the beginning of `bytes`.
pub(crate) fn read(bytes: &[u8]) -> Option<Stamp> {
    let (due_ns, rest) = field(bytes, b"{\"t\":")?;
    let (sent_ns, rest) = field(rest, b",\"w\":")?;
    let (topic, rest) = field(rest, b",\"k\":")?;
    let (n, _) = field(rest, b",\"n\":")?;
    Some(Stamp { due_ns, sent_ns, topic: u32::try_from(topic).ok()?, n })
}

fn field<'a>(bytes: &'a [u8], name: &[u8; 5]) -> Option<(u64, &'a [u8])> {
    let (begin, rest) = bytes.split_first_chunk::<5>()?;
    if begin == name { number(rest) } else { None }
}

/// Whether the payload at the beginning of `bytes` is as it was written.
pub(crate) fn is_intact(bytes: &[u8]) -> bool {
    let Some(at) = memmem::find(bytes, CHECK) else { return false };
    let check = bytes.get(at + CHECK.len()..at + CHECK.len() + 8).and_then(|hex| std::str::from_utf8(hex).ok());
    check.and_then(|hex| u32::from_str_radix(hex, 16).ok()) == Some(crc32fast::hash(&bytes[..at]))
}

/// Reads the decimal number of at most 19 digits at the beginning. Returns it and the bytes after it.
pub(crate) fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let mut value: u64 = 0;
    let mut rest = bytes;
    // Read digit by digit, numbers would be most of the cost of a delivery: time stamps have 16 and 19 digits.
    while let Some((eight, after)) = rest.split_first_chunk()
        && let Some(digits) = eight_digits(*eight)
    {
        value = value.wrapping_mul(100_000_000).wrapping_add(digits);
        rest = after;
    }
    while let Some((digit, after)) = rest.split_first()
        && digit.is_ascii_digit()
    {
        value = value.wrapping_mul(10).wrapping_add(u64::from(digit - b'0'));
        rest = after;
    }
    (1..=19).contains(&(bytes.len() - rest.len())).then_some((value, rest))
}

/// Reads eight digits at once: neighbours are joined to numbers of two digits, those to numbers of four, those to one
/// of eight.
fn eight_digits(bytes: [u8; 8]) -> Option<u64> {
    let text = u64::from_le_bytes(bytes);
    // Digits are 0x30 to 0x39: the high half of each byte is 3, also after 6 is added.
    let high = 0xf0f0_f0f0_f0f0_f0f0;
    let threes = 0x3030_3030_3030_3030;
    if text & high != threes || text.wrapping_add(0x0606_0606_0606_0606) & high != threes {
        return None;
    }
    let ones = text & 0x0f0f_0f0f_0f0f_0f0f;
    let twos = ones.wrapping_mul(10).wrapping_add(ones >> 8) & 0x00ff_00ff_00ff_00ff;
    let fours = twos.wrapping_mul(100).wrapping_add(twos >> 16) & 0x0000_ffff_0000_ffff;
    Some(fours.wrapping_mul(10_000).wrapping_add(fours >> 32) & 0xffff_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_payload_has_its_length_and_is_read_back() {
        let stamps = [
            Stamp { due_ns: crate::clock::FIRST_NS, sent_ns: crate::clock::FIRST_NS + 5, topic: 0, n: 1 },
            Stamp { due_ns: u64::MAX / 4, sent_ns: u64::MAX / 4, topic: 999_999, n: 9_999_999_999 },
        ];
        for stamp in stamps {
            for len in [BYTES_MIN, 121, 500, BYTES_MAX] {
                let mut bytes = Vec::new();
                write(&mut bytes, len, stamp);
                assert_eq!(bytes.len(), len);
                serde_json::from_slice::<serde_json::Value>(&bytes).expect("it is JSON");
                let framed = [b"{\"op\":\"update\",\"data\":", &bytes[..], b"}"].concat();
                let found = find(&framed).expect("it is found");
                assert_eq!(read(found), Some(stamp));
                assert!(is_intact(found));
            }
        }
    }

    #[test]
    fn numbers_are_read_as_the_standard_library_reads_them() {
        for number in
            (0..20_000).chain((0..64).map(|bit| 1u64 << bit)).chain([99_999_999, 100_000_000, 10u64.pow(16) - 1])
        {
            let text = number.to_string();
            let expected = (text.len() <= 19).then_some((number, &b",\"x\":1"[..]));
            assert_eq!(super::number(format!("{text},\"x\":1").as_bytes()), expected);
            assert_eq!(super::number(text.as_bytes()).map(|(value, _)| value), expected.map(|(value, _)| value));
        }
        for wrong in ["", "x", "-1", "\"1", "12345678901234567890"] {
            assert_eq!(super::number(wrong.as_bytes()), None, "{wrong}");
        }
        // No other byte counts as a digit.
        for byte in (0..=255u8).filter(|byte| !byte.is_ascii_digit()) {
            let bytes = [b'1', b'2', b'3', byte, b'5', b'6', b'7', b'8', b'9'];
            assert_eq!(super::number(&bytes).map(|(value, _)| value), Some(123), "{byte:#x}");
        }
    }

    #[test]
    fn every_changed_byte_is_noticed() {
        let mut bytes = Vec::new();
        write(&mut bytes, BYTES_MIN, Stamp { due_ns: 1 << 60, sent_ns: 1 << 60, topic: 3, n: 77 });
        // Except the end of the JSON, which is after the checksum.
        for at in 0..bytes.len() - 2 {
            let mut other = bytes.clone();
            other[at] ^= 1;
            assert!(!is_intact(&other), "byte {at} of {}", String::from_utf8_lossy(&other));
        }
    }
}
