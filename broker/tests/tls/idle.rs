//! What a connection at rest costs.

use std::sync::Arc;

use crate::client::{BOTH, Client, NAME, config, settings};
use crate::common::{Process, until};
use crate::pki::Pki;

/// Measured with 5,000 of them: 4.3 KB with TLS 1.3 and 4.1 with 1.2, of which 0.3 are those of a plain connection. With
/// fewer, the allocator's pages of 64 KiB make a difference.
const BYTES_MAX: f64 = 4800.0;
const CLIENTS: usize = 3000;

#[test]
fn a_connection_at_rest_is_small() {
    let pki = Pki::new();
    let files = pki.write("server", &pki.issue(&[NAME]));
    let flags: Vec<String> = settings(&files)
        .iter()
        .flat_map(|(name, value)| [format!("--{}", name.replace('_', "-")), (*value).to_owned()])
        .collect();
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let broker = Process::start(&flags);
    let config = Arc::new(config(&pki, &BOTH, None));
    let connect = |clients: usize| -> Vec<Client> {
        (0..clients).map(|_| Client::websocket(broker.tls.unwrap(), &config)).collect()
    };
    // What handshakes need for a moment is there already.
    let warm = connect(500);
    let before = broker.metric("process_resident_memory_bytes");
    let clients = connect(CLIENTS);
    let all = (CLIENTS + warm.len()) as f64;
    until("all to be there", || broker.metric("tickcast_connections") == all);
    let each = (broker.metric("process_resident_memory_bytes") - before) / CLIENTS as f64;
    assert!(each <= BYTES_MAX, "{each:.0} bytes of each connection");
    assert_eq!(broker.metric("tickcast_tls_held_bytes"), 0.0);
    drop((clients, warm));
}
