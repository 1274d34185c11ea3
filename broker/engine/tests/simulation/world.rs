//! One broker, its network and its clients on a virtual clock, and the naive model beside them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use broker_engine::{Engine, Limits, Now, Publisher};
use broker_protocol::codes::ErrorCode;
use broker_protocol::message::{self, Auth};

use super::client::Client;
use super::dice::Dice;
use super::driver::{At, Driver};
use super::model::{Model, Offer, Outcome, retain};
use super::network::{SimSink, pipe};
use super::permit::Permit;
use super::request::{Answer, Begun, Request, batch, published, subscribed};
use super::stream::Truth;
use super::traffic::{Habits, IMAGES_FEW, RETAIN_ROOMY, SMALL_SUMS_FROM, SOURCES_FEW, has_few_names, limits};
use super::wall::Wall;

pub struct World {
    pub dice: Dice,
    pub habits: Habits,
    pub now_us: u64,
    wall: Wall,
    pub limits: Limits,
    pub engine: Arc<Engine>,
    pub drivers: Vec<Driver>,
    pub clients: Vec<Client>,
    pub model: Model,
    /// The sums that all connections share are small.
    pub has_small_sums: bool,
    /// What decides about permissions, in histories that have them. Draws nothing from the other dice.
    doors: Option<Dice>,
    /// Number of times that permissions changed.
    pub permitted: u64,
    /// Every second client has a transport with an encoding of its own.
    has_encoded: bool,
    trace: bool,
}

impl World {
    pub fn new(seed: u64, trace: bool) -> Self {
        let mut dice = Dice::new(seed);
        let (limits, habits, shards) = (limits(seed, &mut dice), Habits::new(&mut dice), dice.range(1..4));
        let notified: Vec<Arc<AtomicBool>> = (0..shards).map(|_| Arc::default()).collect();
        let notify = |flag: &Arc<AtomicBool>| -> Box<dyn Fn() + Send + Sync> {
            let flag = flag.clone();
            Box::new(move || flag.store(true, Ordering::Relaxed))
        };
        let engine = Engine::new(limits.clone(), seed, notified.iter().map(notify).collect());
        let drivers = notified.into_iter().enumerate();
        let drivers = drivers.map(|(index, notified)| Driver::new(&engine, index, notified)).collect();
        let mut world = Self {
            dice,
            habits,
            now_us: 1_000_000,
            wall: Wall::new(seed),
            limits,
            engine,
            drivers,
            clients: Vec::new(),
            model: Model::default(),
            has_small_sums: seed >= SMALL_SUMS_FROM,
            doors: (seed % 7 == 3).then(|| Dice::new(seed.wrapping_mul(31) + 5)),
            permitted: 0,
            // Draws nothing from the dice, and spares the seeds that found something before there were such transports.
            has_encoded: seed % 11 == 8,
            trace,
        };
        world.log(|world| format!("{shards} shards, {:?}", world.limits));
        world
    }

    /// Prints what happens, if tracing is on.
    pub fn log(&mut self, what: impl FnOnce(&Self) -> String) {
        if self.trace {
            eprintln!("{:>10} {}", self.now_us, what(self));
        }
    }

    pub fn now(&self) -> Now {
        Now { mono_us: self.now_us, wall_us: self.wall.at(self.now_us) }
    }

    /// Time passes. Now and then somebody sets the wall clock meanwhile.
    pub fn pass(&mut self, us: u64) {
        self.now_us += us;
        if let Some(by_us) = self.wall.pass() {
            self.log(|_| format!("the wall clock is set by {by_us} us"));
        }
    }

    /// How many times the wall clock was set back.
    pub fn times_set_back(&self) -> u64 {
        self.wall.times_set_back
    }

    /// Clients whose connection is open.
    pub fn open(&self) -> Vec<usize> {
        (0..self.clients.len()).filter(|id| !self.clients[*id].over).collect()
    }

