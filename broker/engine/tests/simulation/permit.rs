//! What a client may do, naively: PROTOCOL, "Permissions".

use std::sync::Arc;

use broker_protocol::pattern::Pattern;
use broker_protocol::permissions::Permissions;

use super::dice::Dice;
use super::subscriptions::{is_pattern, matches};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    pub sub: Vec<String>,
    pub publish: Vec<String>,
    pub deny: Vec<String>,
}

const ALLOWED: [&[&str]; 5] = [&[">"], &[">"], &["a.>", "b.>"], &["*", "*.b", "*.*.x", "a.>"], &["a", "a.*", "c.>"]];
const DENIED: [&[&str]; 7] = [&[], &[], &["a.b"], &["*.b.x", "c"], &["a.*"], &["b.>"], &["*.*.x", "a.c", "b.b"]];

impl Permit {
    pub fn drawn(dice: &mut Dice) -> Permit {
        let list = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        let (sub, publish, deny) =
            (dice.pick(&ALLOWED), dice.pick(&[ALLOWED[0], ALLOWED[0], ALLOWED[2]]), dice.pick(&DENIED));
        Permit { sub: list(sub), publish: list(publish), deny: list(deny) }
    }

    pub fn permissions(&self) -> Arc<Permissions> {
        let list = |texts: &[String]| texts.iter().map(|text| Pattern::parse(text).expect("a pattern")).collect();
        Arc::new(Permissions::new(list(&self.sub), list(&self.publish), list(&self.deny)))
    }

    pub fn denies(&self, topic: &str) -> bool {
        self.deny.iter().any(|pattern| matches(pattern, topic))
    }

    pub fn may_publish(&self, topic: &str) -> bool {
        self.publish.iter().any(|pattern| matches(pattern, topic)) && !self.denies(topic)
    }

    /// Whether a topic or a pattern may be subscribed to.
    pub fn may_subscribe(&self, entry: &str) -> bool {
        if is_pattern(entry) {
            let inside = |outer: &String| is_inside(outer, entry);
            return self.sub.iter().any(inside) && !self.deny.iter().any(inside);
        }
        self.sub.iter().any(|pattern| matches(pattern, entry)) && !self.denies(entry)
    }
}

/// Whether one pattern lies inside another, segment by segment.
fn is_inside(outer: &str, inner: &str) -> bool {
    let (outer, inner): (Vec<&str>, Vec<&str>) = (outer.split('.').collect(), inner.split('.').collect());
    for (at, segment) in outer.iter().enumerate() {
        match (*segment, inner.get(at).copied()) {
            (">", Some(_)) => return true,
            ("*", Some(own)) if own != ">" => {}
            (literal, Some(own)) if literal == own && literal != "*" => {}
            _ => return false,
        }
    }
    outer.len() == inner.len()
}
