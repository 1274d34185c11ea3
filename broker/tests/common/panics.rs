//! Makes a panic of a broker's thread a failure of the test, even if the clients do not notice it.

use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

static SEEN: AtomicBool = AtomicBool::new(false);

/// The name of the thread that runs a test's broker; its shards are called `shard-0` and so on.
pub(crate) const BROKER_THREAD: &str = "broker-under-test";

/// Begins to watch for panics of brokers.
pub(crate) fn look_out() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            let thread = std::thread::current();
            if thread.name().is_some_and(|name| name == BROKER_THREAD || name.starts_with("shard-")) {
                SEEN.store(true, Ordering::SeqCst);
            }
            print(panic);
        }));
    });
}

/// Fails if a broker has panicked.
pub(crate) fn assert_none() {
    assert!(!SEEN.load(Ordering::SeqCst), "a thread of a broker panicked (see above)");
}
