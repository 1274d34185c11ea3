//! The recorded sample against a naive rebuild from all orders.

use std::collections::BTreeMap;
use std::io::Read;

use feed_formats::find;
use feed_player::publication::{Counts, Publication};
use serde_json::{Value, json};

use crate::common::{apply, data, recording};
use crate::messages::length;

/// An order of the naive rebuild.
struct Resting {
    id: u64,
    stock: u16,
    bid: bool,
    shares: u32,
    price: u32,
}

/// The levels of a stock, added up from all orders.
fn levels(orders: &[Resting], stock: u16, bid: bool) -> BTreeMap<u32, u64> {
    let mut levels = BTreeMap::new();
    for order in orders.iter().filter(|order| order.stock == stock && order.bid == bid) {
        *levels.entry(order.price).or_insert(0) += u64::from(order.shares);
    }
    levels
}

fn px(price: u32) -> String {
    format!("{}.{:04}", price / 10_000, price % 10_000)
}

#[test]
fn the_recorded_sample() {
    let Some(path) = recording("itch50_example.gz") else { return };
    let mut raw = Vec::new();
    let file = std::fs::File::open(&path).expect("it opens");
    flate2::read::MultiGzDecoder::new(file).read_to_end(&mut raw).expect("it is whole");

    // The publications of each record.
    let mut feed = find("itch").expect("a format").open(&path).expect("it opens");
    let mut published: BTreeMap<u64, Vec<Publication>> = BTreeMap::new();
    while let Some(item) = feed.next() {
        published.entry(feed.counts().records).or_default().push(item.expect("no bad record").publication);
    }
    assert_eq!(feed.counts(), Counts { records: 12_012, bad: 0, superseded: 0, venue_gaps: 117, ..Counts::default() });

    let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, &byte| number << 8 | u64::from(byte));
    let (mut orders, mut names) = (Vec::<Resting>::new(), BTreeMap::new());
    let (mut books, mut quotes): (BTreeMap<u16, Value>, BTreeMap<u16, Value>) = Default::default();
    let (mut rest, mut record, mut gaps, mut compared, mut trades) = (&raw[..], 0, 0, 0, 0);
    while !rest.is_empty() {
        let (message, next) = rest[2..].split_at(length(rest[2]));
        rest = next;
        record += 1;
        let stock = number(&message[1..3]) as u16;
        let at = |id: u64, orders: &[Resting]| orders.iter().position(|order| order.id == id);
        let id = number(&message[11..19.min(message.len())]);
        let mut trade = None;
        match message[0] {
            b'R' => {
                let name = str::from_utf8(&message[11..19]).expect("a symbol").trim_end();
                names.insert(stock, name.to_owned());
            }
            b'A' | b'F' => orders.push(Resting {
                id,
                stock,
                bid: message[19] == b'B',
                shares: number(&message[20..24]) as u32,
                price: number(&message[32..36]) as u32,
            }),
            kind @ (b'E' | b'X') => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => {
                    let shares = number(&message[19..23]) as u32;
                    if kind == b'E' {
                        let side = if orders[at].bid { "sell" } else { "buy" };
                        trade = Some(
                            json!({"id": number(&message[23..31]), "px": px(orders[at].price), "qty": shares.to_string(), "side": side}),
                        );
                    }
                    orders[at].shares -= shares;
                    orders.retain(|order| order.shares > 0);
                }
            },
            b'D' => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => _ = orders.remove(at),
            },
            b'U' => match at(id, &orders) {
                None => gaps += 1,
                Some(at) => {
                    let bid = orders.remove(at).bid;
                    let (shares, price) = (number(&message[27..31]) as u32, number(&message[31..35]) as u32);
                    orders.push(Resting { id: number(&message[19..27]), stock, bid, shares, price });
                }
            },
            b'P' => {
                let price = px(number(&message[32..36]) as u32);
                let qty = number(&message[20..24]).to_string();
                trade = Some(json!({"id": number(&message[36..44]), "px": price, "qty": qty, "hidden": true}));
            }
            _ => {}
        }
        for publication in published.remove(&record).unwrap_or_default() {
            if publication.topic == "itch.system" {
                continue;
            }
            let (name, what) = publication.topic["itch.".len()..].split_once('.').expect("three segments");
            assert_eq!(name, names[&stock]);
            match what {
                "book" => apply(books.entry(stock).or_default(), &publication),
                "quote" => _ = quotes.insert(stock, data(&publication)),
                "trade" => {
                    let mut expected = trade.take().expect("the record is a trade");
                    expected["venue_time_ns"] = json!(number(&message[5..11]));
                    assert_eq!(data(&publication), expected);
                    trades += 1;
                }
                _ => {}
            }
        }
        assert_eq!(trade, None, "each trade was published");
        let Some(book) = books.get(&stock) else { continue };
        for (side, bid) in [("bids", true), ("asks", false)] {
            let levels = levels(&orders, stock, bid);
            let best = if bid { levels.last_key_value() } else { levels.first_key_value() };
            let quote = &quotes[&stock];
            let name = if bid { "bid" } else { "ask" };
            assert_eq!(quote[name], json!(best.map(|(price, _)| px(*price))), "record {record}");
            assert_eq!(quote[format!("{name}_qty")], json!(best.map(|(_, shares)| shares.to_string())));
            // Comparing the whole book is slow, so it is done for every 64th record and for the last one.
            if !record.is_multiple_of(64) && !rest.is_empty() {
                continue;
            }
            let levels: serde_json::Map<String, Value> =
                levels.into_iter().map(|(price, shares)| (px(price), json!(shares.to_string()))).collect();
            assert_eq!(book[side].as_object(), Some(&levels), "record {record}");
            compared += levels.len();
        }
    }
    assert_eq!(published, BTreeMap::new());
    assert_eq!((record, gaps, books.len()), (12_012, 117, 3));
    assert!(trades > 5_000 && compared > 10_000, "{trades} trades and {compared} levels were compared");
}
