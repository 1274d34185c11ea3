//! Chat rooms: who is there, and what they write, also what a page must show as text and never run.

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
  chat.ROOM.presence  patch  {USER:{\"name\",\"status\",\"typing\"}}: what changed; USER null who has left. `status` is `here` or `away`.
                      The first message and every 256th is the whole room as `state`
`id` counts the events of a room. Only who is there writes, and only to the messages of who wrote them edits and deletes
come; a reply is to an earlier message. Who writes is typing before and not afterwards. `at_ms` is the feed's own clock.
Names and texts are what people type: quotes, emoji, right-to-left and combining letters, line breaks (as \\n), and now and then
`<script>` or `<img onerror>`. A page must show them as text.
Subscribe: {\"op\":\"subscribe\",\"id\":1,\"topics\":[\"chat.kitchen.message\",\"chat.*.presence\"]}";

/// Updates per room and second, measured; a test keeps it true.
const UPDATES_PER_ROOM_S: f64 = 0.88;

/// `rooms`, at least one, each from its own stream of `seed`.
pub(super) fn scenario(seed: u64, rooms: u32) -> impl Scenario {
    let updates_per_s = f64::from(rooms) * UPDATES_PER_ROOM_S;
    Ensemble::new(rooms, |number| Room::new(seed, number), u64::from(room::GAP_MEAN_US), updates_per_s)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_what_it_says() {
        super::super::ensemble::assert_rate(scenario(3, 8), 60_000);
    }
}
