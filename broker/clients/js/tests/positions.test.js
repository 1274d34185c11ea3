/** Resuming from a position: positions over a WebSocket, their ids over Server-Sent Events, and brokers that know neither. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";
import { numbers } from "./support/whole.js";

const update = (seq, topic = "t") => ({ op: "update", topic, seq, ts: 1, data: seq });
const updates = (from, to, topic) => numbers(from, to).map((seq) => update(seq, topic));
const image = (seq, topic = "t", epoch = "e") => ({ op: "image", topic, epoch, seq, ts: 1, data: seq });
const row = (topic, more) => ({ op: "topic", topic, kind: "event", epoch: "e", oldest: 1, conflate_ms: 0, ...more });
const position = (id) => ({ op: "position", id });
const events = { kind: "event", epoch: "e" }, state = { kind: "state", epoch: "e" };

/** A client that is connected to a fake, with the request that switched positions on. */
async function start(t, options = {}) {
  const fake = await Fake.start(t, options);
  return { fake, made: await connected(t, fake.url, { transports: ["websocket"] }) };
}

async function lose(fake, made) {
  const opened = event(made, "open");
  fake.close(1011, "");
  await opened;
}

test("names and patterns resume with one request; no update is lost or comes twice, and no end is missed", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, ["t", "p.*"]);
  await fake.begin({ ...events, seq: 3, start: "live" }, 3);
  fake.send(row("p.a", { seq: 1, start: "live" }), row("p.s", { ...state, seq: 4, start: "image" }), image(4, "p.s"), row("p.ends", { seq: 2, start: "live" }));
  fake.send(position("100"), update(4), update(2, "p.a"), update(5, "p.s"));
  await seen.came("update p.s 5");
  await lose(fake, made);
  const { topics, resume, ...rest } = await fake.next("subscribe");
  assert.deepEqual([topics, resume, rest.ready, "from" in rest, "positions" in rest], [["t", "p.*"], "100", true, false, false]);
  assert.equal(fake.received.length, 0, "one request");
  // What came after the id comes again. A topic may have lost retained updates, or be new.
  fake.send({ op: "subscribed", id: rest.id, errors: [], topics: [row("t", { seq: 9, start: "reset", oldest: 7 })], patterns: [{ pattern: "p.*", matched: 3, conflate_ms: 0 }] });
  fake.send({ op: "gap", topic: "t", from: 1, to: 6, reason: "expired" }, ...updates(7, 9));
  fake.send(row("p.a", { seq: 3, start: "resumed" }), ...updates(2, 3, "p.a"), row("p.s", { ...state, seq: 5, start: "image" }), image(5, "p.s"));
  fake.send(row("p.new", { seq: 2, start: "history" }), ...updates(1, 2, "p.new"), { op: "ready", id: rest.id }, update(4, "p.a"));
  await seen.came("update p.a 4");
  assert.deepEqual(seen.brief().slice(seen.brief().indexOf("update p.s 5") + 1), ["gap t 5-6 expired", "update t 7", "update t 8", "update t 9",
    "update p.a 3", "topic p.new history", "update p.new 1", "update p.new 2", "closed p.ends", "update p.a 4"]);
  assert.deepEqual(seen.data("p.a"), [2, 3, 4]);
  assert.deepEqual([seen.subscription.state("p.s"), made.errors], [5, []]);
  // The connection is lost again before there is another position: the client resumes from the same one.
  await lose(fake, made);
  assert.equal((await fake.next("subscribe")).resume, "100");
});

test("an id holds for what had been answered when it came", async (t) => {
  const { fake, made } = await start(t);
  const before = watch(made, ["a", "p.*"]);
  await fake.begin({ ...events, seq: 1, start: "live" }, 0);
  const pending = watch(made, "b");
  const asked = await fake.next("subscribe");
  fake.send(position("50"));
  fake.answer(asked, { ...events, seq: 8, start: "live" });
  const after = watch(made, "q.*");
  await fake.begin({}, 1);
  fake.send(row("q.x", { seq: 1, start: "live" }), update(2, "q.x"), update(9, "b"));
  for (const [one, line] of [[pending, "update b 9"], [after, "update q.x 2"]]) await one.came(line);
  await lose(fake, made);
  const requests = [];
  while (requests.length < 3) requests.push(await fake.next("subscribe"));
  assert.deepEqual(requests.map(({ topics, resume }) => [topics, resume]), [
    [["a", "p.*"], "50"],
    // Each resumes from its own last update: the pattern by its topics' names, which are unsubscribed again.
    [[{ topic: "b", epoch: "e", seq: 9 }, { topic: "q.x", epoch: "e", seq: 2 }], undefined],
    [["q.*"], undefined],
  ]);
  assert.ok(before.subscription.covers("a"));
});

