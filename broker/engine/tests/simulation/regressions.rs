//! Histories that found something, and what it was.

/// A seed, and what was wrong.
const FOUND: [(u64, &str); 25] = [
    (1, "publishers waited for a shard without interest, which nobody woke"),
    (7, "{\"last\":0} started a topic with patches live, without its image"),
    (10, "a pattern subscribed while a followed name had no topic was not sent its next beginning"),
    (34, "`closed` of a topic that the walk over a pattern's topics had not introduced"),
    (42, "the image again, at the same seq, after leaving a pattern of another interval"),
    (49, "a walk instead of another pattern's linked names that its own pattern does not match"),
    (73, "`closed` that fell out of a conflated connection's runs sent the image once more"),
    (75, "no `closed` for a topic that ended while its introduction was under way"),
    (156, "a start by the options of a pattern that no longer applied"),
    (218, "half an image followed by the whole `closed` frame"),
    (257, "two incarnations that ended before a walk reached them, the second before the first was closed"),
    (303, "`closed` forgotten where the socket filled right before it"),
    (1007, "a reader of history counted as behind because of entries that its history covers"),
    (1058, "introduced by a pattern although a more specific one applies"),
    (1840, "a first patch refused by the size of what it deletes"),
    (2155, "introduced by the old options after the answer to a more specific pattern"),
    (2777, "introduced twice"),
    (3851, "a topic that just ended was never closed for a client that subscribed to another pattern just then"),
    (
        21_650,
        "`closed` dropped because an equally specific pattern was subscribed to again, not the one that introduced the topic",
    ),
    (33_893, "a subscription that was refused stopped following a topic whose beginning was still to be read"),
    (43_918, "an update lost by falling out of step, of a topic of which the connection wanted only later ones"),
    (
        130_915,
        "an update of a topic that was not introduced, after a name was left for a pattern before its beginning was read",
    ),
    (138_659, "a connection was closed for another that had its number before"),
    (
        100_803,
        "a topic that began again before its predecessor was closed, for a connection evicted by that very frame",
    ),
    (202_549, "a subscription that took effect for a client that had to pay just then"),
];

#[test]
fn what_was_found_once_stays_found() {
    for (seed, what) in FOUND {
        if let Err(error) = super::histories::run(seed, false) {
            panic!("TICKCAST_SEED={seed}, which once found this: {what}\n{error}");
        }
    }
}
