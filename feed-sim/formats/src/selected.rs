//! Some symbols of a recording.

use feed_player::publication::{BadRecord, Counts, Feed, Origin, Timed};

/// The updates of topics that have one of the symbols as a segment. A symbol with dots is several consecutive segments.
pub(super) struct Selected<F> {
    feed: F,
    symbols: Vec<Symbol>,
    left_out: u64,
}

struct Symbol {
    name: String,
    found: bool,
}

impl<F: Feed> Selected<F> {
    pub(super) fn new(feed: F, symbols: Vec<String>) -> Self {
        let symbols = symbols.into_iter().map(|name| Symbol { name, found: false }).collect();
        Selected { feed, symbols, left_out: 0 }
    }

    /// Warns about symbols that never came: most of them are typing errors.
    fn warn_of_missing(&mut self) {
        for symbol in self.symbols.iter_mut().filter(|symbol| !symbol.found) {
            tracing::warn!(symbol = symbol.name, "no topic of the recording has this symbol");
            symbol.found = true;
        }
    }
}

/// Whether `symbol` is one or more whole segments of `topic`.
fn is_part(topic: &str, symbol: &str) -> bool {
    topic.match_indices(symbol).any(|(at, _)| {
        let (before, after) = (&topic[..at], &topic[at + symbol.len()..]);
        (before.is_empty() || before.ends_with('.')) && (after.is_empty() || after.starts_with('.'))
    })
}

impl<F: Feed> Iterator for Selected<F> {
    type Item = Result<Timed, BadRecord>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.feed.next() {
                Some(Ok(timed)) => {
                    let topic = &timed.publication.topic;
                    if let Some(symbol) = self.symbols.iter_mut().find(|symbol| is_part(topic, &symbol.name)) {
                        symbol.found = true;
                        return Some(Ok(timed));
                    }
                    self.left_out += 1;
                }
                Some(Err(bad)) => return Some(Err(bad)),
                None => {
                    self.warn_of_missing();
                    return None;
                }
            }
        }
    }
}

impl<F: Feed> Feed for Selected<F> {
    fn counts(&self) -> Counts {
        self.feed.counts() + Counts { left_out: self.left_out, ..Counts::default() }
    }

    fn origin(&self) -> Option<Origin> {
        self.feed.origin()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn symbols_are_whole_segments() {
        for (topic, symbol, part) in [
            ("itch.AAPL.book", "AAPL", true),
            ("itch.AAPL.book", "AAP", false),
            ("itch.AAPL.book", "APL", false),
            ("itch.AAPL.book", "book", true),
            ("kraken.BTC/USD.trade", "BTC/USD", true),
            ("betfair.1.197931750.market", "1.197931750", true),
            ("betfair.11.197931750.market", "1.197931750", false),
            ("a.b.aa.a", "a", true),
            ("aa.b", "a", false),
        ] {
            assert_eq!(is_part(topic, symbol), part, "{symbol} in {topic}");
        }
    }
}
