//! The scenarios that come with the program.

/// Their names and texts.
pub(crate) const SHIPPED: &[(&str, &str)] = &[
    ("steady", include_str!("../../scenarios/steady.toml")),
    ("saturated", include_str!("../../scenarios/saturated.toml")),
    ("saturated-100", include_str!("../../scenarios/saturated-100.toml")),
    ("saturated-5000", include_str!("../../scenarios/saturated-5000.toml")),
    ("many-topics", include_str!("../../scenarios/many-topics.toml")),
    ("many-topics-saturated", include_str!("../../scenarios/many-topics-saturated.toml")),
    ("fast", include_str!("../../scenarios/fast.toml")),
    ("burst", include_str!("../../scenarios/burst.toml")),
    ("slow-mix", include_str!("../../scenarios/slow-mix.toml")),
    ("churn", include_str!("../../scenarios/churn.toml")),
    ("reconnect-storm", include_str!("../../scenarios/reconnect-storm.toml")),
    ("conflated", include_str!("../../scenarios/conflated.toml")),
    ("market-open", include_str!("../../scenarios/market-open.toml")),
    ("zipf", include_str!("../../scenarios/zipf.toml")),
    ("idle", include_str!("../../scenarios/idle.toml")),
    ("deliveries-200", include_str!("../../scenarios/deliveries-200.toml")),
    ("deliveries-8k", include_str!("../../scenarios/deliveries-8k.toml")),
    ("connect", include_str!("../../scenarios/connect.toml")),
    ("login-storm", include_str!("../../scenarios/login-storm.toml")),
    ("journal-batches", include_str!("../../scenarios/journal-batches.toml")),
    ("journal-single", include_str!("../../scenarios/journal-single.toml")),
    ("journal-steady", include_str!("../../scenarios/journal-steady.toml")),
    ("soak", include_str!("../../scenarios/soak.toml")),
];
