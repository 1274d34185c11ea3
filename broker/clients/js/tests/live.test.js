/** Against a real broker, when nothing goes wrong. */
import assert from "node:assert/strict";
import { before, after, test } from "node:test";
import { TickcastError, connect } from "../tickcast.js";
import { Broker } from "./support/broker.js";
import { client, connected, watch } from "./support/client.js";
import { event, record, until } from "./support/wait.js";

const broker = new Broker(["--subscriptions", "20"]);
before(() => broker.start());
after(() => broker.kill());

test("from the first connection to the end", async (t) => {
  const made = client(t, broker.url);
  assert.equal(made.state, "connecting");
  const events = record(made, "open", "statechange", "close");
  const { hello, transport } = await event(made, "open");
  assert.equal(hello.protocol, "tickcast.v1");
  assert.deepEqual([transport, made.transport, made.state, made.hello], ["websocket", "websocket", "open", hello]);
  const { ts, rtt_ms } = await made.ping();
  assert.ok(Math.abs(ts / 1000 - Date.now()) < 60_000 && rtt_ms > 0 && rtt_ms < 10_000, `${ts} ${rtt_ms}`);
  made.close();
  made.close();
  assert.deepEqual(events.map(([type, one]) => one.state ?? one.code ?? type), ["open", "open", "closed", 1000]);
  assert.throws(() => made.subscribe("a"), { code: "closed" });
  await assert.rejects(made.publish("a", 1), { code: "closed" });
});

test("images, updates and patches make the state; what a handler got is not changed afterwards", async (t) => {
  await broker.publish("live.book", "state", { bids: { "1.0": "5" }, asks: { "1.1": "7" } });
  const made = await connected(t, broker.url);
  const { subscription, messages, came } = watch(made, "live.book");
  await came("image live.book 1");
  await broker.publish("live.book", "patch", { bids: { "1.0": null, "0.9": "3" } });
  await came("patch live.book 2");
  await broker.publish("live.book", "state", "closed");
  await came("update live.book 3");
  const states = messages.filter((message) => message.op !== "topic").map((message) => message.state);
  assert.deepEqual(states, [{ bids: { "1.0": "5" }, asks: { "1.1": "7" } }, { bids: { "0.9": "3" }, asks: { "1.1": "7" } }, "closed"]);
  assert.equal(states[0].asks, states[1].asks);
  assert.equal(subscription.state("live.book"), "closed");
  assert.equal(subscription.state("live.other"), undefined);
  assert.equal(new Set(messages.map((message) => message.epoch)).size, 1);
  assert.deepEqual(made.errors, []);
});

test("a key __proto__ from the wire is a key", async (t) => {
  const made = await connected(t, broker.url);
  const { subscription, came } = watch(made, "live.proto");
  await came("topic live.proto live");
  await broker.publish("live.proto", "state", {});
  for (const patch of ['{"__proto__":{"polluted":1},"a":1}', '{"__proto__":{"also":2}}'])
    await broker.publish("live.proto", "patch", patch, { written: true });
  await came("patch live.proto 3");
  const state = subscription.state("live.proto");
  assert.equal(JSON.stringify(state), '{"__proto__":{"polluted":1,"also":2},"a":1}');
  assert.deepEqual([{}.polluted, {}.also, state.polluted], [undefined, undefined, undefined]);
});

test("events have no state; an unpublished name is waited for; an end is reported", async (t) => {
  const made = await connected(t, broker.url);
  const { subscription, brief, came, messages } = watch(made, "live.chat");
  await came("topic live.chat live");
  assert.deepEqual([messages[0].kind, messages[0].epoch], [null, null]);
  await broker.publish("live.chat", "event", { text: "<script>" });
  await came("update live.chat 1");
  await broker.delete("live.chat");
  await came("closed live.chat");
  await broker.publish("live.chat", "event", 2);
  await until(() => brief().filter((line) => line === "update live.chat 1").length === 2, "the first update of the second life");
  assert.deepEqual(brief(), ["topic live.chat live", "topic live.chat live", "update live.chat 1", "closed live.chat",
    "topic live.chat live", "update live.chat 1"]);
  assert.deepEqual(messages.map((message) => "state" in message), Array(6).fill(false));
  assert.equal(subscription.state("live.chat"), undefined);
  assert.deepEqual(made.errors, []);
});

