/** A broker that is cut off from its journal, or about to stop: a better one takes over, and if there is none, the client stays. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";

const SINCE = 1_795_404_341_000_000;
const ROW = { kind: "event", epoch: "e", seq: 5, start: "live" };
/** With this, the addresses are tried in the order of the list, and the client looks at them at once. */
const inOrder = (count) => {
  let asked = 0;
  return { random: () => (++asked < count ? 1 : 0) };
};
const update = (seq) => ({ op: "update", topic: "t", seq, ts: 1, data: seq });

/** Brokers that answer pings, and a client that follows a topic at the first of them. */
async function following(t, count, options = {}, hello = {}) {
  const fakes = await Promise.all(Array.from({ length: count }, () => Fake.start(t, hello)));
  for (const fake of fakes) fake.pongs = true;
  const made = await connected(t, fakes.map(({ url }) => url), { ...inOrder(count), ...options });
  const events = record(made, "stale", "fresh", "open", "close", "statechange"), seen = watch(made, "t");
  await fakes[0].begin(ROW);
  await seen.came("topic t live");
  return { fakes, made, events, seen, at: () => fakes.findIndex(({ url }) => made.url === `${url}/v1/ws`), types: () => events.map(([type]) => type) };
}

test("the first broker that is not stale takes over, without a break, where the topics are", async (t) => {
  const { fakes: [a, b, c], made, events, seen, at, types } = await following(t, 3);
  a.send(update(6));
  await seen.came("update t 6");
  const before = made.hello;
  b.stale = SINCE;
  a.send({ op: "stale", since: SINCE });
  await event(made, "stale");
  assert.deepEqual([made.isStale, made.state, events[0][1].since], [true, "open", SINCE]);
  assert.deepEqual(await c.begin({ ...ROW, seq: 7, start: "resumed" }), [{ topic: "t", epoch: "e", seq: 6 }]);
  c.send(update(7));
  await seen.came("update t 7");
  assert.deepEqual([at(), made.isStale, made.state, types(), made.errors], [2, false, "open", ["stale", "open", "fresh"], []]);
  assert.notEqual(made.hello, before);
  await until(() => a.open + b.open === 0, "the others are left");
  assert.deepEqual([a.connections, b.connections, c.connections], [1, 1, 1]);
});

test("if all are stale, each is tried once, and the client stays where it is, until the next time", async (t) => {
  const { fakes: [a, b, c], made, seen, at, types } = await following(t, 3);
  [b.stale, c.stale] = [SINCE, SINCE];
  for (const episode of [1, 2]) {
    // A broker that repeats it begins nothing new.
    a.send({ op: "stale", since: SINCE }, { op: "stale", since: SINCE + 1 });
    await until(() => b.connections === episode && c.connections === episode && b.open + c.open === 0, "two that were tried");
    a.send(update(5 + episode));
    await seen.came(`update t ${5 + episode}`);
    assert.deepEqual([at(), made.isStale, made.state], [0, true, "open"]);
    a.send({ op: "stale", since: SINCE });
    a.send({ op: "fresh" }, { op: "fresh" });
    await until(() => !made.isStale, "fresh");
  }
  assert.deepEqual([a.connections, b.connections, c.connections, types()], [1, 2, 2, ["stale", "fresh", "stale", "fresh"]]);
});

test("the first greeting may say it, and one address alone has nowhere to go", async (t) => {
  const [a, b] = await Promise.all([Fake.start(t), Fake.start(t)]);
  for (const fake of [a, b]) fake.pongs = true;
  a.stale = SINCE;
  const made = client(t, [a.url, b.url], inOrder(2));
  await event(made, "stale");
  await until(() => made.url === `${b.url}/v1/ws`, "the other one");
  assert.deepEqual([made.isStale, b.connections], [false, 1]);
  const alone = client(t, a.url);
  await event(alone, "stale");
  a.send({ op: "fresh" });
  await event(alone, "fresh");
  assert.deepEqual([alone.state, alone.isStale, a.connections], ["open", false, 2]);
});

