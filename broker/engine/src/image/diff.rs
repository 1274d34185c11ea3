//! The merge patch between two objects, computed from what they do not share.

use std::sync::Arc;

use super::hash_trie::Branch;
use super::member::Member;
use super::object::{Members, Object};

/// Appends the merge patch that turns `old` into `new`; returns false if there is none (`out` may then hold a part of
/// it).
pub(super) fn push_patch(old: &Object, new: &Object, out: &mut Vec<u8>) -> bool {
    out.push(b'{');
    let start = out.len();
    let expressible = push_members(old, new, out);
    if out.len() > start {
        // Every member was written with a comma behind it.
        out.pop();
    }
    out.push(b'}');
    expressible
}

fn push_members(old: &Object, new: &Object, out: &mut Vec<u8>) -> bool {
    if old.is_same(new) {
        return true;
    }
    let (old_members, mut new_members) = unshared(old.members(), new.members());
    for member in old_members {
        if new.get(&member.key()).is_none() {
            out.extend_from_slice(member.raw_key());
            out.extend_from_slice(b":null,");
        }
    }
    new_members.sort_unstable_by_key(|member| member.position());
    new_members.into_iter().all(|member| push_member(old.get(&member.key()), member, out))
}

/// Appends what the patch contains for a member of the new object, if anything.
fn push_member(old: Option<&Arc<Member>>, new: &Arc<Member>, out: &mut Vec<u8>) -> bool {
    if let Some(old) = old
        && old.leaf().is_some()
        && old.leaf() == new.leaf()
    {
        return true;
    }
    let Some((old, new_object)) = old.and_then(|old| old.object()).zip(new.object()) else {
        new.encode(out);
        out.push(b',');
        return is_expressible_as_patch(new);
    };
    let start = out.len();
    out.extend_from_slice(new.raw_key());
    out.push(b':');
    let nested = out.len();
    let expressible = push_patch(old, new_object, out);
    if out[nested..] == *b"{}" {
        // The values are equal, in different nodes.
        out.truncate(start);
    } else {
        out.push(b',');
    }
    expressible
}

/// Whether a member can be part of a merge patch as it is: `null` would remove the key, and is removed from new
/// objects. In arrays it stays.
fn is_expressible_as_patch(member: &Member) -> bool {
    match member.object() {
        Some(object) => {
            let mut expressible = true;
            object.members().each_in_order(|member| expressible = expressible && is_expressible_as_patch(member));
            expressible
        }
        None => member.leaf() != Some(b"null"),
    }
}

/// Returns the members of each object that are not the same node in both.
fn unshared<'a>(old: &'a Members, new: &'a Members) -> (Vec<&'a Arc<Member>>, Vec<&'a Arc<Member>>) {
    let (mut only_old, mut only_new) = (Vec::new(), Vec::new());
    match (old, new) {
        (Members::Many(old), Members::Many(new)) => {
            Branch::each_unshared(old, new, &mut |_, member| only_old.push(member), &mut |_, member| {
                only_new.push(member)
            });
        }
        _ => {
            old.each_in_order(|member| only_old.push(member));
            new.each_in_order(|member| only_new.push(member));
        }
    }
    (only_old, only_new)
}
