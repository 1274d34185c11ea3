//! Chat rooms: members and their messages, among them texts that a page must show as text and never run.

mod lines;
mod room;

use super::Scenario;
use super::ensemble::Ensemble;
use room::Room;

/// What `feed-sim describe chat` prints.
pub(super) const DESCRIPTION: &str = "\
Per room ROOM (kitchen, trading, support, random, then room5, room6, ...):
  chat.ROOM.message   event  {\"id\",\"type\",\"user\",\"name\",\"text\",\"at_ms\"} and \"reply_to\" or \"corrects\", which are ids: `type` is
                      `message`, `edit` (\"text\" replaces that of the message in \"corrects\") or `delete` (without \"text\")
  chat.ROOM.presence  patch  {USER:{\"name\",\"status\",\"typing\"}}: the changes; null for a USER who left. `status` is `here` or `away`.
                      The first message and every 256th is the whole room as `state`
`id` counts the events of a room. Only users who are present write, and they edit and delete only their own messages; a
reply is to an earlier message. A user is `typing` before a message and not afterwards. `at_ms` is the feed's own clock.
Names and texts contain what people type: quotes, emoji, right-to-left and combining letters, line breaks (as \\n), and
now and then `<script>` or `<img onerror>`. A page must show them as text.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"chat.kitchen.message\",\"chat.*.presence\"]}";

/// Updates per room and second, measured; a test checks it.
const UPDATES_PER_ROOM_S: f64 = 0.88;

/// Makes the scenario with `rooms` rooms, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, rooms: u32) -> impl Scenario {
    let updates_per_s = f64::from(rooms) * UPDATES_PER_ROOM_S;
    Ensemble::new(rooms, |number| Room::new(seed, number), u64::from(room::GAP_MEAN_US), updates_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_stated_rate_is_right() {
        super::super::ensemble::assert_rate(scenario(3, 8), 60_000);
    }
}
