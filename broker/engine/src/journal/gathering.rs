//! Commands that wait for the log, gathered into records: alone, a command goes at once; while a record is on its way,
//! what comes is gathered in the next one.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};

use broker_protocol::codes::ErrorCode;
use broker_protocol::request::{Publication, Refusal};
use foldhash::fast::RandomState;

use super::ReplyTo;
use crate::fault::{self, Fault};
use crate::log::{Entry, Flaw, RecordWriter};
use crate::sync::{Mutex, lock};

/// What a waiting command holds besides its bytes, in bytes.
const COMMAND_BYTES: u64 = 128;

/// While more than this waits, heavy publishers wait, in bytes: the log takes one command after the other, so an update of
/// somebody else is behind all of it. A log that is busy still finds thousands of the shortest commands.
const KEEPING_UP_BYTES: u64 = 1 << 20;

/// A command that waits.
pub struct Waiting {
    pub(crate) reply_to: ReplyTo,
    /// It was counted as the beginning of a topic.
    begins: bool,
    /// The topic that it may end.
    ends: Option<Box<str>>,
    /// What it holds, in bytes.
    cost: u32,
}

/// A record that is ready to be written, and who waits for its commands, in order.
pub struct Gathered {
    /// The record.
    pub bytes: Vec<u8>,
    /// Who waits.
    pub waiting: Vec<Waiting>,
}

struct Open {
    writer: RecordWriter,
    waiting: Vec<Waiting>,
}

struct State {
    session: u64,
    /// The number of the next record that is begun.
    next: u64,
    open: Option<Open>,
    full: VecDeque<Gathered>,
    /// Why nothing is taken in at present.
    refused: Option<Box<str>>,
}

