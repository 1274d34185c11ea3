//! A stream that was deleted: brokers that run say that nothing comes, and those that start refuse if there are
//! checkpoints, until somebody says that it is meant.

use serde_json::json;

use crate::common::ends;
use crate::common::nats::{CURRENT, Options, Servers};
use crate::members::LOG;
use crate::node::{Node, patiently};

/// So small that a checkpoint is soon due.
const LOG_BYTES: u64 = 1 << 20;

#[test]
fn a_stream_that_is_deleted_while_a_broker_runs() {
    let Some(servers) = Servers::start(CURRENT, 1, Options::default()) else { return };
    let mut wire = servers.wire(0);
    let log = json!({
        "name": LOG, "subjects": ["tickcast.log.*", "tickcast.generation"], "storage": "file",
        "discard": "new", "max_bytes": LOG_BYTES, "deny_delete": true,
    });
    wire.jetstream(&format!("STREAM.CREATE.{LOG}"), &log).unwrap();
    let flags = ["--journal-unavailable-ms", "500", "--journal-stale-ms", "1500", "--journal-unready-ms", "3000"];
    let mut runs = Node::start(&servers.url(), "runs", &flags);
    let (old, _) = runs.publish("t", "1");
    let data = format!("\"{}\"", "x".repeat(10_000));
    patiently("a checkpoint", || {
        runs.publish("t", &data);
        runs.metric("tickcast_journal_checkpoints_total") > 0.0
    });
    let seq = runs.seq("t");

    wire.jetstream(&format!("STREAM.DELETE.{LOG}"), &json!({})).unwrap();
    runs.process().until_logged("stream not found");
    let said = runs.until_readiness(503);
    assert!(said.contains("nothing has come from the log"), "{said}");
    runs.publish_in_vain("/v1/topics/t?kind=event", "1");
    // What it has it serves.
    assert_eq!(runs.history("t")["seq"], seq);

    // Another one does not start, however often it is tried, and changes nothing for the one that runs.
    let mut starts = Node::new(&servers.url(), "starts", &flags);
    for _ in 0..2 {
        let (code, said) = ends(&mut starts.command());
        assert_eq!(code, Some(1), "{said}");
        assert!(said.contains("there is a checkpoint at") && said.contains("journal_recreate = true"), "{said}");
    }
    assert!(servers[0].stream(LOG).is_none(), "a stream that was refused is not left behind");
    // One that is made anew is no better, whoever made it.
    wire.jetstream(&format!("STREAM.CREATE.{LOG}"), &log).unwrap();
    let (code, said) = ends(&mut starts.command());
    assert_eq!(code, Some(1), "{said}");
    // It may not be empty any more: the broker that runs tries to write.
    assert!(said.contains("does not go on where its checkpoints are"), "{said}");
    wire.jetstream(&format!("STREAM.DELETE.{LOG}"), &json!({})).unwrap();

    // It is meant. The one that still runs sees that it is another log, and comes along.
    starts.add_flags(&["--journal-recreate"]);
    starts.go();
    let (new, seq) = starts.publish("t", "1");
    assert!(new != old && seq == 1, "{new} {seq}");
    runs.process().until_logged("the broker starts again");
    runs.process().until_logged("\"serving\"");
    patiently("both to have the same", || {
        starts.seq("t") > 0 && runs.seq("t") > 0 && runs.epoch("t") == starts.epoch("t")
    });
    assert_ne!(runs.epoch("t"), old);
    assert_eq!(runs.history("t"), starts.history("t"));
    patiently("it to be taken", || runs.http("POST /v1/topics/t?kind=event", "2").status == 200);
    starts.until_seq("t", runs.seq("t"));
    let mut client = runs.client();
    client.say(&format!(r#"{{"op":"subscribe","topics":[{{"topic":"t","epoch":"{old}","seq":1}}]}}"#));
    let subscribed = client.expect("subscribed");
    assert_eq!(subscribed["topics"][0]["start"], "reset", "{subscribed:?}");
}