test("an entry that is no longer conflated begins without an id, with the updates that it may lack", async (t) => {
  const { fake, made } = await start(t);
  const slow = watch(made, ["s", "p.*"], { conflate_ms: 100 });
  await fake.begin({ ...state, seq: 3, start: "image" }, 0);
  fake.send(image(3, "s"), position("50"));
  await slow.came("image s 3");
  fake.close(1011, "");
  await until(() => made.state === "stale", "stale");
  const fast = watch(made, ["s", "p.*"]);
  await event(made, "open");
  const names = await fake.next("subscribe"), patterns = await fake.next("subscribe");
  assert.deepEqual([names.topics, names.resume, names.conflate_ms], [[{ topic: "s", epoch: "e", seq: 3 }], undefined, 0]);
  assert.deepEqual([patterns.topics, patterns.resume, patterns.conflate_ms], [["p.*"], undefined, 0]);
  fake.answer(names, { ...state, seq: 5, start: "resumed" });
  fake.send(...updates(4, 5, "s"));
  await fast.came("update s 5");
  // The same, but still conflated: the broker begins it with its image, whatever the id is.
  const other = await start(t);
  watch(other.made, "s", { conflate_ms: 100 });
  await other.fake.begin({ ...state, seq: 3, start: "image" });
  other.fake.send(image(3, "s"), position("60"));
  await other.fake.heard(other.made);
  await lose(other.fake, other.made);
  assert.equal((await other.fake.next("subscribe")).resume, "60");
  assert.deepEqual(made.errors, []);
});

test("a state that was conflated by its name lacks updates when its pattern resumes: it is asked for, without an error", async (t) => {
  const { fake, made } = await start(t);
  const pattern = watch(made, "p.*"), name = watch(made, "p.s", { conflate_ms: 100 });
  await fake.begin({}, 1);
  fake.send(row("p.s", { ...state, seq: 3, start: "image" }), image(3, "p.s"));
  await fake.begin({ ...state, seq: 3, start: "image" });
  fake.send(image(3, "p.s"), position("50"));
  await pattern.came("image p.s 3");
  fake.send({ ...update(9, "p.s"), from: 4 }, position("60"));
  await pattern.came("update p.s 9");
  fake.close(1011, "");
  await until(() => made.state === "stale", "stale");
  name.subscription.unsubscribe();
  await event(made, "open");
  const request = await fake.next("subscribe");
  assert.deepEqual([request.topics, request.resume], [["p.*"], "60"]);
  fake.answer(request, {}, 1);
  // The id covers update 12, whose conflated state had not come.
  fake.send(row("p.s", { ...state, seq: 14, start: "resumed" }), ...updates(13, 14, "p.s"));
  assert.deepEqual(await fake.begin({ ...state, seq: 14, start: "image" }), ["p.s"]);
  fake.send(image(14, "p.s"));
  await pattern.came("image p.s 14");
  assert.deepEqual((await fake.next("unsubscribe")).topics, ["p.s"]);
  assert.deepEqual([pattern.subscription.state("p.s"), made.errors], [14, []]);
});

test("a restarted broker: all earlier topics have ended, and the existing ones come whole", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, ["t", "p.*"]);
  await fake.begin({ ...events, seq: 3, start: "live" }, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"), position("100"));
  await seen.came("update p.a 2");
  await lose(fake, made);
  const { id } = await fake.next("subscribe");
  fake.send({ op: "subscribed", id, errors: [], topics: [row("t", { kind: null, epoch: null, seq: 0, start: "live" })], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }] });
  fake.send(row("p.b", { epoch: "f", seq: 1, start: "history" }), update(1, "p.b"), { op: "ready", id });
  await seen.came("closed p.a");
  assert.deepEqual(seen.brief().slice(3), ["closed t", "topic t live", "topic p.b history", "update p.b 1", "closed p.a"]);
  assert.deepEqual(made.errors, []);
});