test("patterns bring in topics, new ones too", async (t) => {
  await broker.publish("pattern.a.quote", "state", 1);
  const made = await connected(t, broker.url);
  const { subscription, came } = watch(made, ["pattern.*.quote", "pattern.b.>"]);
  await came("image pattern.a.quote 1");
  await broker.publish("pattern.b.quote", "state", 2);
  await came("update pattern.b.quote 1");
  await broker.publish("pattern.b.quote.depth", "event", 3);
  await came("update pattern.b.quote.depth 1");
  assert.deepEqual([subscription.state("pattern.a.quote"), subscription.state("pattern.b.quote")], [1, 2]);
});

test("from: live, and the last N", async (t) => {
  for (const data of [1, 2, 3, 4, 5]) await broker.publish("from.trade", "event", data);
  await broker.publish("from.quote", "state", 1);
  const made = await connected(t, broker.url);
  const last = watch(made, "from.trade", { from: { last: 3 } });
  await last.came("update from.trade 5");
  assert.deepEqual(last.data("from.trade"), [3, 4, 5]);
  const live = watch(made, "from.quote", { from: "live" });
  await live.came("topic from.quote live");
  await broker.publish("from.quote", "state", 2);
  await live.came("update from.quote 2");
  assert.deepEqual(live.brief(), ["topic from.quote live", "update from.quote 2"]);
});

test("several subscriptions share what they have in common, and each gets what it asked for", async (t) => {
  for (const data of [1, 2, 3]) await broker.publish("shared.trade", "event", data);
  await broker.publish("shared.quote", "state", "old");
  const made = await connected(t, broker.url);
  const first = watch(made, ["shared.trade", "shared.quote"]);
  await first.came("image shared.quote 1");
  // Joined where the stream is, without the broker: the state is known at once.
  const joined = watch(made, "shared.quote");
  await Promise.resolve();
  assert.deepEqual(joined.brief(), ["topic shared.quote image", "image shared.quote 1"]);
  // Earlier updates are asked for, and only the subscription that asked gets them.
  const history = watch(made, "shared.trade", { from: { last: 2 } });
  await history.came("update shared.trade 3");
  assert.deepEqual(history.data("shared.trade"), [2, 3]);
  // A pattern beside names: each subscription gets each update once.
  const pattern = watch(made, "shared.>");
  await pattern.came("image shared.quote 1");
  await broker.publish("shared.trade", "event", 4);
  await broker.publish("shared.quote", "state", "new");
  for (const one of [first, joined, pattern]) await one.came("update shared.quote 2");
  assert.deepEqual(first.data("shared.trade"), [4]);
  assert.deepEqual(history.data("shared.trade"), [2, 3, 4]);
  assert.deepEqual(pattern.data("shared.trade"), [4]);
  // The others do not notice those that leave.
  first.subscription.unsubscribe();
  joined.subscription.unsubscribe();
  assert.equal(first.subscription.state("shared.quote"), undefined);
  await broker.publish("shared.quote", "state", "newest");
  await pattern.came("update shared.quote 3");
  assert.ok(!first.brief().includes("update shared.quote 3"));
  history.subscription.unsubscribe();
  pattern.subscription.unsubscribe();
  const { ts } = await made.ping();
  await broker.publish("shared.quote", "state", "unheard");
  assert.ok(ts > 0 && !pattern.brief().includes("update shared.quote 4"));
  assert.deepEqual(made.errors, []);
});

test("the most demanding options hold for all, until their subscriptions leave", async (t) => {
  await broker.publish("rate.quote", "state", 0);
  const made = await connected(t, broker.url);
  const seen = [];
  made.addEventListener("message", ({ data }) => data.op === "topic" && seen.push(data.conflate_ms));
  const slow = watch(made, "rate.quote", { conflate_ms: 200 });
  await slow.came("image rate.quote 1");
  const fast = watch(made, "rate.quote");
  await until(() => seen.length === 2, "the answer to the faster one");
  fast.subscription.unsubscribe();
  await until(() => seen.length === 3, "the answer to the slower one");
  assert.deepEqual(seen, [200, 0, 200]);
  assert.deepEqual(made.errors, []);
});

