//! What a broker retains, held against what anybody was told.

use std::net::SocketAddr;

use super::SUBSCRIBERS;
use super::contents::Kind;
use super::ledger::Ledger;
use crate::common::ask;

/// Everything that is retained is what anybody was told of it, and nothing is missing in between. `is_busy`: publishing
/// goes on meanwhile.
#[track_caller]
pub(super) fn check_kept(address: SocketAddr, ledger: &Ledger, is_busy: bool) {
    for (index, topic) in ledger.topics.iter().enumerate() {
        let answer = ask(address, &format!("GET /v1/topics/{}/history?last=1000000", topic.name), &[], b"");
        if answer.status == 404 {
            // It was not taken in before the first kill.
            assert_eq!((0..SUBSCRIBERS).map(|subscriber| ledger.seen(subscriber, index)).max(), Some(0));
            continue;
        }
        let history = answer.json();
        ledger.check_epoch(&topic.name, history["epoch"].as_str().unwrap());
        let (oldest, newest) = (history["oldest"].as_u64().unwrap(), history["seq"].as_u64().unwrap());
        let updates = history["updates"].as_array().unwrap();
        let mut seq = oldest;
        for update in updates {
            if update["op"] == "gap" && update["reason"] == "expired" && is_busy {
                // It was no longer retained when its turn came.
                assert_eq!(update["from"], seq, "{} has a hole: {update}", topic.name);
                seq = update["to"].as_u64().unwrap() + 1;
                continue;
            }
            // Updates that were published meanwhile may be there as well.
            assert_eq!(update["seq"], seq, "{} has a hole: {update}", topic.name);
            ledger.check_update(index, update["op"].as_str().unwrap(), seq, &update["data"].to_string());
            seq += 1;
        }
        assert!(seq > newest, "{} ends at {}, and its newest is {newest}", topic.name, seq - 1);
        if matches!(topic.kind, Kind::Patches | Kind::Big) {
            let image = ask(address, &format!("GET /v1/topics/{}", topic.name), &[], b"").json();
            ledger.check_image(index, image["seq"].as_u64().unwrap(), &image["data"]);
        }
    }
}
