//! Which of a connection's subscriptions applies to a name.

use super::Follows;
use crate::shard::conn::{OnSlow, Step, Subscription, Subscriptions, Target};
use crate::shard::id::GroupId;

/// Patterns that are looked up among a connection's own in one step of work.
const PROBES_PER_STEP: usize = 2;
/// Up to this many subscriptions of a connection are tried against a name one by one.
const PATTERNS_TRIED: usize = 16;

/// The content of a connection's most specific subscription to a name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Resolved {
    pub(crate) target: Target,
    pub(crate) step: Step,
    pub(crate) on_slow: OnSlow,
}

impl Follows {
    /// Returns the most specific subscription that covers a name, and the work that finding it took. Among equally
    /// specific patterns the one with the highest order wins; `order_of` excludes a pattern by returning `None`.
    pub(crate) fn resolve(
        &self,
        subscriptions: &Subscriptions,
        name: &str,
        order_of: impl Fn(GroupId, &Subscription) -> Option<u32>,
    ) -> (Option<Resolved>, usize) {
        let found = |target: Target, subscription: &Subscription| Resolved {
            target,
            step: subscription.step,
            on_slow: subscription.on_slow,
        };
        if let Some(name_id) = self.named(name)
            && let Some(direct) = subscriptions.get(Target::Topic(name_id))
        {
            return (Some(found(Target::Topic(name_id), direct)), 1);
        }
        let mut own = subscriptions.patterns().filter(|(group, held)| order_of(*group, held).is_some());
        if subscriptions.len() <= PATTERNS_TRIED {
            // Its own patterns are tried one by one: what others subscribe to costs it nothing.
            let covering = own.filter(|(group, _)| self.groups[*group].covers(name));
            let best = covering.max_by_key(|(group, held)| (self.groups[*group].specificity, order_of(*group, held)));
            return (best.map(|(group, held)| found(Target::Pattern(group), held)), 1);
        }
        if own.next().is_none() {
            return (None, 1);
        }
        let mut best: Option<(GroupId, &Subscription, u32)> = None;
        let mut probes = 0;
        let (matching, looked_for) = self.matching(name);
        for group in matching.iter() {
            probes += 1;
            // The list is sorted: a less specific pattern cannot win any more.
            if best.is_some_and(|(held, ..)| self.groups[held].specificity > self.groups[*group].specificity) {
                break;
            }
            if let Some(subscription) = subscriptions.get(Target::Pattern(*group))
                && let Some(order) = order_of(*group, subscription)
                && best.is_none_or(|(.., latest)| order > latest)
            {
                best = Some((*group, subscription, order));
            }
        }
        let best = best.map(|(group, subscription, _)| found(Target::Pattern(group), subscription));
        (best, 1 + looked_for + probes / PROBES_PER_STEP)
    }
}
