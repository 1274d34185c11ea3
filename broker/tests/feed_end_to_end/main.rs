//! A simulated market, published to the broker's binary over lines that are cut, and three subscribers: one that gets
//! every update, one that stops reading for half of the run, and one that is disconnected again and again. In the end
//! each of them holds exactly the simulator's own books, quotes and scores, by applying images, updates and RFC 7396
//! patches.
//!
//! `TICKCAST_FEED_UPDATES=1000000` makes the run longer.

mod market;
mod restart;
#[path = "../client_end_to_end/running.rs"]
#[allow(dead_code, reason = "these tests do not need all of it")]
mod running;
mod subscriber;

use broker_client::{Client, OnSlow, Subscription};
use feed_player::Summary;
use feed_player::progress::Progress;
use feed_player::publish::{Broker, Publishing, Target};
use feed_player::run::{Play, run_watched};
use feed_player::schedule::{Pace, Until};

use market::Market;
use running::{Line, Running, connect, soon};
use subscriber::{Held, Manner};

/// So many that no buffer on the way holds what a reader leaves unread.
const UPDATES: u64 = 200_000;
/// How often a line is cut.
const CUTS: u64 = 6;
/// `behind_bytes` is far less than will be pending for the subscriber that stops reading. The histories are large
/// enough for the one that asks for every update.
const SETTINGS: [&str; 8] = [
    "--behind-bytes",
    "65536",
    "--retain-updates",
    "100000",
    "--retain-bytes",
    "100000000",
    "--retain-bytes-max",
    "1000000000",
];

fn updates() -> u64 {
    let asked = std::env::var("TICKCAST_FEED_UPDATES").ok();
    asked.map_or(UPDATES, |text| text.parse().expect("TICKCAST_FEED_UPDATES is a number"))
}

async fn publish(url: &str, market: &Market, updates: u64, publishing: Publishing, progress: &Progress) -> Summary {
    let target = Target::Broker(Box::new(Broker::connect_with(url, publishing).await.expect("a connection")));
    let play = Play { until: Until { duration: None, updates: Some(updates) }, ..Play::at(Pace::Max) };
    let (summary, result) = run_watched(market.feed(), play, target, std::future::pending(), progress).await;
    result.expect("the run ends well");
    summary
}

/// Waits until `updates` updates were published, as the publisher counts them: a reader that stops cannot.
async fn until_published(progress: &Progress, updates: u64) {
    let published = async {
        while progress.snapshot().published < updates {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    soon(published).await;
}

/// A subscriber of everything.
struct Follower<'a> {
    who: &'static str,
    client: &'a Client,
    subscription: Subscription,
    market: &'a Market,
}

impl<'a> Follower<'a> {
    async fn subscribe(who: &'static str, client: &'a Client, market: &'a Market, on_slow: OnSlow) -> Follower<'a> {
        let subscribe = client.subscribe(market.patterns()).on_slow(on_slow);
        let subscription = soon(subscribe.send()).await.expect("it is taken");
        Follower { who, client, subscription, market }
    }

    async fn follow(self, manner: Manner<'_>) -> Held<'a> {
        let mut held = Held::new(self.market);
        held.follow(self.who, self.client, self.subscription, manner).await;
        assert_eq!(self.client.counters().violations, 0);
        held
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_subscriber_holds_the_simulators_own_state_in_the_end() {
    let updates = updates();
    let market = Market::new(updates);
    let broker = Running::start("127.0.0.1:0", &SETTINGS).await;
    let publishers = Line::to(broker.listen).await;
    let (cut, progress) = (Line::to(broker.listen).await, Progress::default());
    let every_update = connect(broker.url(), 4_096).await;
    let slow = connect(broker.url(), 1).await;
    let returning = connect(cut.url.clone(), 64).await;
    let publishing = Publishing { producers: 2, ..Publishing::default() };
    let every = updates / CUTS;
    // All of them subscribe before the first update: one counts every update.
    let whole = Follower::subscribe("every update", &every_update, &market, OnSlow::Retain).await;
    let slow_one = Follower::subscribe("slow", &slow, &market, OnSlow::Conflate).await;
    let returning_one = Follower::subscribe("returning", &returning, &market, OnSlow::Conflate).await;
    let (summary, whole, slow_held, returning_held) = tokio::join!(
        publish(&publishers.url, &market, updates, publishing, &progress),
        whole.follow(Manner::Cuts { line: &publishers, every }),
        slow_one.follow(Manner::Stops { progress: &progress, from: updates / 4, to: updates / 4 * 3 }),
        returning_one.follow(Manner::Cuts { line: &cut, every }),
    );
    for (who, held) in [("every update", &whole), ("slow", &slow_held), ("returning", &returning_held)] {
        held.assert_is(&market, who);
    }
    println!(
        "{summary}\nreturning: {} lost by name; slow: {} lost by name, {} came",
        returning_held.lost, slow_held.lost, slow_held.came
    );
    assert_eq!((summary.acknowledged, summary.unanswered, summary.rejected_updates()), (updates, 0, 0));
    assert!(summary.reconnects > 0, "the publishers' line was cut while they published");
    assert_eq!((whole.came, whole.lost), (updates, 0), "it asked for every update and gets each once");
    assert!(slow_held.came < updates, "it was not slow enough for this test");
    let reconnects = returning.counters().reconnects;
    assert!(
        reconnects > 0 && cut.accepted() > reconnects,
        "it came back {reconnects} times, {} connections",
        cut.accepted()
    );
}
