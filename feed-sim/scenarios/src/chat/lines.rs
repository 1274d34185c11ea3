//! The names of users and the texts that they write.

use feed_player::random::Random;

/// Fictitious names. Some would be markup, or break a string, on a page that does not treat them as text.
pub(super) const NAMES: [&str; 16] = [
    "Ana",
    "Bo \"the Bit\" Larsen",
    "Chidi",
    "Dagny",
    "Eamon O'Hare",
    "李雷",
    "Fatou & Friends",
    "Goran",
    "<b>Hana</b>",
    "Ирина",
    "Zoë",
    "نور",
    "Kenji 🦊",
    "Lupe",
    "back\\slash",
    "Mele",
];

const BEGINNINGS: [&str; 10] = [
    "Did anybody see",
    "I am still waiting for",
    "Who broke",
    "Nobody told me about",
    "Can we talk about",
    "Finally:",
    "There is news of",
    "I would not touch",
    "Please have a look at",
    "Half the team is on",
];

const THINGS: [&str; 10] = [
    "the new release",
    "that quote on AAPL",
    "the goal in the third minute",
    "the coffee machine",
    "server db-1",
    "the match tonight",
    "the invoice from May",
    "the lunch list",
    "the slow query",
    "the other meeting",
];

const ENDINGS: [&str; 8] = ["?", "!", " 🙂", " ...", ", seriously", " – again", "?!", ""];

/// Texts that a page must show as text: markup that would run, quotes and braces that would end a string or a template,
/// line breaks, letters beyond the basic plane, joined emoji, text from right to left, combining marks.
const SPECIAL: [&str; 14] = [
    "<script>alert('this must be text')</script>",
    "<img src=x onerror=\"alert(1)\">",
    "</textarea></script><!-- is this still text?",
    "javascript:alert(document.cookie)",
    "she said \"it's fine\", then 'no'",
    "${7*7} {{7*7}} `7*7` %37%2A7",
    "a line\nand another\tone",
    "C:\\new\\table & co. &lt;b&gt;",
    "👩‍👩‍👧‍👦 🇳🇴 👍🏽 🚀🚀🚀",
    "مرحبا بالجميع",
    "Z̷a̸l̶g̵o̷ is here",
    "数据已经到了吗？",
    "null",
    "{\"op\":\"subscribe\",\"topics\":[\">\"]}",
];

/// Draws a text; one in eight is special.
pub(super) fn text(random: &mut Random) -> String {
    let mut one_of = |texts: &[&'static str]| texts[random.below(texts.len() as u32) as usize];
    let plain = [one_of(&BEGINNINGS), " ", one_of(&THINGS), one_of(&ENDINGS)].concat();
    let special = one_of(&SPECIAL);
    if random.chance(128) { special.to_owned() } else { plain }
}
