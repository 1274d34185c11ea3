//! Permissions, naively: patterns as lists of segments.

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;

use super::dice::Dice;

pub const NAMES: [&str; 9] = ["a", "a.b", "a.b.c", "a.c", "b", "b.b", "b.b.c", "c.a.b", "$SYS.a"];

/// What a client may read.
#[derive(Debug, Clone)]
pub struct Rights {
    pub sub: Vec<String>,
    pub deny: Vec<String>,
}

impl Rights {
    pub fn drawn(dice: &mut Dice) -> Rights {
        let mut list = |max: u64| (0..dice.range(0..max)).map(|_| patterns(dice)).collect::<Vec<_>>();
        let (mut sub, deny) = (list(4), list(3));
        if dice.percent(50) {
            sub.push(">".into());
        }
        Rights { sub, deny }
    }

    /// What a client may read while nobody is asked who they are.
    pub fn of_anyone(forbids_reserved: bool) -> Rights {
        let sub = if forbids_reserved { &[">"][..] } else { &[">", "$SYS", "$SYS.>"] };
        Rights { sub: sub.iter().map(|pattern| (*pattern).to_owned()).collect(), deny: Vec::new() }
    }

    pub fn permissions(&self) -> Arc<Permissions> {
        let list = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect();
        Arc::new(Permissions::new(list(&self.sub), Vec::new(), list(&self.deny)))
    }

    pub fn may_read(&self, topic: &str) -> bool {
        let any = |list: &[String]| list.iter().any(|pattern| matches(pattern, topic));
        any(&self.sub) && !any(&self.deny)
    }

    pub fn may_subscribe(&self, entry: &str) -> bool {
        if !entry.contains(['*', '>']) {
            return self.may_read(entry);
        }
        let any = |list: &[String]| list.iter().any(|pattern| is_inside(pattern, entry));
        any(&self.sub) && !any(&self.deny)
    }
}

/// A topic or a pattern.
pub fn patterns(dice: &mut Dice) -> String {
    if dice.percent(30) {
        return dice.pick(&NAMES).to_owned();
    }
    let mut segments: Vec<&str> = (0..dice.range(0..4)).map(|_| dice.pick(&["a", "b", "c", "*", "*"])).collect();
    if dice.percent(5) {
        segments.insert(0, "$SYS");
    }
    if segments.is_empty() || dice.percent(40) {
        segments.push(">");
    }
    segments.join(".")
}

/// Whether a pattern matches a topic.
pub fn matches(pattern: &str, topic: &str) -> bool {
    let (pattern, topic): (Vec<&str>, Vec<&str>) = (pattern.split('.').collect(), topic.split('.').collect());
    if topic[0].starts_with('$') && pattern[0] != topic[0] {
        return false;
    }
    let rest = pattern.last() == Some(&">");
    let fixed = if rest { &pattern[..pattern.len() - 1] } else { &pattern[..] };
    let long_enough = if rest { topic.len() > fixed.len() } else { topic.len() == fixed.len() };
    long_enough && fixed.iter().zip(&topic).all(|(segment, name)| *segment == "*" || segment == name)
}

/// Whether a pattern lies inside another one.
fn is_inside(outer: &str, inner: &str) -> bool {
    let (outer, inner): (Vec<&str>, Vec<&str>) = (outer.split('.').collect(), inner.split('.').collect());
    if inner[0].starts_with('$') && outer[0] != inner[0] {
        return false;
    }
    for (at, segment) in outer.iter().enumerate() {
        let Some(own) = inner.get(at) else { return false };
        match *segment {
            ">" => return true,
            "*" if *own == ">" => return false,
            "*" => {}
            literal if literal == *own => {}
            _ => return false,
        }
    }
    outer.len() == inner.len()
}
