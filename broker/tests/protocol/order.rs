//! Order across topics.

use serde_json::{Value, json};

use crate::common::Running;

#[test]
fn every_connection_in_step_gets_all_topics_in_the_same_order() {
    let broker = Running::with(&[("behind_bytes", "8388608"), ("shards", "3")]);
    // Subscribed by name, by pattern, and by both; the connections are on different shards.
    let mut watchers: Vec<_> = (0..6).map(|_| broker.client()).collect();
    let names: Vec<String> = (0..10).map(|index| format!("order.{index}")).collect();
    for (index, watcher) in watchers.iter_mut().enumerate() {
        if index % 3 != 1 {
            watcher.subscribe(&names.iter().map(String::as_str).collect::<Vec<_>>());
        }
        if index % 3 != 0 {
            watcher.subscribe(&["order.*"]);
        }
    }
    const EACH: u64 = 400;
    std::thread::scope(|scope| {
        for producer in 0..3u64 {
            let (broker, names) = (&broker, &names);
            scope.spawn(move || {
                let mut client = broker.client();
                for n in 0..EACH {
                    let topic = &names[((n * 7 + producer) % 10) as usize];
                    let request = json!({"op":"publish","topic":topic,"kind":"event","data":[producer, n]});
                    client.say(&request.to_string());
                }
                client.request(r#"{"op":"ping"}"#);
            });
        }
    });
    let orders: Vec<Vec<(String, u64, Value)>> = watchers
        .iter_mut()
        .map(|watcher| {
            let mut seen = Vec::new();
            while (seen.len() as u64) < 3 * EACH {
                let message = watcher.message();
                if message.op() == "update" {
                    seen.push((message.str("topic"), message.num("seq"), message["data"].clone()));
                } else {
                    assert_eq!(message.op(), "topic", "{message:?}");
                }
            }
            seen
        })
        .collect();
    assert!(orders.iter().all(|order| *order == orders[0]), "the order differs");
    // The order of each producer is part of it.
    for producer in 0..3 {
        let own = orders[0].iter().filter(|(.., data)| data[0] == producer).map(|(.., data)| data[1].as_u64().unwrap());
        assert_eq!(own.collect::<Vec<_>>(), (0..EACH).collect::<Vec<_>>());
    }
}
