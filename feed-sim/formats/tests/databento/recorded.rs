//! The recorded burst against the crate's own reader and a naive book.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;

use ::dbn::MboMsg;
use ::dbn::decode::dbn::Decoder;
use feed_formats::find;
use feed_player::publication::{Counts, Publication};
use serde_json::{Map, Value, json};

use crate::common::{apply, data, decimal, recording};

/// An order of the naive book.
struct Resting {
    id: u64,
    bid: bool,
    price: i64,
    size: u32,
}

fn px(price: i64) -> String {
    let text = format!("{}.{:09}", price / 1_000_000_000, price % 1_000_000_000);
    let all_but_two = text.len() - 7;
    format!("{}{}", &text[..all_but_two], text[all_but_two..].trim_end_matches('0'))
}

#[test]
fn the_recorded_burst() {
    let Some(path) = recording("databento_mbo_2s.dbn.zst") else { return };
    let mut feed = find("dbn").expect("a format").open(&path).expect("it opens");
    let mut published: BTreeMap<u64, Vec<Publication>> = BTreeMap::new();
    while let Some(item) = feed.next() {
        published.entry(feed.counts().records).or_default().push(item.expect("no bad record").publication);
    }
    let counts = feed.counts();

    // The crate's own reader, from compressed bytes to the last record, and a list of orders.
    let file = zstd::stream::read::Decoder::new(File::open(&path).expect("it opens")).expect("zstd");
    let mut decoder = Decoder::new(file).expect("DBN");
    let (mut orders, mut record, mut compared, mut trades) = (Vec::<Resting>::new(), 0, 0, 0);
    let (mut book, mut quote, mut kinds) = (Value::Null, Value::Null, HashMap::new());
    while let Some(message) = decoder.decode_ref().expect("a record") {
        let mbo = message.get::<MboMsg>().expect("market by order");
        record += 1;
        match mbo.action as u8 {
            b'A' => {
                orders.push(Resting { id: mbo.order_id, bid: mbo.side as u8 == b'B', price: mbo.price, size: mbo.size })
            }
            b'C' => {
                let order = orders.iter_mut().find(|order| order.id == mbo.order_id).expect("it is known");
                order.size -= mbo.size;
                orders.retain(|order| order.size > 0);
            }
            b'M' => {
                let order = orders.iter_mut().find(|order| order.id == mbo.order_id).expect("it is known");
                (order.price, order.size) = (mbo.price, mbo.size);
            }
            b'R' => orders.clear(),
            _ => {}
        }
        let mut traded = false;
        for publication in published.remove(&record).unwrap_or_default() {
            *kinds.entry((publication.topic.clone(), publication.kind)).or_insert(0) += 1;
            let data = data(&publication);
            assert_eq!(data["venue_ts_ns"], json!(mbo.hd.ts_event.to_string()));
            assert!(publication.data.len() < 65_000);
            match publication.topic.as_str() {
                "dbn.ESM4.book" => apply(&mut book, &publication),
                "dbn.ESM4.quote" => quote = data,
                "dbn.ESM4.trade" => {
                    traded = true;
                    assert_eq!((&data["px"], &data["qty"]), (&json!(px(mbo.price)), &json!(mbo.size.to_string())));
                }
                other => panic!("{other}"),
            }
        }
        assert_eq!(traded, mbo.action as u8 == b'T');
        trades += u64::from(traded);
        if !mbo.flags.is_last() {
            continue;
        }
        let mut best = Vec::new();
        for (name, bid) in [("bid", true), ("ask", false)] {
            let mut levels: BTreeMap<i64, u64> = BTreeMap::new();
            for order in orders.iter().filter(|order| order.bid == bid) {
                *levels.entry(order.price).or_default() += u64::from(order.size);
            }
            let (price, size) = if bid { levels.last_key_value() } else { levels.first_key_value() }.expect("a level");
            assert_eq!(quote[name], json!(px(*price)));
            assert_eq!(quote[format!("{name}_qty")], json!(size.to_string()));
            best.push(decimal(&quote[name]));
            let levels: Map<String, Value> =
                levels.iter().map(|(price, size)| (px(*price), json!(size.to_string()))).collect();
            assert_eq!(book[format!("{name}s")].as_object(), Some(&levels), "record {record}");
            compared += levels.len();
        }
        assert!(best[0] < best[1], "the book is crossed at record {record}");
    }
    assert_eq!(published, BTreeMap::new());
    assert_eq!((record, trades), (13_796, 5));
    assert_eq!(counts, Counts { records: record, ..Counts::default() });
    assert!(compared > 100_000, "{compared} levels were compared");
}