    /// Publishes as a producer on another thread would. Returns whether there was room.
    pub fn publish(&mut self, offer: &Offer) -> Result<bool, String> {
        if !self.engine.has_room() {
            let somebody_runs = self.drivers.iter().any(|driver| driver.at != At::Asleep || driver.is_notified());
            return if somebody_runs { Ok(false) } else { Err("publishers wait, and every shard sleeps".to_owned()) };
        }
        self.log(|_| format!("publish {{{}}}", offer.fields()));
        let line = format!("{{{}}}", offer.fields());
        let update = broker_protocol::request::parse_line(&line).map_err(|refusal| refusal.message)?;
        let before = self.state_of(&offer.topic);
        let result = self.engine.publish(self.now(), &update, Publisher::Client);
        if let Err(refusal) = &result
            && self.is_over_budget(refusal.code)
        {
            // The model does not know how much an image holds; but a refused update must change nothing.
            let after = self.state_of(&offer.topic);
            return if before == after { Ok(true) } else { Err(format!("refused, and {before:?} became {after:?}")) };
        }
        let outcome = self.offered(offer)?;
        let told = match result {
            Ok(published) if published.duplicate => Outcome::Duplicate { seq: published.seq },
            Ok(published) => Outcome::Taken { seq: published.seq },
            Err(refusal) => Outcome::Refused(refusal.code.as_str()),
        };
        if told != outcome {
            return Err(format!("{told:?}, but expected {outcome:?} for {offer:?}"));
        }
        self.check_lifetime(&offer.topic)?;
        Ok(true)
    }

    /// Whether a publish was refused because all images, or all sources, together would be too large.
    fn is_over_budget(&self, code: ErrorCode) -> bool {
        code == ErrorCode::Limit && self.has_few_bytes()
    }

    fn has_few_bytes(&self) -> bool {
        self.limits.images_bytes_max == IMAGES_FEW || self.limits.sources_bytes_max == SOURCES_FEW
    }

    /// Whether names or subscriptions hold so much that some of these entries may exceed a sum.
    fn lacks_room(&self, entries: usize) -> bool {
        /// Maximum bytes that a name, and a subscription to a pattern, count for.
        const NAME_BYTES: u64 = 600;
        const SUBSCRIPTION_BYTES: u64 = 1700;
        let (budget, limits, entries) = (self.engine.budget(), &self.limits, entries as u64);
        budget.names() + entries * NAME_BYTES > limits.names_waited_bytes_max
            || budget.subscriptions() + entries * SUBSCRIPTION_BYTES > limits.subscriptions_bytes_max / 4 * 3
    }

    /// The number of topics, and the `seq` and oldest `seq` of one of them.
    fn state_of(&self, topic: &str) -> (usize, Option<(u64, u64)>) {
        let page = self.engine.history(topic, broker_engine::Ask::Last(0));
        (self.engine.topics_len(), page.map(|page| (page.seq, page.oldest)))
    }

    /// The same for an update of a client.
    fn offered_by(&mut self, id: usize, offer: &Offer) -> Result<Outcome, String> {
        let permit = &self.clients[id].held.permit;
        if permit.as_ref().is_some_and(|permit| !permit.may_publish(&offer.topic)) {
            return Ok(Outcome::Refused("forbidden"));
        }
        self.offered(offer)
    }

    /// Applies to the model what the broker just did.
    fn offered(&mut self, offer: &Offer) -> Result<Outcome, String> {
        let outcome = self.model.publish(&self.limits, self.now(), offer);
        let Outcome::Taken { seq } = outcome else { return Ok(outcome) };
        let page = self.engine.history(&offer.topic, broker_engine::Ask::Last(0)).ok_or("the topic is not there")?;
        self.model.learn(&offer.topic, page.topic.epoch())?;
        let state = self.model.live(&offer.topic).and_then(|epoch| epoch.updates.last()?.state.as_ref());
        let bytes = offer.data.to_string().len() + offer.topic.len() + 200;
        let image_bytes = state.map_or(0, |state| state.to_string().len() + offer.topic.len() + 200);
        self.owe(&offer.topic, bytes as u64 + 250 * u64::from(seq == 1), image_bytes as u64);
        Ok(outcome)
    }

    /// Notes that something of a topic is on its way to its subscribers.
    fn owe(&mut self, topic: &str, bytes: u64, image_bytes: u64) {
        for client in self.clients.iter_mut().filter(|client| !client.over) {
            let Some(best) = client.held.best(topic) else { continue };
            client.waiting_bytes += bytes + if best.options.conflate_ms > 0 { image_bytes } else { 0 };
            client.was_behind |= client.waiting_bytes > self.limits.behind_bytes;
            if bytes > self.limits.ring_bytes as u64 / 8 {
                client.disturb();
            }
        }
    }