/// The commands that wait for the log.
pub struct Gathering {
    record_bytes: usize,
    queue_bytes: u64,
    state: Mutex<State>,
    /// What all that is not answered holds.
    bytes: AtomicU64,
    /// Topics that would begin with what waits.
    beginning: AtomicU64,
    /// Topics that may end with what waits, and by how many commands. The number of commands is here for those who
    /// publish, so that they rarely lock.
    ending: Mutex<HashMap<Box<str>, u64, RandomState>>,
    ends: AtomicU64,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Gathering {
    pub(super) fn new(record_bytes: usize, queue_bytes: u64, wake: Box<dyn Fn() + Send + Sync>) -> Self {
        let state =
            State { session: 0, next: 0, open: None, full: VecDeque::new(), refused: Some("it is being read".into()) };
        Self {
            record_bytes,
            queue_bytes,
            state: Mutex::new(state),
            bytes: AtomicU64::new(0),
            beginning: AtomicU64::new(0),
            ending: Mutex::new(HashMap::default()),
            ends: AtomicU64::new(0),
            wake,
        }
    }

    /// Returns the record that opens a session, number 0. Once it is applied, [`Gathering::begin`] takes in commands.
    ///
    /// # Errors
    /// The broker's name is not valid.
    pub fn open(&self, node: &str, session: u64) -> Result<Gathered, Flaw> {
        let mut writer = RecordWriter::new(session, 0);
        writer.add(&Entry::Open { node, session })?;
        Ok(Gathered { bytes: writer.finish(), waiting: Vec::new() })
    }

    /// Takes in commands from now on, in the records of a session that is open.
    pub fn begin(&self, session: u64) {
        let mut state = lock(&self.state);
        (state.session, state.next, state.refused) = (session, 1, None);
    }

    /// Whether publishers may go on.
    pub fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Acquire) < self.queue_bytes
    }

    /// Whether so little waits that heavy publishers may go on, too.
    pub(crate) fn keeps_up(&self) -> bool {
        self.bytes() <= KEEPING_UP_BYTES.min(self.queue_bytes / 4)
    }

    /// What all that is not answered holds, in bytes.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed)
    }

    /// The bytes at which publishers have to wait.
    pub fn bytes_max(&self) -> u64 {
        self.queue_bytes
    }

    /// Topics that would begin with what waits.
    pub fn beginning(&self) -> u64 {
        self.beginning.load(Ordering::Relaxed)
    }

    /// Whether the end of a topic waits: what is published behind it may begin the next one of this name.
    pub(crate) fn may_end(&self, topic: &str) -> bool {
        self.ends.load(Ordering::Acquire) > 0 && lock(&self.ending).contains_key(topic)
    }

    /// Takes in an update; `begins` if there may be no topic of its name when it is applied.
    ///
    /// # Errors
    /// `unavailable` while the log cannot be written, and `bad_request` for what no record may say.
    pub(crate) fn publish(&self, update: &Publication<'_>, begins: bool, reply_to: ReplyTo) -> Result<(), Refusal> {
        self.add(begins, None, reply_to, |writer| writer.push(update))
    }

    /// Takes in another command.
    ///
    /// # Errors
    /// As for an update.
    pub fn submit(&self, entry: &Entry<'_>, reply_to: ReplyTo) -> Result<(), Refusal> {
        let Entry::End { topic, .. } = entry else {
            return self.add(false, None, reply_to, |writer| writer.add(entry));
        };
        *lock(&self.ending).entry((*topic).into()).or_default() += 1;
        self.ends.fetch_add(1, Ordering::Release);
        let added = self.add(false, Some(topic), reply_to, |writer| writer.add(entry));
        added.inspect_err(|_| self.end_settled(topic))
    }

    /// Takes in a barrier of a shard: when it is back, this broker has applied all that is in the log now.
    ///
    /// # Errors
    /// `unavailable` while the log cannot be written.
    pub(crate) fn barrier(&self, shard: usize) -> Result<(), Refusal> {
        self.submit(&Entry::Barrier, ReplyTo::Barrier { shard })
    }

    /// One command that may end a topic no longer waits.
    fn end_settled(&self, topic: &str) {
        let mut ending = lock(&self.ending);
        if let Some(commands) = ending.get_mut(topic) {
            *commands -= 1;
            if *commands == 0 {
                ending.remove(topic);
            }
        }
        self.ends.fetch_sub(1, Ordering::Release);
    }

    fn add(
        &self,
        begins: bool,
        ends: Option<&str>,
        reply_to: ReplyTo,
        put: impl Fn(&mut RecordWriter) -> Result<(), Flaw>,
    ) -> Result<(), Refusal> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if let Some(why) = &state.refused {
            let message = format!("the journal takes nothing at present: {why}");
            return Err(Refusal { code: ErrorCode::Unavailable, message });
        }
        let was_empty = state.is_empty();
        let open = state.open.get_or_insert_with(|| Open::new(state.session, &mut state.next));
        let mut before = open.writer.len();
        match put(&mut open.writer) {
            Ok(()) => {}
            // The record has as many commands as it may have, or a control entry already.
            Err(Flaw::Full | Flaw::SecondControl) => {
                state.close();
                let open = state.open.insert(Open::new(state.session, &mut state.next));
                before = open.writer.len();
                put(&mut open.writer).map_err(invalid)?;
            }
            Err(flaw) => return Err(invalid(flaw)),
        }
        if let Some(open) = &mut state.open {
            let cost = (open.writer.len() - before) as u64 + COMMAND_BYTES;
            let ends = ends.map(Into::into);
            open.waiting.push(Waiting { reply_to, begins, ends, cost: cost as u32 });
            self.bytes.fetch_add(cost, Ordering::AcqRel);
            self.beginning.fetch_add(u64::from(begins), Ordering::Relaxed);
            if open.writer.is_full(self.record_bytes) {
                state.close();
            }
        }
        drop(guard);
        if was_empty {
            (self.wake)();
        }
        Ok(())
    }

    /// Takes out the next record to be written; `None` if nothing waits.
    pub fn take(&self) -> Option<Gathered> {
        let mut state = lock(&self.state);
        if state.full.is_empty() {
            state.close();
        }
        state.full.pop_front()
    }

    /// Refuses everything from now on, until the next session is opened. Returns all that waits, to be answered.
    pub fn refuse(&self, why: &str) -> Vec<Waiting> {
        let mut state = lock(&self.state);
        state.refused = Some(why.into());
        state.close();
        if fault::strikes(Fault::RefusedWritten) {
            return state.full.iter_mut().flat_map(|gathered| std::mem::take(&mut gathered.waiting)).collect();
        }
        state.full.drain(..).flat_map(|gathered| gathered.waiting).collect()
    }

    /// Why nothing is taken in, if nothing is.
    pub fn refused(&self) -> Option<Box<str>> {
        lock(&self.state).refused.clone()
    }

    /// A command is answered: it no longer waits.
    pub(super) fn settle(&self, waiting: &Waiting) {
        self.bytes.fetch_sub(waiting.cost.into(), Ordering::AcqRel);
        self.beginning.fetch_sub(u64::from(waiting.begins), Ordering::Relaxed);
        if let Some(topic) = &waiting.ends {
            self.end_settled(topic);
        }
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.full.is_empty() && self.open.as_ref().is_none_or(|open| open.writer.is_empty())
    }

    /// Closes the record that is open, if it says anything.
    fn close(&mut self) {
        if let Some(Open { writer, waiting }) = self.open.take_if(|open| !open.writer.is_empty()) {
            self.full.push_back(Gathered { bytes: writer.finish(), waiting });
        }
    }
}