test("a refusal goes to the subscription that asked", async (t) => {
  const made = await connected(t, broker.url);
  const { messages, came } = watch(made, ["a..b", "a.*b", "refused.good"]);
  await came("topic refused.good live");
  await until(() => messages.length === 3, "both refusals");
  const refused = messages.filter((message) => message.op === "error").map(({ topic, code, retry }) => [topic, code, retry]);
  assert.deepEqual(refused.sort(), [["a..b", "bad_topic", false], ["a.*b", "bad_pattern", false]].sort());
  assert.deepEqual(made.errors.map((error) => [error instanceof TickcastError, error.code, error.topic]),
    [[true, "bad_topic", "a..b"], [true, "bad_pattern", "a.*b"]]);
  // The whole message is refused because of its options.
  const wrong = watch(made, "refused.other", { from: "yesterday" });
  await until(() => wrong.messages.length === 1, "the refusal");
  assert.deepEqual([wrong.messages[0].op, wrong.messages[0].code], ["error", "bad_request"]);
});

test("more topics than the broker accepts are refused in the client", async (t) => {
  const made = await connected(t, broker.url);
  const topics = Array.from({ length: 25 }, (_, index) => `many.t${index}`);
  const { messages } = watch(made, topics);
  await until(() => messages.length === 25, "an answer for each");
  assert.deepEqual([made.errors.length, made.errors[0].code, made.errors[0].retry], [5, "limit", true]);
  assert.equal(made.state, "open");
});

test("publishing: answers, refusals, an update that is too large, and a duplicate", async (t) => {
  const made = client(t, broker.url);
  // Called before there is a connection, so it waits for one.
  const published = await made.publish("publish.a", { px: "189.10" }, { kind: "state" });
  assert.deepEqual([published.topic, published.seq, typeof published.epoch], ["publish.a", 1, "string"]);
  await assert.rejects(made.publish("publish.a", 1, { kind: "event" }), { name: "TickcastError", code: "kind_mismatch", retry: false });
  await assert.rejects(made.publish("$SYS.stats", 1), { code: "forbidden" });
  await assert.rejects(made.publish("publish.a", "x".repeat(70_000)), { code: "too_large" });
  await assert.rejects(made.publish("publish.a", "\u20ac".repeat(25_000)), { code: "too_large" });
  assert.throws(() => made.publish("publish.a", undefined), TypeError);
  await assert.rejects(made.publish("publish.a", 1n), TypeError);
  const again = { source: "feed", source_seq: 7 };
  assert.equal((await made.publish("publish.b", 1, again)).duplicate, undefined);
  assert.equal((await made.publish("publish.b", 1, again)).duplicate, true);
  assert.equal(made.state, "open");
});

test("an async iterator yields what is known, then what comes; it ends with the subscription", async (t) => {
  await broker.publish("iterate.quote", "state", 1);
  const made = await connected(t, broker.url);
  const subscription = made.subscribe("iterate.quote");
  const data = [];
  for await (const message of subscription) {
    if (message.op === "topic") continue;
    data.push(message.data);
    if (data.length < 3) broker.publish("iterate.quote", "state", data.length + 1);
    else break;
  }
  assert.deepEqual(data, [1, 2, 3]);
  // `break` did not change the subscription, and a second iteration begins with the current state.
  const second = subscription[Symbol.asyncIterator]();
  assert.equal((await second.next()).value.op, "topic");
  const { value } = await second.next();
  assert.deepEqual([value.op, value.data], ["image", 3]);
  const waiting = second.next();
  subscription.unsubscribe();
  assert.deepEqual(await waiting, { value: undefined, done: true });
  assert.deepEqual(await subscription[Symbol.asyncIterator]().next(), { value: undefined, done: true });
});

