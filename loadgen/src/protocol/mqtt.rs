//! MQTT 3.1.1 (OASIS standard), quality of service 0: packets, a stream of bytes inside binary WebSocket frames (§6).

use super::{Entry, Received};

/// The longest remaining length (§2.2.3) that is accepted: 64 MiB.
const PACKET_BYTES_MAX: usize = 64 << 20;
const CONNACK: u8 = 2;
const PUBLISH: u8 = 3;
const SUBACK: u8 = 9;
const PINGRESP: u8 = 13;

pub(super) fn connect(out: &mut Vec<u8>, client: &str) {
    let client = format!("loadgen-{}-{client}", std::process::id());
    let mut body = vec![0, 4, b'M', b'Q', b'T', b'T', 4, 2, 0, 0];
    text(&mut body, &client);
    packet(out, 0x10, &body);
}

pub(super) fn subscribe(out: &mut Vec<u8>, number: u32, entries: &[Entry<'_>]) {
    connect(out, &number.to_string());
    let mut body = vec![0, 1];
    for entry in entries {
        text(&mut body, entry.name);
        body.push(0);
    }
    packet(out, 0x82, &body);
}

pub(super) fn publish(out: &mut Vec<u8>, topic: &str, payload: &[u8]) {
    out.push(PUBLISH << 4);
    remaining_length(out, 2 + topic.len() + payload.len());
    text(out, topic);
    out.extend(payload);
}

fn packet(out: &mut Vec<u8>, first: u8, body: &[u8]) {
    out.push(first);
    remaining_length(out, body.len());
    out.extend(body);
}

fn text(out: &mut Vec<u8>, text: &str) {
    out.extend((text.len() as u16).to_be_bytes());
    out.extend(text.as_bytes());
}

fn remaining_length(out: &mut Vec<u8>, mut len: usize) {
    loop {
        let digit = (len % 128) as u8;
        len /= 128;
        out.push(if len > 0 { digit | 0x80 } else { digit });
        if len == 0 {
            return;
        }
    }
}

pub(super) fn decode(bytes: &[u8], each: &mut impl FnMut(Received<'_>)) -> Result<usize, String> {
    let mut at = 0;
    while let Some((first, body, end)) = first_packet(&bytes[at..])? {
        match first >> 4 {
            PUBLISH => {
                let Some((len, rest)) = body.split_first_chunk() else { return Err("a truncated PUBLISH".to_owned()) };
                let len = usize::from(u16::from_be_bytes(*len));
                let topic = rest.get(..len).ok_or("a truncated PUBLISH")?;
                each(Received::Update { topic, seq: None, from: None, ts_us: 0, data: &rest[len..] });
            }
            CONNACK if body.get(1) != Some(&0) => {
                each(Received::Refused(format!("CONNACK with return code {:?}", body.get(1))));
            }
            SUBACK if body.iter().skip(2).any(|code| *code == 0x80) => {
                each(Received::Refused("SUBACK with a failure".to_owned()));
            }
            SUBACK => each(Received::Subscribed),
            CONNACK | PINGRESP => {}
            other => return Err(format!("a packet of type {other}")),
        }
        at += end;
    }
    Ok(at)
}

/// The first byte of a packet, its body, and its length.
type Packet<'a> = (u8, &'a [u8], usize);

/// Reads the packet at the beginning, if it is whole.
fn first_packet(bytes: &[u8]) -> Result<Option<Packet<'_>>, String> {
    let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
    let mut len = 0;
    for index in 0..4 {
        let Some(digit) = rest.get(index) else { return Ok(None) };
        len |= usize::from(digit & 0x7f) << (7 * index);
        if digit & 0x80 == 0 {
            if len > PACKET_BYTES_MAX {
                return Err(format!("a packet of {len} bytes"));
            }
            let begin = index + 1;
            return Ok(rest.get(begin..begin + len).map(|body| (*first, body, 1 + begin + len)));
        }
    }
    Err("a remaining length of more than four bytes".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn publications_are_decoded_however_they_are_split() {
        let mut bytes = vec![0x20, 2, 0, 0, 0x90, 3, 0, 1, 0];
        for len in [0, 100, 127, 128, 20_000] {
            publish(&mut bytes, "a/b", &vec![b'x'; len]);
        }
        let whole = decoded(&[&bytes]);
        assert_eq!(whole.len(), 6);
        for cut in (0..400).chain([bytes.len() - 1]) {
            assert_eq!(decoded(&[&bytes[..cut], &bytes[cut..]]), whole, "cut at {cut}");
        }
    }

    fn decoded(parts: &[&[u8]]) -> Vec<String> {
        let (mut all, mut rest) = (Vec::new(), Vec::new());
        for part in parts {
            rest.extend_from_slice(part);
            let used = decode(&rest, &mut |received| all.push(format!("{received:?}"))).expect("it is MQTT");
            rest.drain(..used);
        }
        assert!(rest.is_empty());
        all
    }
}