impl Open {
    fn new(session: u64, next: &mut u64) -> Self {
        let number = *next;
        *next += 1;
        Self { writer: RecordWriter::new(session, number), waiting: Vec::new() }
    }
}

fn invalid(flaw: Flaw) -> Refusal {
    Refusal { code: ErrorCode::BadRequest, message: format!("the journal cannot take this: {flaw}") }
}

#[cfg(test)]
mod tests {
    use std::borrow::Cow;
    use std::sync::Arc;

    use broker_protocol::data::Data;

    use super::*;
    use crate::log::Record;

    fn update(topic: &str) -> Publication<'_> {
        let data = Data::check("{\"a\": 1}").unwrap();
        Publication { topic: Cow::Borrowed(topic), kind: None, data, source: None, source_ts: None }
    }

    fn topics(gathered: &Gathered) -> Vec<String> {
        let record = Record::decode(&gathered.bytes).unwrap();
        assert_eq!(record.commands.len(), gathered.waiting.len());
        let topic = |entry: &Entry<'_>| match entry {
            Entry::Publish { topic, .. } => Some((*topic).to_owned()),
            _ => None,
        };
        record.commands.iter().filter_map(topic).collect()
    }

    #[test]
    fn commands_are_gathered_in_order_and_woken_for_once() {
        let woken = Arc::new(AtomicU64::new(0));
        let count = woken.clone();
        let wake = Box::new(move || _ = count.fetch_add(1, Ordering::Relaxed));
        let gathering = Gathering::new(60, 1000, wake);
        assert_eq!(gathering.publish(&update("a"), true, ReplyTo::Nobody).unwrap_err().code, ErrorCode::Unavailable);
        assert!(gathering.open("one", 7).unwrap().waiting.is_empty());
        gathering.begin(7);
        for topic in ["a", "b", "c", "d", "e"] {
            gathering.publish(&update(topic), true, ReplyTo::Nobody).unwrap();
        }
        assert_eq!((woken.load(Ordering::Relaxed), gathering.beginning()), (1, 5));
        assert!(gathering.has_room());
        let mut all = Vec::new();
        for number in 1.. {
            let Some(gathered) = gathering.take() else { break };
            assert_eq!(Record::decode(&gathered.bytes).unwrap().number, number);
            all.extend(topics(&gathered));
            gathered.waiting.iter().for_each(|waiting| gathering.settle(waiting));
        }
        assert_eq!(all, ["a", "b", "c", "d", "e"]);
        assert_eq!((gathering.bytes(), gathering.beginning()), (0, 0));
        gathering.publish(&update("f"), false, ReplyTo::Nobody).unwrap();
        assert_eq!(woken.load(Ordering::Relaxed), 2);
        assert_eq!(gathering.refuse("no room").len(), 1);
        let refusal = gathering.publish(&update("g"), false, ReplyTo::Nobody).unwrap_err();
        assert!(refusal.message.contains("no room"), "{}", refusal.message);
    }

    #[test]
    fn publishers_wait_when_much_waits() {
        let gathering = Gathering::new(1 << 20, 1000, Box::new(|| {}));
        gathering.begin(1);
        let mut taken = 0;
        while gathering.has_room() {
            gathering.publish(&update("a"), false, ReplyTo::Nobody).unwrap();
            taken += 1;
        }
        assert!((5..9).contains(&taken), "{taken}");
        assert!(!gathering.keeps_up());
        while let Some(gathered) = gathering.take() {
            gathered.waiting.iter().for_each(|waiting| gathering.settle(waiting));
        }
        gathering.publish(&update("a"), false, ReplyTo::Nobody).unwrap();
        assert!(gathering.keeps_up());
        gathering.publish(&update("a"), false, ReplyTo::Nobody).unwrap();
        assert!(!gathering.keeps_up() && gathering.has_room(), "heavy publishers wait long before all do");
    }
}
