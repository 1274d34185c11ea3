//! Long lists as messages that the broker takes.

/// Entries in one `subscribe` or `unsubscribe`: each has a row in the answer, whose size the broker's limits do not
/// bound.
pub(super) const ENTRIES_MAX: usize = 256;
/// `{"op":"subscribe",…}` without its entries.
const SUBSCRIBE_BYTES_MAX: usize = 384;

/// Whether this many entries, of this many bytes together, fit into one message.
pub(super) fn fits(entries: usize, bytes: usize, message_bytes: usize) -> bool {
    entries <= ENTRIES_MAX && SUBSCRIBE_BYTES_MAX + bytes <= message_bytes
}

/// Divides entries, in order, into lists that each fit into one message. An entry that alone is too large has a list of
/// its own.
pub(super) fn pack<T>(entries: Vec<T>, bytes: impl Fn(&T) -> usize, message_bytes: usize) -> Vec<Vec<T>> {
    let mut lists: Vec<Vec<T>> = Vec::new();
    let mut list_bytes = 0;
    for entry in entries {
        let entry_bytes = bytes(&entry);
        match lists.last_mut() {
            Some(last) if fits(last.len() + 1, list_bytes + entry_bytes, message_bytes) => last.push(entry),
            _ => {
                lists.push(vec![entry]);
                list_bytes = 0;
            }
        }
        list_bytes += entry_bytes;
    }
    lists
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_ends_at_either_bound() {
        let lengths = |lists: Vec<Vec<usize>>| lists.iter().map(Vec::len).collect::<Vec<_>>();
        assert_eq!(lengths(pack(vec![1; 600], |bytes| *bytes, 65_536)), [256, 256, 88]);
        let room = SUBSCRIBE_BYTES_MAX + 10;
        assert_eq!(pack(vec![4, 6, 1, 10, 2], |bytes| *bytes, room), [vec![4, 6], vec![1], vec![10], vec![2]]);
        assert_eq!(pack(vec![3, 99, 3], |bytes| *bytes, room), [vec![3], vec![99], vec![3]]);
        assert!(pack(Vec::<usize>::new(), |bytes| *bytes, room).is_empty());
    }
}