test("a broker that is fresh again is not left; a lost connection ends the staleness too", async (t) => {
  const { fakes: [a, b], made, types } = await following(t, 2, { connect_timeout_ms: 600_000 });
  // It greets, and does not answer yet.
  b.pongs = false;
  a.send({ op: "stale", since: SINCE });
  const { id } = await b.next("ping");
  a.send({ op: "fresh" });
  await until(() => b.open === 0, "the other one is left");
  assert.deepEqual([id > 0, made.isStale, types()], [true, false, ["stale", "fresh"]]);
  a.send({ op: "stale", since: SINCE });
  await b.next("ping");
  a.close(1011, "");
  await b.next("subscribe");
  assert.deepEqual([made.isStale, made.state, types().slice(2)], [false, "open", ["stale", "statechange", "close", "statechange", "open"]]);
  assert.deepEqual([a.connections, b.connections], [1, 3]);
});

test("those that cannot be reached, do not answer, or break down are passed over", async (t) => {
  const { fakes: [a, b, c, d], made, at } = await following(t, 4, { connect_timeout_ms: 2_000 });
  b.pongs = false;
  c.pongs = false;
  a.send({ op: "stale", since: SINCE });
  await c.next("ping");
  c.send("{");
  await d.next("subscribe");
  assert.deepEqual([at(), b.connections, c.connections, made.errors], [3, 1, 1, []]);
});

test("tokens: another broker is given one before it is asked; a refused one is tried nowhere else", async (t) => {
  const allow = { sub: [">"], pub: [], deny: [] };
  const tokens = { good: { sub: "amy", allow, expires_ts: null } };
  for (const accepts of [true, false]) {
    let token = "good";
    const { fakes: [a, b, c], made, at } = await following(t, 3, { token: () => token }, { auth: "required", tokens });
    const said = record(made, "authenticated");
    if (!accepts) token = "bad";
    a.send({ op: "stale", since: SINCE });
    if (accepts) {
      await b.next("subscribe");
      await until(() => said.length === 1, "authenticated");
      assert.deepEqual([at(), made.authenticated.sub, b.authenticated, c.connections], [1, "amy", ["good"], 0]);
    } else {
      await until(() => b.authenticated.length === 1 && b.open === 0, "a refused token");
      a.send({ op: "fresh" });
      await event(made, "fresh");
      assert.deepEqual([at(), made.state, made.authenticated.sub, b.authenticated, c.connections, made.errors], [0, "open", "amy", ["bad"], 0, []]);
    }
    made.close();
  }
});

test("requests in flight when another broker takes over: with a source they are sent again, the outcome of others is unknown", async (t) => {
  const { fakes: [a, b], made } = await following(t, 2);
  const unknown = assert.rejects(made.publish("t", 1), { code: "unanswered" });
  const certain = made.publish("t", 2, { source: "here", source_seq: 1 });
  await a.next("publish");
  await a.next("publish");
  a.send({ op: "stale", since: SINCE });
  await unknown;
  const { id, data } = await b.next("publish");
  b.send({ op: "published", id, topic: "t", epoch: "e", seq: 6 });
  assert.deepEqual([data, (await certain).seq], [2, 6]);
});

test("a broker that is about to stop is left for another one before it closes", async (t) => {
  const { fakes: [a, b], seen, at, types } = await following(t, 2);
  a.send({ op: "goaway", reason: "shutdown", after_ms: 5_000 });
  await b.begin({ ...ROW, start: "resumed" });
  b.send(update(6));
  await seen.came("update t 6");
  await until(() => a.open === 0, "the first is left");
  assert.deepEqual([at(), types()], [1, ["open"]]);
});

