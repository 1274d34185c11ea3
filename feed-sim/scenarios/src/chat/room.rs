//! One room: people come, write, and leave.

use std::collections::VecDeque;
use std::fmt::Write as _;

use super::lines::{NAMES, text};
use crate::ensemble::Actor;
use feed_player::publication::{Kind, Publication, push_string};
use feed_player::random::Random;

/// Between two things that happen in a room, on average.
pub(super) const GAP_MEAN_US: u32 = 1_500_000;

/// Away from the streams of the other scenarios, which may run from the same seed.
const STREAMS_FROM: u64 = 5 << 40;

const ROOMS: [&str; 4] = ["kitchen", "trading", "support", "random"];
/// So many people are in a room before anything happens.
const PEOPLE_AT_FIRST: u32 = 6;
/// Fewer than so many and nobody leaves.
const PEOPLE_MIN: usize = 3;
/// Messages that may still be answered, edited or deleted: those that are on a screen.
const RECENT_MAX: usize = 20;
/// So often the room is told whole, for a broker that was restarted and has lost it.
const WHOLE_EVERY: u32 = 256;

struct Person {
    /// Index into [`NAMES`], and what users are called by.
    number: usize,
    away: bool,
    typing: bool,
}

pub(super) struct Room {
    name: String,
    random: Random,
    people: Vec<Person>,
    last_id: u64,
    /// Message ids and who wrote them.
    recent: VecDeque<(u64, usize)>,
    presences: u32,
}

impl Room {
    pub(super) fn new(seed: u64, number: u32) -> Self {
        let mut random = Random::new(seed, STREAMS_FROM + u64::from(number));
        let first = random.below(NAMES.len() as u32);
        let number_of = |place: u32| (first + place) as usize % NAMES.len();
        Room {
            name: ROOMS.get(number as usize).map_or_else(|| format!("room{}", number + 1), |&name| name.to_owned()),
            people: (0..PEOPLE_AT_FIRST).map(|place| Person::new(number_of(place))).collect(),
            random,
            last_id: 0,
            recent: VecDeque::new(),
            presences: 0,
        }
    }

    fn happen(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        if self.presences == 0 {
            return self.tell_presence(None, out);
        }
        let place = self.random.below(self.people.len() as u32) as usize;
        // Who is typing sends it sooner or later, and whoever that is first.
        let typing = self.people.iter().position(|person| person.typing);
        match (self.random.below(100), typing) {
            (0..60, Some(place)) => self.write(place, now_us, out),
            (60..65, Some(place)) => self.change(place, |person| person.typing = false, out),
            (0..65, None) | (65..75, _) => self.change(
                place,
                |person| {
                    person.away = false;
                    person.typing = true;
                },
                out,
            ),
            (75..82, _) => self.correct(now_us, out),
            (82..88, _) => self.come(out),
            (88..93, _) => self.leave(place, out),
            _ => self.change(
                place,
                |person| {
                    person.away = !person.away;
                    person.typing = false;
                },
                out,
            ),
        }
    }

    fn write(&mut self, place: usize, now_us: u64, out: &mut VecDeque<Publication>) {
        let number = self.people[place].number;
        let reply_to = match self.random.chance(200) && !self.recent.is_empty() {
            true => format!(",\"reply_to\":{}", self.recent[self.random.below(self.recent.len() as u32) as usize].0),
            false => String::new(),
        };
        let text = text(&mut self.random);
        self.tell("message", number, Some(&text), &reply_to, now_us, out);
        self.recent.push_back((self.last_id, number));
        if self.recent.len() > RECENT_MAX {
            self.recent.pop_front();
        }
        self.change(place, |person| person.typing = false, out);
    }

    /// Somebody who is there edits or deletes what he wrote.
    fn correct(&mut self, now_us: u64, out: &mut VecDeque<Publication>) {
        if self.recent.is_empty() {
            return;
        }
        let place = self.random.below(self.recent.len() as u32) as usize;
        let (id, number) = self.recent[place];
        if !self.people.iter().any(|person| person.number == number) {
            return;
        }
        let corrects = format!(",\"corrects\":{id}");
        if self.random.chance(700) {
            let text = text(&mut self.random);
            self.tell("edit", number, Some(&text), &corrects, now_us, out);
        } else {
            self.recent.remove(place);
            self.tell("delete", number, None, &corrects, now_us, out);
        }
    }

    fn come(&mut self, out: &mut VecDeque<Publication>) {
        let first = self.random.below(NAMES.len() as u32) as usize;
        let is_out = |&number: &usize| self.people.iter().all(|person| person.number != number);
        let newcomer = (0..NAMES.len()).map(|step| (first + step) % NAMES.len()).find(is_out);
        if let Some(number) = newcomer {
            self.people.push(Person::new(number));
            self.tell_presence(Some(number), out);
        }
    }

    fn leave(&mut self, place: usize, out: &mut VecDeque<Publication>) {
        if self.people.len() > PEOPLE_MIN {
            let number = self.people.remove(place).number;
            self.tell_presence(Some(number), out);
        }
    }

    /// Changes a person, and tells it if that was a change.
    fn change(&mut self, place: usize, change: impl FnOnce(&mut Person), out: &mut VecDeque<Publication>) {
        let person = &mut self.people[place];
        let before = (person.away, person.typing);
        change(person);
        let number = person.number;
        if before != (person.away, person.typing) {
            self.tell_presence(Some(number), out);
        }
    }

    fn tell(
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

    /// How `number` is now, or when it is time for it or `None` is asked for, how all are.
    fn tell_presence(&mut self, number: Option<usize>, out: &mut VecDeque<Publication>) {
        let whole = number.is_none() || self.presences.is_multiple_of(WHOLE_EVERY);
        self.presences += 1;
        let is_told = |person: &&Person| whole || Some(person.number) == number;
        let mut data = String::from("{");
        for person in self.people.iter().filter(is_told) {
            _ = write!(data, "\"u{}\":{{\"name\":", person.number);
            push_string(&mut data, NAMES[person.number]);
            let status = if person.away { "away" } else { "here" };
            _ = write!(data, ",\"status\":\"{status}\",\"typing\":{}}},", person.typing);
        }
        match number {
            // He is not there any more.
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
