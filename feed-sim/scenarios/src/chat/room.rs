//! One room: users join, write and leave.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::lines::{NAMES, text};
use crate::ensemble::Actor;
use feed_player::publication::{Kind, Publication, push_string};
use feed_player::random::Random;

/// The time between two actions in a room, on average.
pub(super) const GAP_MEAN_US: u32 = 1_500_000;

/// The first random stream: distinct from those of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 5 << 40;

const ROOMS: [&str; 4] = ["kitchen", "trading", "support", "random"];
/// How many people are in a room at the beginning.
const PEOPLE_AT_FIRST: u32 = 6;
/// With this many people in the room, nobody leaves.
const PEOPLE_MIN: usize = 3;
/// How many messages may still be answered, edited or deleted: those that fit on a screen.
const RECENT_MAX: usize = 20;
/// Every this many presence messages the room is sent whole, for a broker that was restarted and has lost it.
const WHOLE_EVERY: u32 = 256;

struct Person {
    /// The index into [`NAMES`], which is also the user's number.
    number: usize,
    away: bool,
    typing: bool,
}

pub(super) struct Room {
    name: String,
    random: Random,
    people: Vec<Person>,
    last_id: u64,
    /// The ids of recent messages, and the number of each one's author.
    recent: VecDeque<(u64, usize)>,
    presences: u32,
}

impl Room {
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let first = random.below(NAMES.len() as u32);
        let number_of = |index: u32| (first + index) as usize % NAMES.len();
        Room {
            name: ROOMS.get(number as usize).map_or_else(|| format!("room{}", number + 1), |&name| name.to_owned()),
            people: (0..PEOPLE_AT_FIRST).map(|index| Person::new(number_of(index))).collect(),
            random,
            last_id: 0,
            recent: VecDeque::new(),
            presences: 0,
        }
    }

    fn happen(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        if self.presences == 0 {
            return self.emit_presence(None, out);
        }
        let index = self.random.below(self.people.len() as u32) as usize;
        // The first person who is typing is the next to send or give up.
        let typing = self.people.iter().position(|person| person.typing);
        match (self.random.below(100), typing) {
            (0..60, Some(index)) => self.write(index, now_us, out),
            (60..65, Some(index)) => self.change(index, |person| person.typing = false, out),
            (0..65, None) | (65..75, _) => self.change(
                index,
                |person| {
                    person.away = false;
                    person.typing = true;
                },
                out,
            ),
            (75..82, _) => self.correct(now_us, out),
            (82..88, _) => self.come(out),
            (88..93, _) => self.leave(index, out),
            _ => self.change(
                index,
                |person| {
                    person.away = !person.away;
                    person.typing = false;
                },
                out,
            ),
        }
    }

    fn write(&mut self, index: usize, now_us: u64, out: &mut VecDeque<Publication>) {
        let number = self.people[index].number;
        let reply_to = match self.random.chance(200) && !self.recent.is_empty() {
            true => format!(",\"reply_to\":{}", self.recent[self.random.below(self.recent.len() as u32) as usize].0),
            false => String::new(),
        };
        let text = text(&mut self.random);
        self.emit("message", number, Some(&text), &reply_to, now_us, out);
        self.recent.push_back((self.last_id, number));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        self.change(index, |person| person.typing = false, out);
    }

    /// A person who is present edits or deletes one of their messages.
    fn correct(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        if self.recent.is_empty() {
            return;
        }
        let index = self.random.below(self.recent.len() as u32) as usize;
        let (id, number) = self.recent[index];
        if !self.people.iter().any(|person| person.number == number) {
            return;
        }
        let corrects = format!(",\"corrects\":{id}");
        if self.random.chance(700) {
            let text = text(&mut self.random);
            self.emit("edit", number, Some(&text), &corrects, now_us, out);
        } else {
            self.recent.remove(index);
            self.emit("delete", number, None, &corrects, now_us, out);
        }
    }

    fn come(&mut self, out: &mut VecDeque<Publication>) {
        let first = self.random.below(NAMES.len() as u32) as usize;
        let is_out = |&number: &usize| self.people.iter().all(|person| person.number != number);
        let newcomer = (0..NAMES.len()).map(|step| (first + step) % NAMES.len()).find(is_out);
        if let Some(number) = newcomer {
            self.people.push(Person::new(number));
            self.emit_presence(Some(number), out);
        }
    }

    fn leave(&mut self, index: usize, out: &mut VecDeque<Publication>) {
        if self.people.len() > PEOPLE_MIN {
            let number = self.people.remove(index).number;
            self.emit_presence(Some(number), out);
        }
    }

    /// Changes a person, and publishes the presence if that made a difference.
    fn change(&mut self, index: usize, change: impl FnOnce(&mut Person), out: &mut VecDeque<Publication>) {
        let person = &mut self.people[index];
        let before = (person.away, person.typing);
        change(person);
        let number = person.number;
        if before != (person.away, person.typing) {
            self.emit_presence(Some(number), out);
        }
    }

    fn emit(
        &mut self,
        what: &str,
        number: usize,
        text: Option<&str>,
        rest: &str,
        now_us: u64,
        out: &mut VecDeque<Publication>,
    ) {
        self.last_id += 1;
        let mut data = format!(r#"{{"id":{},"type":"{what}","user":"u{number}","name":"#, self.last_id);
        push_string(&mut data, NAMES[number]);
        if let Some(text) = text {
            data.push_str(",\"text\":");
            push_string(&mut data, text);
        }
        _ = write!(data, ",\"at_ms\":{}{rest}}}", now_us / 1_000);
        out.push_back(Publication::new(&format!("chat.{}.message", self.name), Kind::Event, data));
    }

    /// Publishes the presence of `number`, or of everyone if `number` is `None` or a whole state is due.
    fn emit_presence(&mut self, number: Option<usize>, out: &mut VecDeque<Publication>) {
        let whole = number.is_none() || self.presences.is_multiple_of(WHOLE_EVERY);
        self.presences += 1;
        let is_sent = |person: &&Person| whole || Some(person.number) == number;
        let mut data = String::from("{");
        for person in self.people.iter().filter(is_sent) {
            _ = write!(data, "\"u{}\":{{\"name\":", person.number);
            push_string(&mut data, NAMES[person.number]);
            let status = if person.away { "away" } else { "here" };
            _ = write!(data, ",\"status\":\"{status}\",\"typing\":{}}},", person.typing);
        }
        match number {
            // The person has left.
            Some(number) if data.len() == 1 => _ = write!(data, "\"u{number}\":null"),
            _ => _ = data.pop(),
        }
        data.push('}');
        let kind = if whole { Kind::State } else { Kind::Patch };
        out.push_back(Publication::new(&format!("chat.{}.presence", self.name), kind, data));
    }
}

impl Person {
    fn new(number: usize) -> Self {
        Person { number, away: false, typing: false }
    }
}

impl Actor for Room {
    fn act(&mut self, now_us: u64, out: &mut VecDeque<Publication>) -> u64 {
        self.happen(now_us, out);
        self.random.gap_us(GAP_MEAN_US)
    }
}
