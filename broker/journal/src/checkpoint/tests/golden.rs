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
fn what_is_full_is_a_byte_behind_the_settings() {
    let mut bytes = Vec::new();
    let plain = Head { settings: None, sessions: Vec::new(), ..head() };
    plain.push(&mut bytes);
    for (code, expected) in [(0, Some(Full::default())), (1, Full::of_code(1)), (3, Full::of_code(3)), (4, None)] {
        let payload = [&bytes[..], &[code]].concat();
        let found = Fields::whole(if code == 0 { &bytes } else { &payload }, Head::read).ok();
        assert_eq!(found.map(|head| head.full), expected, "{code}");
    }
    assert!(Fields::whole(&[&bytes[..], &[0]].concat(), Head::read).is_err(), "there is one form only");
}