test("over Server-Sent Events: the first broker that is not stale takes over, and every stream may say it", async (t) => {
  const [a, b, c] = await Promise.all([1, 2, 3].map(() => SseBroker.start(t)));
  const hello = { op: "hello", protocol: "tickcast.v1", server: "sse", session: "s", heartbeat_ms: 25_000, features: ["journal"], limits: {} };
  const made = await connected(t, [a.url, b.url, c.url], { ...inOrder(3), transports: ["sse"] });
  const events = record(made, "stale", "fresh", "open", "close", "statechange"), seen = watch(made, ["p.*", "t"]);
  await a.begin(["p.*", "t"], ROW);
  a.send(update(6));
  await seen.came("update t 6");
  a.greeting = [hello, { op: "stale", since: SINCE }];
  b.greeting = a.greeting;
  c.greeting = [hello];
  // A subscription that is added comes by a stream of its own, which says it; the other two addresses are asked for a topic.
  const added = watch(made, "u");
  await until(() => made.isStale, "stale");
  await c.begin(["t"], ROW);
  // Where the first stream was, although the client looked before.
  await until(() => c.of(["p.*", "t"]) && c.of(["u"]), "the streams at the other address");
  const at = (topics) => c.of(topics).resume;
  assert.deepEqual([b.asked, at(["p.*", "t"]), at(["u"])], [[["t", null]], "7", null]);
  const stream = c.of(["p.*", "t"]);
  c.to(stream, { op: "subscribed", topics: [{ topic: "t", oldest: 1, conflate_ms: 0, ...ROW, seq: 7, start: "resumed" }], patterns: [{ pattern: "p.*", matched: 0, conflate_ms: 0 }], errors: [] }, update(7));
  await seen.came("update t 7");
  await c.begin(["u"], ROW);
  await added.came("topic u live");
  assert.deepEqual([events.map(([type]) => type), made.isStale, made.state, made.url, made.errors],
    [["stale", "open", "fresh"], false, "open", `${c.url}/v1/ws`, []]);
  await until(() => a.open.length + b.open.length === 0, "the others are left");
});

test("over Server-Sent Events: if all are stale the client stays; a stream whose greeting is not followed by it shows that it is over", async (t) => {
  const [a, b] = await Promise.all([SseBroker.start(t), SseBroker.start(t)]);
  a.greeting = [{ op: "stale", since: SINCE }];
  b.greeting = a.greeting;
  const made = await connected(t, [a.url, b.url], { ...inOrder(2), transports: ["sse"] });
  const events = record(made, "stale", "fresh", "close"), seen = watch(made, "t");
  // The client looks before anything has begun.
  await until(() => made.isStale && b.streams.length === 1 && b.open.length === 0, "the other one was asked");
  await a.begin(["t"], ROW);
  a.send(update(6));
  await seen.came("update t 6");
  assert.deepEqual([made.url, made.isStale], [`${a.url}/v1/ws`, true]);
  a.greeting = [];
  watch(made, "u");
  await a.begin(["u"], ROW);
  await until(() => !made.isStale, "fresh");
  assert.deepEqual([events.map(([type]) => type), b.asked, made.errors], [["stale", "fresh"], [["t", null]], []]);
});

test("over Server-Sent Events: if nothing has begun yet, the other broker is asked for what is wanted", async (t) => {
  const [a, b] = await Promise.all([SseBroker.start(t), SseBroker.start(t)]);
  a.greeting = [{ op: "stale", since: SINCE }];
  const made = await connected(t, [a.url, b.url], { ...inOrder(2), transports: ["sse"] });
  const seen = watch(made, ["p.*", "t"]);
  await b.begin(["t"], ROW);
  await b.begin(["p.*", "t"], ROW);
  b.send(update(6));
  await seen.came("update t 6");
  assert.deepEqual([made.url, made.isStale, a.asked, b.asked, made.errors],
    [`${b.url}/v1/ws`, false, [["p.*,t", null]], [["t", null], ["p.*,t", null]], []]);
});

test("a WebSocket that replaces Server-Sent Events says for itself whether its broker is stale", async (t) => {
  for (const isStale of [true, false]) {
    const broker = await SseBroker.start(t);
    broker.greeting = [{ op: "stale", since: SINCE }];
    const made = await connected(t, broker.url, { websocket_again_ms: 20 });
    const events = record(made, "stale", "fresh", "open");
    watch(made, "t");
    await broker.begin(["t"], ROW);
    await until(() => made.isStale, "stale");
    const fake = await Fake.start(t, { within: broker });
    fake.stale = isStale ? SINCE : null;
    await until(() => made.transport === "websocket", "a WebSocket");
    await fake.next("subscribe");
    assert.deepEqual([made.isStale, events.map(([type]) => type)], [isStale, ["stale", "open", isStale ? "stale" : "fresh"]]);
    made.close();
  }
});