    pub fn delete(&mut self, name: &str) -> Result<(), String> {
        self.log(|_| format!("delete {name}"));
        let result = match self.engine.delete(self.now(), name, Publisher::Client) {
            Ok(published) => Some(published.seq),
            // Clients have still to be sent topics that ended earlier.
            Err(refusal) if self.has_small_sums && refusal.code == ErrorCode::Unavailable => return Ok(()),
            Err(_) => None,
        };
        let image = self.model.live(name).and_then(|epoch| epoch.updates.last()?.state.as_ref());
        let image_bytes = image.map_or(0, |state| state.to_string().len() + 200);
        self.owe(name, 200, image_bytes as u64);
        let right = self.model.delete(name);
        if result == right { Ok(()) } else { Err(format!("ended {name} at {result:?}, not at {right:?}")) }
    }

    /// Tidies topics: old updates and idle topics are dropped.
    pub fn tidy(&mut self, after: Option<&str>, count: usize) -> Result<(), String> {
        self.log(|_| format!("tidy {count} after {after:?}"));
        let now = self.now();
        self.engine.tidy(now, after, count);
        let were_live: Vec<String> = self.model.live_names().cloned().collect();
        self.model.tidy(&self.limits, now, after, count);
        // An ended topic has its `closed` to send, and a last state.
        for name in were_live {
            if self.model.live(&name).is_none() {
                self.owe(&name, 200, 8000);
            }
        }
        self.model.live_names().try_for_each(|name| self.check_lifetime(name))
    }

    /// Checks that nothing of a topic is kept for longer than it may be, nor dropped before, whatever the wall clock
    /// was set to.
    fn check_lifetime(&self, name: &str) -> Result<(), String> {
        let Some(right) = self.model.live(name).map(|epoch| epoch.oldest) else { return Ok(()) };
        let (_, state) = self.state_of(name);
        let (_, oldest) = state.ok_or_else(|| format!("{name} ended before its time"))?;
        let is_roomy = retain(&self.limits, name).bytes == RETAIN_ROOMY && self.limits.retain_bytes_max == 1 << 30;
        match oldest {
            _ if oldest < right => Err(format!("{name} keeps {oldest}, and only {right} and later may be kept")),
            _ if is_roomy && oldest > right => Err(format!("{name} has dropped {right}, and keeps {oldest} and later")),
            _ => Ok(()),
        }
    }

    /// Connects a client to a shard; returns its number.
    pub fn connect(&mut self, shard: usize) -> usize {
        let pipe = pipe(self.has_encoded && self.clients.len() % 2 == 1);
        let permit = self.doors.as_mut().map(Permit::drawn);
        let conn = {
            let now = self.now();
            match &permit {
                None => self.drivers[shard].shard.connect(now, SimSink(pipe.clone())),
                Some(permit) => {
                    let permissions = Some(permit.permissions());
                    self.drivers[shard].shard.connect_as(now, SimSink(pipe.clone()), Auth::Optional, permissions)
                }
            }
        };
        self.drivers[shard].more = true;
        self.wake(shard);
        let mut client = Client::new(shard, conn, pipe, self.trace);
        (client.held.permit, client.known.permit) = (permit.clone(), permit);
        self.clients.push(client);
        let id = self.clients.len() - 1;
        self.log(|_| format!("client {id} connects to shard {shard} as {conn}"));
        id
    }

    /// Now and then, gives a client other permissions.
    pub fn open_doors(&mut self) {
        let open = self.open();
        let Some(dice) = self.doors.as_mut().filter(|_| !open.is_empty()) else { return };
        if !dice.percent(6) {
            return;
        }
        let (id, permit) = (dice.pick(&open), Permit::drawn(dice));
        let now = self.now();
        let client = &mut self.clients[id];
        let shard = &mut self.drivers[client.shard].shard;
        if shard.is_closing(client.conn) {
            return;
        }
        client.ids += 1;
        let (number, permissions) = (client.ids, permit.permissions());
        let mut answer = Vec::new();
        message::authenticated(&mut answer, Some(number.to_string().as_bytes()), "somebody", None, &permissions);
        shard.authorize(now, client.conn, Some(permissions), Some(answer.into()));
        client.held.permit(permit.clone());
        client.disturb();
        client.awaited.push_back((number, Answer::Authenticated(permit.clone())));
        self.permitted += 1;
        let shard = client.shard;
        self.drivers[shard].more = true;
        self.wake(shard);
        self.log(|_| format!("client {id} gets other permissions: {permit:?}"));
    }

