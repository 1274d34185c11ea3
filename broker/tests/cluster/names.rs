//! Two brokers with one name: the newer one goes on, and the older one ends and says why.

use crate::common::nats::{CURRENT, Options, Servers};
use crate::node::Node;

#[test]
fn the_older_of_two_brokers_with_one_name_ends() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let mut older = Node::start(&servers.url(), "twin", &[]);
    let (epoch, _) = older.publish("t", "1");
    let newer = Node::start(&servers.url(), "twin", &[]);
    assert_eq!(older.process().wait().code(), Some(1));
    let logged = older.process().logged();
    let last = logged.last().unwrap();
    assert_eq!(last["level"], "ERROR", "{last}");
    let said = last["message"].as_str().unwrap();
    assert!(said.contains("another broker with the name twin (journal_node) has taken over"), "{said}");
    assert_eq!(newer.publish("t", "2"), (epoch, 2));
    newer.until_readiness(200);
}
