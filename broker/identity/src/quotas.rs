//! How much a role allows, where it differs from what all clients may.

/// The quotas that roles name. `None` is the value that all clients have; 0 is no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quotas {
    /// Connections of one `sub` at the same time: the setting `connections_per_user_max`.
    pub connections_max: Option<u64>,
    /// Subscriptions of one connection: the setting `subscriptions`, which is never exceeded.
    pub subscriptions: Option<u64>,
    /// Requests of one connection in a second.
    pub requests_per_s: Option<u64>,
    /// Entries that one connection subscribes to in a second.
    pub subscribes_per_s: Option<u64>,
    /// Updates that one `sub` publishes in a second.
    pub publishes_per_s: Option<u64>,
    /// Bytes of updates that one `sub` publishes in a second.
    pub publish_bytes_per_s: Option<u64>,
}

impl Quotas {
    /// The most generous value of each quota, of those that name it.
    #[must_use]
    pub(crate) fn or_more(self, other: Quotas) -> Quotas {
        Quotas {
            connections_max: more(self.connections_max, other.connections_max),
            subscriptions: more(self.subscriptions, other.subscriptions),
            requests_per_s: more(self.requests_per_s, other.requests_per_s),
            subscribes_per_s: more(self.subscribes_per_s, other.subscribes_per_s),
            publishes_per_s: more(self.publishes_per_s, other.publishes_per_s),
            publish_bytes_per_s: more(self.publish_bytes_per_s, other.publish_bytes_per_s),
        }
    }
}

fn more(one: Option<u64>, other: Option<u64>) -> Option<u64> {
    match (one, other) {
        (Some(0), _) | (_, Some(0)) => Some(0),
        (one, other) => one.max(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_generous_value_counts() {
        for (one, other, result) in [
            (None, None, None),
            (Some(5), None, Some(5)),
            (None, Some(5), Some(5)),
            (Some(4), Some(5), Some(5)),
            (Some(0), Some(5), Some(0)),
            (None, Some(0), Some(0)),
        ] {
            assert_eq!(more(one, other), result, "{one:?} {other:?}");
        }
    }
}