    /// The shard reads one request of a client.
    pub fn handle(&mut self, id: usize) -> Result<(), String> {
        let now = self.now();
        let Some(request) = self.clients[id].outgoing.pop_front() else { return Ok(()) };
        // The model does not know which updates of a batch are refused for what images and sources hold.
        let request = match request {
            Request::Batch(mut offers) if self.has_few_bytes() => Request::Publish(offers.swap_remove(0)),
            request => request,
        };
        self.clients[id].ids += 1;
        let (number, shard, conn) = (self.clients[id].ids, self.clients[id].shard, self.clients[id].conn);
        let text = request.text(number);
        self.log(|_| format!("client {id} asks {text}"));
        let refused = self.engine.refused(ErrorCode::Limit);
        let lacks_room = matches!(&request, Request::Subscribe { entries, .. } if self.lacks_room(entries.len()));
        self.drivers[shard].shard.heard(conn);
        self.drivers[shard].shard.handle(now, conn, &text);
        let over_budget = self.engine.refused(ErrorCode::Limit) > refused && self.is_over_budget(ErrorCode::Limit);
        let answer = match &request {
            Request::Publish(_) if over_budget => Answer::Refused("limit"),
            Request::Ping => Answer::Pong,
            Request::List => {
                let row = |held: &super::subscriptions::Subscription| {
                    (held.entry.clone(), held.options.conflate_ms, held.options.on_slow)
                };
                let mut rows: Vec<_> = self.clients[id].held.all.iter().map(row).collect();
                rows.sort();
                Answer::List(rows)
            }
            Request::Publish(offer) => {
                let outcome = self.offered_by(id, offer)?;
                published(&self.model, offer, &outcome)
            }
            Request::Batch(offers) => {
                let outcomes: Result<Vec<_>, _> = offers.iter().map(|offer| self.offered_by(id, offer)).collect();
                batch(&outcomes?)
            }
            Request::Unsubscribe(entries) => {
                let client = &mut self.clients[id];
                client.disturb();
                entries.iter().for_each(|entry| client.held.remove(entry));
                Answer::Unsubscribed(entries.clone())
            }
            Request::Subscribe { entries, options } => {
                let client = &mut self.clients[id];
                client.disturb();
                client.strict |= options.on_slow == "disconnect";
                let mut answer =
                    subscribed(&self.model, &self.engine, &self.limits, &mut client.held, entries, *options);
                let is_deferred = self.drivers[shard].shard.is_busy(conn);
                if let Answer::Subscribed { deferred, topics, may_lack_room, .. } = &mut answer {
                    if is_deferred {
                        let mut rest = entries.iter();
                        let entry = |begun: &Begun| rest.find(|entry| entry.name() == begun.name).cloned();
                        *deferred = topics.iter().map(entry).collect();
                    }
                    *may_lack_room = lacks_room || is_deferred && has_few_names(&self.limits);
                }
                answer
            }
        };
        self.clients[id].awaited.push_back((number, answer));
        Ok(())
    }

    /// Ends a connection, whichever side closed it.
    pub fn hang_up(&mut self, id: usize) {
        self.log(|_| format!("client {id} hangs up"));
        let client = &mut self.clients[id];
        client.over = true;
        if !client.pipe.borrow().dropped {
            self.drivers[client.shard].shard.disconnect(client.conn);
        }
    }

    /// The clients of a shard read what arrived.
    pub fn read(&mut self, shard: usize) -> Result<(), String> {
        let driver = &mut self.drivers[shard];
        let stats = &driver.stats;
        let out_of_step = stats.fell_behind.get() + stats.evicted.get() + stats.detours.get();
        let disturbed = std::mem::replace(&mut driver.out_of_step, out_of_step) != out_of_step;
        let truth = Truth { model: &self.model, engine: &self.engine, now_us: self.now_us };
        let on_shard = |(_, client): &(usize, &mut Client)| client.shard == shard && !client.over;
        for (id, client) in self.clients.iter_mut().enumerate().filter(on_shard) {
            if disturbed {
                client.disturb();
            }
            let was_closed = client.closed;
            client.read(truth, out_of_step == 0).map_err(|error| format!("client {id}: {error}"))?;
            for _ in 0..std::mem::take(&mut client.pings) {
                driver.shard.heard(client.conn);
            }
            if let (None, Some(code)) = (was_closed, client.closed) {
                let paid = self.has_small_sums && driver.stats.paid.get() > 0;
                let excused =
                    code == 4008 && (client.strict || client.was_full || paid) || code == 4009 && client.was_full;
                if !excused {
                    return Err(format!("client {id} was closed with {code}"));
                }
            }
            if client.pipe.borrow().dropped {
                client.over = true;
            } else if !driver.shard.has_pending(client.conn) && !driver.shard.has_entries() {
                client.is_idle(self.model.updates);
            }
        }
        Ok(())
    }
}
