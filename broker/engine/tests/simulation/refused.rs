//! Entries of a subscribe request for which a sum of all connections had no room. The model does not know how many
//! bytes a name or a pattern counts for: it accepts the answer, and checks what it can of it.

use super::message::Message;
use super::request::Answer;
use super::subscriptions::{Subscriptions, is_pattern};

/// The settings whose sums can refuse entries.
const SUMS: [&str; 2] = ["names_waited_bytes_max", "subscriptions_bytes_max"];

/// The entries of an answer that a sum refused, in order.
fn refused(message: &Message<'_>) -> Result<Vec<String>, String> {
    let mut entries = Vec::new();
    for row in message.list("errors")? {
        let text = row.text("message")?;
        if row.text("code")? == "limit" && SUMS.iter().any(|sum| text.contains(sum)) {
            entries.push(row.text("topic")?);
        }
    }
    Ok(entries)
}

/// Removes what a sum refused from the expected answer, and from what the broker holds. Returns the number of entries.
pub fn take_out(
    message: &Message<'_>,
    answer: &mut Answer,
    known: &Subscriptions,
    held: &mut Subscriptions,
) -> Result<u64, String> {
    let Answer::Subscribed { effective, topics, patterns, errors, deferred, may_lack_room, .. } = answer else {
        return Ok(0);
    };
    let refused = refused(message)?;
    for entry in &refused {
        if !*may_lack_room {
            return Err(format!("{entry} was refused although there is room"));
        }
        if known.all.iter().any(|held| held.entry == *entry) {
            return Err(format!("{entry} was refused although it is already subscribed to and takes no more room"));
        }
        // If a name is given twice, the first is refused earlier: the second takes room that became free meanwhile.
        let at =
            effective.iter().position(|name| name == entry).ok_or("an entry that was not asked for, or is wrong")?;
        effective.remove(at);
        if is_pattern(entry) {
            let at = patterns.iter().position(|(pattern, _)| pattern == entry).ok_or("a pattern twice refused")?;
            patterns.remove(at);
        } else {
            let at = topics.iter().position(|begun| begun.name == *entry).ok_or("a name twice refused")?;
            topics.remove(at);
            if let Some(entries) = deferred {
                entries.remove(at);
            }
        }
        if !effective.contains(entry) {
            held.remove(entry);
        }
    }
    // The errors are in the order of the request: those of the sums among the others, each where it was refused.
    let mut others = std::mem::take(errors).into_iter();
    for row in message.list("errors")? {
        let (name, text) = (row.text("topic")?, row.text("message")?);
        match SUMS.iter().any(|sum| text.contains(sum)) {
            true => errors.push((name, "limit")),
            false => errors.extend(others.next()),
        }
    }
    errors.extend(others);
    Ok(refused.len() as u64)
}
