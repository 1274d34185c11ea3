//! What is delivered is allowed and not denied: random permissions against a naive matcher, over subscriptions by name and
//! by pattern, three ways to resume, listings, images, histories, topics that begin later, new tokens, and roles that
//! change, and a broker that no longer asks who they are.
//!
//! `TICKCAST_CASES=n` sets how many cases are run; `TICKCAST_CASE=n` runs one and prints it.

#![allow(unreachable_pub, reason = "the modules of one test: what is pub is what the others use")]

#[path = "../simulation/dice.rs"]
mod dice;
#[path = "../simulation/encoded.rs"]
mod encoded;
mod model;
#[path = "../simulation/network.rs"]
mod network;

use std::collections::BTreeSet;
use std::sync::Arc;

use broker_engine::{Ask, Engine, Limits, Met, Now, Publisher, Shard, ShardStats, Walk};
use broker_protocol::message::{self, Auth};
use broker_protocol::pattern::Pattern;
use serde_json::Value;

use self::dice::Dice;
use self::model::{NAMES, Rights, patterns};
use self::network::{Incoming, SharedPipe, SimSink, pipe};

/// Cases of a default run: some seconds.
const CASES: u64 = 20_000;

struct Case {
    dice: Dice,
    engine: Arc<Engine>,
    shard: Shard<SimSink>,
    now_us: u64,
    trace: bool,
}

impl Case {
    fn new(seed: u64, trace: bool) -> Case {
        let engine = Engine::new(Limits { ring_bytes: 16_384, ..Limits::default() }, seed, vec![Box::new(|| {})]);
        let shard = Shard::new(engine.clone(), 0, Arc::<ShardStats>::default());
        Case { dice: Dice::new(seed), engine, shard, now_us: 1_000_000, trace }
    }

    /// Prints what happens, if that is asked for.
    fn log(&self, what: impl FnOnce() -> String) {
        if self.trace {
            eprintln!("{}", what());
        }
    }

    fn now(&self) -> Now {
        Now { mono_us: self.now_us, wall_us: 1_700_000_000_000_000 + self.now_us }
    }

