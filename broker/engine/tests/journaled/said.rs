//! What the log says.

use broker_engine::log::Entry;

/// What an entry of the log says.
#[derive(Debug, PartialEq)]
pub enum Said {
    Update(String, Option<u64>),
    End(String, Option<(String, u64)>),
    Control,
}

impl Said {
    pub fn of(entry: &Entry<'_>) -> Self {
        match entry {
            Entry::Publish { topic, data, .. } => {
                let data: serde_json::Value = serde_json::from_str(data.raw()).expect("it was checked");
                Said::Update((*topic).to_owned(), data["n"].as_u64())
            }
            Entry::End { topic, only } => {
                Said::End((*topic).to_owned(), only.map(|(epoch, seq)| (epoch.to_owned(), seq)))
            }
            _ => Said::Control,
        }
    }
}
