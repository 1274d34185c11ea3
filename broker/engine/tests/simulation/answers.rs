//! Answers: each must be what it had to be when the broker read the request; then the client applies it.

use super::client::Client;
use super::message::Message;
use super::permit::Permit;
use super::refused;
use super::request::{Answer, Begun, Entry, begun_at};
use super::stream::{Phase, Stream, Truth};
use super::subscriptions::{Options, Subscriptions, is_pattern};

impl Client {
    pub fn answer(&mut self, truth: Truth<'_>, message: &Message<'_>, mut answer: Answer) -> Result<(), String> {
        if message.op() == "subscribed" {
            self.lacked_room += refused::take_out(message, &mut answer, &self.known, &mut self.held)?;
        }
        let same = |is: bool| if is { Ok(()) } else { Err(format!("expected {answer:?}")) };
        let codes = |rows: Vec<Message<'_>>, at: &str| {
            rows.iter().map(|row| Ok((row.raw(at)?.to_owned(), row.text("code")?))).collect::<Result<Vec<_>, String>>()
        };
        match &answer {
            Answer::Pong => same(message.op() == "pong"),
            Answer::Authenticated(permit) => {
                same(message.op() == "authenticated" && message.text("sub")? == "somebody")?;
                self.permitted(truth, permit.clone())
            }
            Answer::Refused(code) => same(message.op() == "error" && message.text("code")? == *code),
            Answer::Published { topic, epoch, seq, duplicate } => same(
                message.op() == "published"
                    && message.text("topic")? == *topic
                    && message.text("epoch")? == *epoch
                    && message.number("seq")? == *seq
                    && message.raw("duplicate").is_ok() == *duplicate,
            ),
            Answer::Batch { accepted, duplicates, rejected } => {
                let right: Vec<_> = rejected.iter().map(|(at, code)| (at.to_string(), (*code).to_owned())).collect();
                same(
                    message.op() == "published"
                        && message.number("accepted")? == *accepted
                        && message.optional_number("duplicates")?.unwrap_or_default() == *duplicates
                        && codes(message.list("rejected")?, "index")? == right,
                )
            }
            Answer::List(right) => {
                let mut rows = Vec::new();
                for (list, name) in [("topics", "topic"), ("patterns", "pattern")] {
                    for row in message.list(list)? {
                        rows.push((row.text(name)?, row.number("conflate_ms")?, row.text("on_slow")?));
                    }
                }
                rows.sort();
                let right: Vec<_> =
                    right.iter().map(|(name, ms, slow)| (name.clone(), *ms, (*slow).to_owned())).collect();
                same(message.op() == "subscriptions" && rows == right)
            }
            Answer::Unsubscribed(entries) => {
                same(message.op() == "unsubscribed")?;
                self.unsubscribed(entries);
                Ok(())
            }
            Answer::Subscribed { effective, options, topics, patterns, errors, deferred, .. } => {
                same(message.op() == "subscribed")?;
                let wrong: Vec<_> =
                    errors.iter().map(|(name, code)| (format!("\"{name}\""), (*code).to_owned())).collect();
                same(codes(message.list("errors")?, "topic")? == wrong)?;
                let rows = message.list("patterns")?;
                same(rows.len() == patterns.len())?;
                for (row, (pattern, matched)) in rows.iter().zip(patterns) {
                    let matches = deferred.is_some() || row.number("matched")? == *matched;
                    same(row.text("pattern")? == *pattern && matches)?;
                    same(row.number("conflate_ms")? == options.conflate_ms)?;
                }
                let rows = message.list("topics")?;
                same(rows.len() == topics.len())?;
                let later = |(at, (row, begun))| match deferred {
                    Some(entries) => begun_later(truth, row, begun, &entries[at], *options),
                    None => Ok(Begun::clone(begun)),
                };
                let topics = &(0..).zip(rows.iter().zip(topics)).map(later).collect::<Result<Vec<_>, _>>()?;
                for (row, begun) in rows.iter().zip(topics) {
                    same(is_as_told(row, begun)?)?;
                }
                self.subscribed(truth, effective, *options, topics);
                Ok(())
            }
        }
    }

    fn subscribed(&mut self, truth: Truth<'_>, effective: &[String], options: Options, topics: &[Begun]) {
        let before = self.known.clone();
        for entry in effective {
            self.known.put(entry, options, u64::MAX);
        }
        // If a name is given twice in the request, the last one counts, and continues from what was there before.
        let had = self.streams.clone();
        for begun in topics {
            let held = had.get(&begun.name).or(self.remembered.get(&begun.name));
            let stream = match &begun.epoch {
                None => Stream::waiting(),
                Some((at, epoch)) => Stream::begun(*at, epoch, begun.expect, held, truth.now_us),
            };
            self.streams.insert(begun.name.clone(), stream);
        }
        for (name, stream) in &mut self.streams {
            let best = self.known.best(name).map(|best| &best.entry);
            if !best.is_some_and(|best| is_pattern(best) && effective.contains(best)) {
                continue;
            }
            // Nothing follows under the old options; what another pattern introduced may continue until this one
            // introduces it.
            let same = best == before.best(name).map(|best| &best.entry);
            if same && !stream.loose {
                stream.phase = Phase::Unintroduced;
            } else {
                stream.loosen();
                stream.forgotten |= same;
            }
        }
    }

    /// A subscription, or a topic of a pattern, ends because of new permissions, which follow.
    pub fn revoked(&mut self, message: &Message<'_>) -> Result<(), String> {
        if !matches!(self.awaited.front(), Some((_, Answer::Authenticated(_)))) {
            return Err("an error to nothing".to_owned());
        }
        let entry = message.raw("pattern").or_else(|_| message.raw("topic"))?;
        let entry = entry.trim_matches('"').to_owned();
        match self.revoked.insert(entry, message.text("code")?) {
            None => Ok(()),
            Some(_) => Err("it has ended already".to_owned()),
        }
    }

    /// New permissions are in effect. Everything that they end must have been reported, and nothing else.
    fn permitted(&mut self, truth: Truth<'_>, permit: Permit) -> Result<(), String> {
        let revoked = std::mem::take(&mut self.revoked);
        let before = self.known.clone();
        let mut right = self.known.permit(permit);
        for (entry, _) in revoked.iter().filter(|(_, code)| *code == "limit") {
            if !self.known.all.iter().any(|held| held.entry == *entry) {
                return Err(format!("{entry} is not subscribed to, and lacks room"));
            }
            self.known.remove(entry);
            self.held.remove(entry);
            self.lacked_room += 1;
            right.push(entry.clone());
        }
        for entry in &right {
            if !revoked.contains_key(entry) {
                return Err(format!("the end of {entry} was not reported"));
            }
        }
        for (name, stream) in &self.streams {
            let stayed =
                before.best(name).is_some_and(|best| self.known.all.iter().any(|held| held.entry == best.entry));
            if stream.phase == Phase::Running && stayed && self.known.denies(name) && !revoked.contains_key(name) {
                return Err(format!("{name} is denied now, and that was not reported"));
            }
        }
        for name in revoked.keys().filter(|entry| !right.contains(entry)) {
            let was_covered = before.all.iter().any(|held| super::subscriptions::matches(&held.entry, name));
            if !truth.model.topics.contains_key(name) || !was_covered || before.denies(name) || !self.known.denies(name)
            {
                return Err(format!("{name} was not known, or is still allowed"));
            }
        }
        self.left_a_pattern = true;
        self.forget_uncovered(&before);
        Ok(())
    }

    fn unsubscribed(&mut self, entries: &[String]) {
        self.left_a_pattern |= entries.iter().any(|entry| is_pattern(entry));
        let before = self.known.clone();
        entries.iter().for_each(|entry| self.known.remove(entry));
        self.forget_uncovered(&before);
    }

    /// Forgets the topics that no subscription covers any more.
    fn forget_uncovered(&mut self, before: &Subscriptions) {
        self.streams.retain(|name, stream| {
            let best = self.known.best(name).map(|best| &best.entry);
            if best.is_some() && best != before.best(name).map(|best| &best.entry) {
                stream.loosen();
            }
            best.is_some()
        });
    }
}