test("a reader that is too slow gets the newest state, and gaps that name the events it lost", async (t) => {
  const made = await connected(t, broker.url);
  const subscription = made.subscribe(["slow.trade", "slow.quote"], { buffer_max: 20 });
  const reader = subscription[Symbol.asyncIterator]();
  const all = watch(made, ["slow.trade", "slow.quote"]);
  for (const name of ["trade", "quote"]) await all.came(`topic slow.${name} live`);
  for (let number = 1; number <= 50; number += 1) {
    await broker.publish("slow.trade", "event", number);
    await broker.publish("slow.quote", "state", number);
  }
  await all.came("update slow.quote 50");
  let next = 1, lost = 0, state;
  while (next <= 50 || state !== 50) {
    const { value: message } = await reader.next();
    if (message.op === "topic") continue;
    if (message.topic === "slow.quote") {
      assert.ok(message.seq > (state ?? 0), "the state goes forward");
      state = message.state;
    } else {
      assert.equal(message.from ?? message.seq, next, "no event is lost silently");
      if (message.op === "gap") lost += message.to - message.from + 1;
      next = (message.to ?? message.seq) + 1;
    }
  }
  assert.ok(lost > 20 && lost < 50, `${lost} events were lost to a buffer of 20`);
});

test("a handler that throws does not disturb the others", async (t) => {
  // As with an event's listener, the error goes to the program; here the test takes it in place of its runner.
  const runners = process.listeners("uncaughtException"), thrown = [];
  process.removeAllListeners("uncaughtException").on("uncaughtException", (error) => thrown.push(error.message));
  try {
    const made = await connected(t, broker.url);
    made.subscribe("throws", () => { throw new Error("on purpose"); });
    const other = watch(made, "throws");
    await other.came("topic throws live");
    await broker.publish("throws", "event", 1);
    await other.came("update throws 1");
    await until(() => thrown.length === 3, "an error for each message");
    assert.deepEqual(new Set(thrown), new Set(["on purpose"]));
  } finally {
    process.removeAllListeners("uncaughtException");
    for (const runner of runners) process.on("uncaughtException", runner);
  }
});

test("invalid arguments are errors at once", async (t) => {
  const made = await connected(t, broker.url);
  const cases = [
    [() => connect(undefined), /needs the broker's URL/], [() => connect("ftp://a"), /not the address of a broker/],
    [() => connect("ws://a", { tokens: 1 }), /no option tokens/], [() => made.subscribe("a", { conflate: 1 }), /no option conflate/],
    [() => made.subscribe(7), /a topic must be a string/], [() => made.subscribe([null]), /a topic must be a string/],
    [() => made.subscribe("x".repeat(256)), /at most 255 bytes/], [() => made.subscribe("a", { on_slow: "wait" }), /on_slow must be one of/],
    [() => made.subscribe("a", { conflate_ms: -1 }), /conflate_ms/], [() => made.subscribe("a", { from: { last: -1 } }), /from must be/],
    [() => made.subscribe("a", { from: { first: 3 } }), /from must be/], [() => made.subscribe("a", { from: null }), /from must be/], [() => connect("ws://a", { transports: ["pigeon"] }), /transports/],
  ];
  for (const [wrong, said] of cases) assert.throws(wrong, said);
});

test("a broker's URL may be written in several ways", async (t) => {
  for (const url of [`http://${broker.address}`, `ws://${broker.address}/v1/ws`, new URL(`http://${broker.address}/#part`)]) {
    const made = await connected(t, url);
    assert.equal(made.url, `ws://${broker.address}/v1/ws`);
  }
});

test("hundreds of topics are asked for in as many messages as they need", async (t) => {
  const small = await Broker.start(t, ["--message-bytes", "4096", "--subscriptions", "300"]);
  const made = await connected(t, small.url);
  const topics = Array.from({ length: 300 }, (_, index) => `long.${"x".repeat(200)}.t${index}`);
  const { subscription, messages } = watch(made, topics);
  await until(() => messages.length === 300, "an answer for each");
  subscription.unsubscribe();
  await made.ping();
  assert.deepEqual(made.errors, []);
});
