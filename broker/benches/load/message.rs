//! What of the broker's messages a load looks at.
//!
//! Read by the order in which this broker writes its fields: a load that parsed JSON would be the slower end. Where the
//! order is another, nothing is recognised, and a benchmark says that what it waited for did not come.

/// A message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message {
    /// An update of a benchmark's topic, and the moment that its publisher wrote into it.
    Update { topic: usize, seq: u64, due_ns: u64 },
    /// The image that stands for all before.
    Image { topic: usize, seq: u64, due_ns: u64 },
    /// What is lost.
    Gap { topic: usize, from: u64, to: u64 },
    /// A topic begins.
    Topic,
    /// The answer to a subscription.
    Subscribed,
    /// An answer to a ping of the protocol.
    Pong,
    /// Something was wrong.
    Error,
    /// Anything else.
    Other,
}

impl Message {
    /// A message from its payload.
    pub(super) fn read(payload: &[u8]) -> Self {
        let mut at = Text(payload);
        if at.skip(br#"{"op":""#).is_none() {
            return Self::Other;
        }
        let read = match at.until(b'"') {
            Some(b"update") => at.update(),
            Some(b"image") => at.image(),
            Some(b"gap") => at.gap(),
            Some(b"topic") => Some(Self::Topic),
            Some(b"subscribed") => Some(Self::Subscribed),
            Some(b"pong") => Some(Self::Pong),
            Some(b"error") => Some(Self::Error),
            _ => None,
        };
        read.unwrap_or(Self::Other)
    }
}

/// What is left of a text.
struct Text<'a>(&'a [u8]);

impl<'a> Text<'a> {
    fn skip(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_prefix(text)?;
        Some(())
    }

    fn until(&mut self, end: u8) -> Option<&'a [u8]> {
        let at = self.0.iter().position(|&byte| byte == end)?;
        let found = &self.0[..at];
        self.0 = &self.0[at + 1..];
        Some(found)
    }

    fn number(&mut self) -> Option<u64> {
        let digits = self.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
        let (number, rest) = self.0.split_at(digits);
        self.0 = rest;
        (digits > 0).then(|| number.iter().fold(0, |sum, digit| sum * 10 + u64::from(digit - b'0')))
    }

    fn topic(&mut self) -> Option<usize> {
        self.skip(br#","topic":"bench."#)?;
        let number = self.number()?;
        self.skip(b"\"")?;
        Some(number as usize)
    }

    fn field(&mut self, name: &[u8]) -> Option<u64> {
        self.skip(name)?;
        self.number()
    }

    fn due_ns(&mut self) -> Option<u64> {
        self.field(br#","ts":"#)?;
        self.field(br#","data":{"t":"#)
    }

    fn update(mut self) -> Option<Message> {
        let topic = self.topic()?;
        let seq = self.field(br#","seq":"#)?;
        Some(Message::Update { topic, seq, due_ns: self.due_ns()? })
    }

    fn image(mut self) -> Option<Message> {
        let topic = self.topic()?;
        self.skip(br#","epoch":""#)?;
        self.until(b'"')?;
        let seq = self.field(br#","seq":"#)?;
        Some(Message::Image { topic, seq, due_ns: self.due_ns()? })
    }

    fn gap(mut self) -> Option<Message> {
        let topic = self.topic()?;
        let from = self.field(br#","from":"#)?;
        Some(Message::Gap { topic, from, to: self.field(br#","to":"#)? })
    }
}