test("an older broker refuses fields that it does not know, and is asked without them", async (t) => {
  const { fake, made } = await start(t, { isOld: true });
  const seen = watch(made, ["t", "p.*"]);
  const request = await fake.next("subscribe");
  assert.deepEqual([request.topics, Object.keys(request).sort()], [["t", "p.*"], ["conflate_ms", "from", "id", "on_slow", "op", "topics"]]);
  fake.answer(request, { ...events, seq: 3, start: "live" }, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"));
  await seen.came("update p.a 2");
  await seen.subscription.ready();
  await lose(fake, made);
  const names = await fake.next("subscribe"), patterns = await fake.next("subscribe");
  assert.deepEqual([names.topics, patterns.topics], [[{ topic: "t", epoch: "e", seq: 3 }, { topic: "p.a", epoch: "e", seq: 2 }], ["p.*"]]);
  assert.deepEqual(made.errors, []);
  // A real error is still reported.
  const wrong = watch(made, "w", { from: "yesterday" });
  const refused = await fake.next("subscribe");
  fake.send({ op: "error", id: refused.id, code: "bad_request", message: "from is not yesterday", retry: false });
  await until(() => wrong.messages.length === 1, "the refusal");
  assert.equal(made.errors[0].message, "w: from is not yesterday");
});

test("from a WebSocket to Server-Sent Events and back, it resumes from the last id", async (t) => {
  const sse = await SseBroker.start(t);
  const fake = await Fake.start(t, { within: sse });
  const made = client(t, sse.url, { websocket_again_ms: 200 }), closes = record(made, "close");
  await event(made, "open");
  const seen = watch(made, ["t", "p.*"]);
  await fake.begin({ ...events, seq: 3, start: "live" }, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), position("70"), update(2, "p.a"), update(4));
  await seen.came("update t 4");
  const late = watch(made, "late");
  await fake.begin({ ...state, seq: 1, start: "image" });
  fake.send(image(1, "late"));
  await late.came("image late 1");
  // The network blocks WebSockets now.
  sse.fake = null;
  fake.close(1011, "");
  await until(() => made.transport === "sse", "Server-Sent Events");
  await until(() => sse.open.length === 2, "two streams");
  // Entries without an id come whole, and what the client has of them is dropped.
  assert.deepEqual(sse.asked, [["t,p.*", "70"], ["late", "0"]]);
  sse.id = null;
  const main = await sse.begin(["t", "p.*"], { ...events, seq: 5, start: "resumed" });
  sse.to(main, update(4), update(5), row("p.a", { seq: 3, start: "resumed" }), update(2, "p.a"), update(3, "p.a"));
  const second = await sse.begin(["late"], { ...state, seq: 2, start: "image" });
  sse.to(second, image(2, "late"));
  await seen.came("update p.a 3");
  await late.came("image late 2");
  sse.id = 80;
  sse.to(main, update(6));
  // Nothing says which of two streams is read first.
  await seen.came("update t 6");
  sse.id = 90;
  sse.to(second, update(3, "late"));
  await until(() => sse.of(["t", "p.*", "late"]), "one stream for all");
  assert.deepEqual(sse.asked.at(-1), ["t,p.*,late", "80"]);
  sse.fake = fake;
  await until(() => made.transport === "websocket", "a WebSocket");
  const request = await fake.next("subscribe");
  assert.deepEqual([request.topics, request.resume], [["t", "late", "p.*"], "80"]);
  fake.send({ op: "subscribed", id: request.id, errors: [], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }],
    topics: [row("t", { seq: 7, start: "resumed" }), row("late", { ...state, seq: 3, start: "resumed" })] });
  fake.send(update(3, "late"), update(7), row("p.a", { seq: 3, start: "resumed" }), { op: "ready", id: request.id });
  await seen.came("update t 7");
  assert.deepEqual([seen.data("t"), seen.data("p.a"), late.data("late")], [numbers(4, 7), [2, 3], [3]]);
  assert.deepEqual([made.errors, closes.filter(([, { code }]) => code === 1011).length], [[], 1]);
});