    fn publish(&mut self, name: &str) {
        // Names that begin with `a` have states, the others events.
        let kind = if name.starts_with('a') { "state" } else { "event" };
        let line = format!(r#"{{"topic":"{name}","kind":"{kind}","data":{{"n":{}}}}}"#, self.now_us);
        self.log(|| format!("publish {line}"));
        let update = broker_protocol::request::parse_line(&line).expect("an update");
        let by = if name.starts_with('$') { Publisher::Broker } else { Publisher::Client };
        self.engine.publish(self.now(), &update, by).expect("it is taken");
    }

    fn rest(&mut self) {
        for _ in 0..200 {
            self.now_us += 10;
            let now = self.now();
            let mut more = self.shard.take_in(now);
            more |= self.shard.turn(&mut || now);
            self.shard.begin_requests();
            more |= self.shard.tick(now);
            if !more {
                return;
            }
        }
        panic!("it never comes to rest");
    }
}

/// A client, and what it may get.
struct Client {
    conn: u32,
    pipe: SharedPipe,
    rights: Rights,
    /// Subscriptions that were accepted.
    held: BTreeSet<String>,
    /// Topics that have begun for it.
    known: BTreeSet<String>,
    /// The last `epoch` and `seq` of topics.
    had: Vec<(String, String, u64)>,
    positions: Vec<String>,
    is_encoded: bool,
    /// Whether the broker's own topics are forbidden to it unless permissions allow them.
    forbids_reserved: bool,
}

impl Client {
    /// Reads what came: nothing of a topic that may not be read.
    fn read(&mut self, trace: bool) -> Result<(), String> {
        let pipe = self.pipe.clone();
        while let Some(frame) = pipe.borrow_mut().take()? {
            let text = match frame {
                Incoming::Text(text) => text,
                Incoming::Close(code) => return Err(format!("closed with {code:?}")),
                _ => continue,
            };
            if trace {
                eprintln!("{} gets {text}", self.conn);
            }
            let message: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
            let topic = message["topic"].as_str().unwrap_or_default().to_owned();
            match message["op"].as_str().unwrap_or_default() {
                "topic" | "image" | "update" | "patch" | "gap" | "closed" => {
                    if !self.rights.may_read(&topic) {
                        return Err(format!("{text} to {:?}", self.rights));
                    }
                    if message["op"] == "closed" {
                        self.known.remove(&topic)
                    } else {
                        self.known.insert(topic.clone())
                    };
                    if let (Some(epoch), Some(seq)) = (message["epoch"].as_str(), message["seq"].as_u64()) {
                        self.had.push((topic, epoch.to_owned(), seq));
                    }
                }
                "subscribed" => self.subscribed(&message)?,
                "error" => {
                    let entry = message["pattern"].as_str().unwrap_or(&topic);
                    self.held.remove(entry);
                    self.known.remove(entry);
                }
                "position" => self.positions.extend(message["id"].as_str().map(str::to_owned)),
                "authenticated" => {
                    let list = |name: &str| serde_json::from_value(message["allow"][name].clone()).expect("a list");
                    self.rights = Rights { sub: list("sub"), deny: list("deny") };
                    self.check_held()?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Only subscriptions that its rights cover are left.
    fn check_held(&mut self) -> Result<(), String> {
        let rights = &self.rights;
        if let Some(kept) = self.held.iter().find(|entry| !rights.may_subscribe(entry)) {
            return Err(format!("{kept} is still subscribed to, with {rights:?}"));
        }
        self.known.retain(|topic| rights.may_read(topic));
        Ok(())
    }

    fn subscribed(&mut self, message: &Value) -> Result<(), String> {
        for (list, name) in [("topics", "topic"), ("patterns", "pattern")] {
            for row in message[list].as_array().into_iter().flatten() {
                let entry = row[name].as_str().unwrap_or_default();
                if !self.rights.may_subscribe(entry) {
                    return Err(format!("{entry} was accepted with {:?}", self.rights));
                }
                self.held.insert(entry.to_owned());
                if row["epoch"].is_string() {
                    self.known.insert(entry.to_owned());
                }
            }
        }
        for row in message["errors"].as_array().into_iter().flatten() {
            let entry = row["topic"].as_str().unwrap_or_default();
            if row["code"] != "forbidden" || self.rights.may_subscribe(entry) {
                return Err(format!("{row} with {:?}", self.rights));
            }
        }
        Ok(())
    }

    /// Everything that it may read and is subscribed to has begun.
    fn check_complete(&self, live: &BTreeSet<&'static str>) -> Result<(), String> {
        let wanted = |topic: &str| self.held.iter().any(|entry| model::matches(entry, topic));
        let missing =
            live.iter().find(|topic| wanted(topic) && self.rights.may_read(topic) && !self.known.contains(**topic));
        missing.map_or(Ok(()), |topic| Err(format!("{topic} never began for {:?} with {:?}", self.held, self.rights)))
    }
}

fn connect(case: &mut Case) -> Client {
    let is_encoded = case.dice.percent(20);
    let (pipe, rights) = (pipe(is_encoded), Rights::drawn(&mut case.dice));
    let permissions = rights.permissions();
    let conn = case.shard.connect_as(case.now(), SimSink(pipe.clone()), Auth::Optional, Some(permissions));
    let forbids_reserved = case.dice.percent(50);
    if forbids_reserved {
        case.shard.forbid_reserved(conn);
    }
    let (held, known) = (BTreeSet::new(), BTreeSet::new());
    Client { conn, pipe, rights, held, known, had: Vec::new(), positions: Vec::new(), is_encoded, forbids_reserved }
}

/// The broker no longer asks who a client is. Nothing says so, so what was sent by then is read before.
fn permit_everything(case: &mut Case, client: &mut Client) -> Result<(), String> {
    case.rest();
    client.read(case.trace)?;
    case.log(|| format!("{} may do everything", client.conn));
    case.shard.permit_everything(case.now(), client.conn);
    case.rest();
    client.rights = Rights::of_anyone(client.forbids_reserved);
    client.read(case.trace)?;
    client.check_held()
}

fn subscribe(case: &mut Case, client: &Client) {
    let mut entries: Vec<String> =
        (0..case.dice.range(1..4)).map(|_| format!("{:?}", patterns(&mut case.dice))).collect();
    if !client.had.is_empty() && case.dice.percent(50) {
        let (topic, epoch, seq) = &client.had[case.dice.index(client.had.len())];
        entries.push(format!(r#"{{"topic":"{topic}","epoch":"{epoch}","seq":{seq}}}"#));
    }
    let from = match client.positions.last() {
        Some(id) if case.dice.percent(50) => format!(r#""resume":"{id}""#),
        _ => format!(r#""from":{}"#, case.dice.pick(&["\"image\"", "\"live\"", "{\"last\":5}"])),
    };
    let conflate_ms = case.dice.pick(&[0, 0, 10]);
    let positions = !client.is_encoded;
    let entries = entries.join(",");
    let text = format!(
        r#"{{"op":"subscribe","topics":[{entries}],{from},"conflate_ms":{conflate_ms},"positions":{positions},"ready":true}}"#
    );
    if !case.shard.may_read(client.conn) {
        // Its last request is not done.
        case.rest();
    }
    case.log(|| format!("{} asks {text}", client.conn));
    case.shard.handle(case.now(), client.conn, &text);
}

/// Reads over HTTP what the client may read: listings, images, histories.
fn read_everything(case: &mut Case, client: &Client, live: &BTreeSet<&'static str>) -> Result<(), String> {
    let permissions = client.rights.permissions();
    let pattern = Pattern::parse(case.dice.pick(&[">", "a.>", "*.b", "$SYS.>"])).expect("a pattern");
    let right: Vec<&str> = live
        .iter()
        .copied()
        .filter(|topic| model::matches(pattern.as_str(), topic) && client.rights.may_read(topic))
        .collect();
    let mut listed = Vec::new();
    let mut walk = Walk::new(pattern.clone(), None).permitted(Some(permissions.clone()));
    loop {
        match case.engine.next_row(&mut walk, &mut 3) {
            Met::One(row) => listed.push(row.topic.to_string()),
            Met::Pause => {}
            Met::End => break,
        }
    }
    if listed != right {
        return Err(format!("{listed:?} were listed, not {right:?}"));
    }
    let mut walk = Walk::new(pattern, None).permitted(Some(permissions.clone()));
    loop {
        match case.engine.next_image(&mut walk, &mut 3) {
            Met::One(image) if !client.rights.may_read(image.topic()) => {
                return Err(format!("an image of {}", image.topic()));
            }
            Met::One(_) | Met::Pause => {}
            Met::End => break,
        }
    }
    for topic in NAMES {
        let may = permissions.check_read(topic).is_ok();
        if may != client.rights.may_read(topic)
            || (may && live.contains(topic) && case.engine.history(topic, Ask::Last(1)).is_none())
        {
            return Err(format!("the history of {topic}"));
        }
    }
    Ok(())
}

fn run(seed: u64, trace: bool) -> Result<(), String> {
    let mut case = Case::new(seed, trace);
    let mut live: BTreeSet<&'static str> = BTreeSet::new();
    let mut clients = vec![connect(&mut case), connect(&mut case)];
    for _ in 0..case.dice.range(4..16) {
        let (name, at) = (case.dice.pick(&NAMES), case.dice.index(clients.len()));
        match case.dice.weighted(&[6, 6, 2, 2, 2, 1, 1]) {
            0 => {
                case.publish(name);
                live.insert(name);
            }
            1 => subscribe(&mut case, &clients[at]),
            2 if live.contains(name) && !name.starts_with('$') => {
                case.log(|| format!("delete {name}"));
                case.engine.delete(case.now(), name, Publisher::Client).expect("it lives");
                live.remove(name);
            }
            3 => {
                // A new token, or a role that changed.
                let permissions = Rights::drawn(&mut case.dice).permissions();
                let mut answer = Vec::new();
                message::authenticated(&mut answer, None, "somebody", None, &permissions);
                case.log(|| format!("{} gets {permissions:?}", clients[at].conn));
                case.shard.authorize(case.now(), clients[at].conn, Some(permissions), Some(answer.into()));
            }
            4 => read_everything(&mut case, &clients[at], &live)?,
            5 => permit_everything(&mut case, &mut clients[at])?,
            _ => {}
        }
        if case.dice.percent(60) {
            case.rest();
        }
        clients.iter_mut().try_for_each(|client| client.read(trace))?;
    }
    case.now_us += 1_000_000;
    case.rest();
    for client in &mut clients {
        client.read(trace)?;
        client.check_complete(&live)?;
    }
    Ok(())
}

#[test]
fn what_is_delivered_is_allowed_and_not_denied() {
    let number = |name: &str| std::env::var(name).ok().and_then(|number| number.parse().ok());
    if let Some(seed) = number("TICKCAST_CASE") {
        return run(seed, true).unwrap_or_else(|error| panic!("case {seed}: {error}"));
    }
    let cases = number("TICKCAST_CASES").unwrap_or(CASES);
    let threads = std::thread::available_parallelism().map_or(1, usize::from) as u64;
    std::thread::scope(|scope| {
        for first in 0..threads {
            scope.spawn(move || {
                for seed in (first..cases).step_by(threads as usize) {
                    if let Err(error) = run(seed, false) {
                        panic!("case {seed}: {error}");
                    }
                }
            });
        }
    });
}
