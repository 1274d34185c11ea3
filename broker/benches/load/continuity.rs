//! Every stream is unbroken, or what is missing was said: a benchmark of a broker that loses updates measures nothing.

use super::Message;

/// The last `seq` of every topic on every connection; 0 before the first.
#[derive(Debug)]
pub(crate) struct Continuity {
    topics: usize,
    last: Vec<u32>,
}

impl Continuity {
    pub(crate) fn new(connections: usize, topics: usize) -> Self {
        Self { topics, last: vec![0; connections * topics] }
    }

    /// The last `seq` that stands for what a connection has of a topic.
    pub(crate) fn last(&self, connection: usize, topic: usize) -> u64 {
        self.last[connection * self.topics + topic].into()
    }

    /// Checks a message against what came before it. Panics where the stream is broken.
    pub(crate) fn check(&mut self, connection: usize, message: Message) {
        let (topic, follows, seq) = match message {
            Message::Update { topic, seq, .. } => (topic, Some(seq), seq),
            Message::Image { topic, seq, .. } => (topic, None, seq),
            Message::Gap { topic, from, to } => (topic, Some(from), to),
            _ => return,
        };
        let last = &mut self.last[connection * self.topics + topic];
        let before = u64::from(*last);
        let unbroken = before == 0 || seq > before && follows.is_none_or(|follows| follows == before + 1);
        assert!(unbroken, "connection {connection}: {message:?} after seq {before}");
        *last = seq as u32;
    }
}