/// How an entry had to begin that took effect after it was read: at any time up to now, consistent with the answer.
fn begun_later(
    truth: Truth<'_>,
    row: &Message<'_>,
    read: &Begun,
    entry: &Entry,
    options: Options,
) -> Result<Begun, String> {
    let (seq, oldest) = (row.number("seq")?, row.number("oldest")?);
    let live = match row.optional_text("epoch")? {
        None => None,
        Some(called) => {
            let (at, epoch) = truth.model.epoch(&read.name, &called).ok_or("an epoch that never existed")?;
            let least = match &read.epoch {
                Some((had, _)) if *had == at => read.seq,
                Some((had, _)) if *had > at => return Err(format!("it was in epoch {had} already")),
                _ => 0,
            };
            if seq < least || seq > epoch.seq() || oldest == 0 || oldest > seq + 1 {
                return Err(format!("its seq was between {least} and {}", epoch.seq()));
            }
            Some((at, seq, oldest))
        }
    };
    Ok(begun_at(truth.model, live, entry, read.name.clone(), options))
}

fn is_as_told(row: &Message<'_>, begun: &Begun) -> Result<bool, String> {
    Ok(row.text("topic")? == begun.name
        && row.optional_text("kind")?.as_deref() == begun.kind
        && row.optional_text("epoch")?.as_ref() == begun.epoch.as_ref().map(|(_, name)| name)
        && row.number("seq")? == begun.seq
        && row.number("oldest")? == begun.oldest
        && row.text("start")? == begun.start
        && row.number("conflate_ms")? == begun.conflate_ms)
}
