//! The bytes of one small file. If they change, so must the format's number.

use super::*;
use crate::checkpoint::block::PRELUDE_BYTES;
use crate::checkpoint::fields::Fields;

const BLOCKS: &[&str] = &[
    // Head: kind, length, checksums.
    "013e000000000000004d18ce032b8a967b91442e6b14e3a08e",
    // Nonce, checksum of the record.
    "08070605040302011817161514131211",
    // Start, first ordinal, position, commands, time.
    "8080f9c0c1c4820306ac02a01fc084b6c1c1c48203",
    // One session: `a`, 9, 3, 299.
    "0101610903ab02",
    // Settings: five numbers, one rule: `trades.>`, event.
    "0101020304ac0201087472616465732e3e01",
    // Topic.
    "02530000000000000097bd5f25c5397ac279c30d6179f176e6",
    // `a.b`, `e1`, state, patches.
    "03612e620265310201",
    // seq, place, time, age, dropped ordinal.
    "078201a0c297c1c1c48203a0c21e78",
    // source_ts, image.
    "01c801010b7b2261223a22622063227d",
    // One source: `s`, 128.
    "0101738001",
    // Two updates: ordinal, age, message.
    "027f050f7b226f70223a22757064617465227d8101050f7b226f70223a22757064617465227d",
    // Tail.
    "031100000000000000cc92d5ad4c38293475e0efea617931ec",
    // One topic, 4,010 commands, two names with their places.
    "01aa1f0204676f6e658d01036f6c648b01",
];

#[test]
fn the_bytes_stay_the_same() {
    let dir = test_dir();
    let file = write(dir.path(), &head(), &[topic("a.b")], &tail());
    let bytes = std::fs::read(&file.path).unwrap();
    assert_eq!(bytes[..12], *b"TICKCHK\n\x01\0\0\0");
    let blocks: String = bytes[PRELUDE_BYTES..].iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(blocks, BLOCKS.concat());
}

#[test]
fn what_was_refused_stands_behind_what_ended() {
    let bytes = |refused| {
        let mut bytes = Vec::new();
        Tail { meanwhile: Meanwhile { refused, ..Meanwhile::default() }, complete_at: 9 }.push(1, &mut bytes);
        bytes
    };
    let places = Places::from_parts(300, &[5, 128]).unwrap();
    assert_eq!(bytes(Places::default()), [1, 9, 0]);
    assert_eq!(bytes(places.clone()), [1, 9, 0, 172, 2, 2, 5, 128]);
    let read = |bytes: &[u8]| Fields::whole(bytes, |fields| Tail::read(1, fields)).map(|tail| tail.meanwhile.refused);
    assert_eq!(read(&bytes(places.clone())), Ok(places));
    // There is one form only.
    for flawed in [&[1, 9, 0, 172, 2, 0][..], &[1, 9, 0, 172, 2, 1, 0], &[1, 9, 0, 173, 2, 1, 1]] {
        assert_eq!(read(flawed), Err(Flaw::Value("the places")), "{flawed:?}");
    }
}
