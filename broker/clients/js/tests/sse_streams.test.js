/** The streams that a client opens over Server-Sent Events, against a scripted broker whose ids may be missing. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, watch } from "./support/client.js";
import { SseBroker } from "./support/sse_broker.js";
import { record, until, within } from "./support/wait.js";
import { numbers } from "./support/whole.js";

const update = (topic, seq, more = {}) => ({ op: "update", topic, seq, ts: 1, data: seq, ...more });
const updates = (topic, from, to) => numbers(from, to).map((seq) => update(topic, seq));
const image = (topic, seq) => ({ op: "image", topic, epoch: "e", seq, ts: 1, data: seq });
const events = { kind: "event", epoch: "e" }, state = { kind: "state", epoch: "e" };

async function start(t) {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url, { transports: ["sse"] });
  return { broker, made };
}

test("while ids are missing, later subscriptions still work, and nothing is lost or comes twice", async (t) => {
  const { broker, made } = await start(t);
  const a = watch(made, "a");
  await broker.begin(["a"], { ...events, seq: 3, start: "live" });
  await a.came("topic a live");
  broker.id = null;
  const seen = { a };
  for (const name of ["b", "c"]) {
    seen[name] = watch(made, name);
    await broker.begin([name], { ...events, seq: 0, start: "live" });
    broker.send(update(name, 1));
    await seen[name].came(`update ${name} 1`);
  }
  assert.deepEqual(broker.asked, [["a", null], ["b", null], ["c", null]]);
  // There are as many streams as allowed. Those without an id become one, which begins before everything.
  for (const [round, name] of ["d", "e", "f"].entries()) {
    seen[name] = watch(made, name);
    const had = ["b", "c", "d", "e"].slice(0, 2 + round);
    const again = await broker.begin(had, { ...events, seq: 2 + round, start: "history" });
    assert.equal(again.resume, "0");
    for (const one of had) broker.to(again, ...updates(one, 1, 2 + round));
    for (const one of had) await seen[one].came(`update ${one} ${2 + round}`);
    const fresh = await broker.begin([name], { ...events, seq: 1 + round, start: "live" });
    assert.equal(fresh.resume, null);
    broker.to(fresh, update(name, 2 + round));
    await seen[name].came(`update ${name} ${2 + round}`);
    await until(() => broker.open.length <= 3, "the end of those that became one");
  }
  // The first one continued all the while.
  broker.to(broker.of(["a"]), update("a", 4));
  await a.came("update a 4");
  // When ids come again, they become one. The first one gets its id first: nothing says which of several is read first.
  broker.id = 50;
  broker.to(broker.of(["a"]), update("a", 5));
  await a.came("update a 5");
  for (const stream of broker.open) broker.write("id: 50\n\n", stream);
  await until(() => broker.open.length === 1 && broker.open[0].topics.length === 6, "one stream");
  assert.equal(broker.open[0].resume, "50");
  assert.deepEqual(Object.values(seen).map((one) => [one.data(one.subscription.entries[0]), one.brief().filter((line) => line.startsWith("topic")).length]),
    [[[4, 5], 1], [numbers(1, 4), 1], [numbers(1, 4), 1], [numbers(2, 4), 1], [[3, 4], 1], [[4], 1]]);
  assert.deepEqual([made.errors, made.state], [[], "open"]);
});

test("an entry that is no longer conflated begins before everything, because an id may cover more than came", async (t) => {
  const { broker, made } = await start(t);
  const slow = watch(made, "s", { conflate_ms: 100 });
  const first = await broker.begin(["s"], { ...state, seq: 3, start: "image" });
  assert.equal(first.conflate_ms, "100");
  // The id covers update 5, whose interval's state has not come.
  broker.to(first, image("s", 3));
  await slow.came("image s 3");
  const fast = watch(made, "s");
  await until(() => broker.streams.length === 2, "another stream");
  const again = await broker.begin(["s"], { ...state, seq: 6, start: "image" });
  assert.deepEqual([again.conflate_ms, again.resume], [null, "0"]);
  broker.to(again, image("s", 6), update("s", 7));
  for (const one of [slow, fast]) await one.came("update s 7");
  // Conflated again, it begins with its image, from wherever it resumes.
  fast.subscription.unsubscribe();
  const back = await until(() => broker.streams[2], "another stream");
  assert.deepEqual([back.conflate_ms, back.resume], ["100", "7"]);
  assert.deepEqual(made.errors, []);
});

test("left and joined again while its stream has no id yet: what the old stream brings is dropped", async (t) => {
  const { broker, made } = await start(t);
  broker.id = null;
  const other = watch(made, "other"), first = watch(made, "t");
  const stream = await until(() => broker.of(["other", "t"]), "the stream of both");
  first.subscription.unsubscribe();
  const second = watch(made, "t"), gaps = record(made, "gap");
  const fresh = await until(() => broker.of(["t"]), "a stream of its own");
  broker.to(stream, { op: "subscribed", patterns: [], errors: [], topics: ["other", "t"].map((topic) => ({ topic, oldest: 1, conflate_ms: 0, ...events, seq: 3, start: "live" })) },
    update("t", 4), update("other", 4));
  await other.came("update other 4");
  broker.to(fresh, { op: "subscribed", patterns: [], errors: [], topics: [{ topic: "t", oldest: 1, conflate_ms: 0, ...events, seq: 5, start: "live" }] }, update("t", 6));
  broker.to(stream, update("t", 5), update("t", 6));
  await second.came("update t 6");
  assert.deepEqual([first.messages, second.brief(), gaps, made.errors], [[], ["topic t live", "update t 6"], [], []]);
});

test("the most demanding of several on_slow holds, and another one opens the stream anew", async (t) => {
  const { broker, made } = await start(t);
  watch(made, "t");
  const first = await broker.begin(["t"], { ...events, seq: 3, start: "live" });
  assert.equal(first.on_slow, null);
  watch(made, "t", { on_slow: "retain" });
  const again = await until(() => broker.streams.length === 2 && broker.streams[1], "another stream");
  assert.deepEqual([again.topics, again.on_slow, again.resume], [["t"], "retain", "7"]);
});

test("a name that is left continues by the pattern of the same stream", async (t) => {
  const { broker, made } = await start(t);
  broker.id = null;
  const name = watch(made, "p.a"), pattern = watch(made, "p.*");
  const stream = await until(() => broker.of(["p.a", "p.*"]), "the stream of both");
  name.subscription.unsubscribe();
  broker.to(stream, { op: "subscribed", errors: [], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }],
    topics: [{ topic: "p.a", oldest: 1, conflate_ms: 0, ...state, seq: 3, start: "image" }] }, image("p.a", 3));
  await pattern.came("image p.a 3");
  assert.deepEqual([name.messages, made.errors], [[], []]);
});

test("a ready subscription stays ready, whatever else is asked for", async (t) => {
  const { broker, made } = await start(t);
  const seen = watch(made, "t"), other = watch(made, "u");
  const stream = await broker.begin(["t", "u"], { ...events, seq: 3, start: "live" });
  broker.to(stream, { op: "ready" });
  await seen.subscription.ready();
  const slow = watch(made, "t", { conflate_ms: 100 });
  seen.subscription.unsubscribe();
  await slow.subscription.ready();
  await other.subscription.ready();
  assert.deepEqual([broker.streams.length, made.errors], [1, []]);
});

test("an id of one stream does not hold for topics that come by another one", async (t) => {
  const { broker, made } = await start(t);
  const pattern = watch(made, "p.*"), first = await broker.begin(["p.*"], {});
  broker.to(first, { op: "topic", topic: "p.a", oldest: 1, conflate_ms: 0, ...events, seq: 3, start: "live" });
  broker.id = 20;
  broker.to(first, update("p.a", 4));
  await pattern.came("update p.a 4");
  const name = watch(made, "p.a");
  broker.id = 90;
  const second = await broker.begin(["p.a"], { ...events, seq: 9, start: "live" });
  broker.to(second, update("p.a", 10));
  await until(() => broker.of(["p.*", "p.a"]), "one stream for both");
  assert.deepEqual(broker.asked.at(-1), ["p.*,p.a", "20"]);
  // Lost before it has brought anything: everything resumes from the earlier id.
  broker.streams.at(-1).response.end();
  const again = await until(() => broker.streams.length === 4 && broker.of(["p.*", "p.a"]), "another stream");
  assert.equal(again.resume, "20");
  broker.to(again, { op: "subscribed", errors: [], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }],
    topics: [{ topic: "p.a", oldest: 1, conflate_ms: 0, ...events, seq: 10, start: "resumed" }] }, ...updates("p.a", 5, 10));
  for (const one of [pattern, name]) await one.came("update p.a 10");
  assert.deepEqual([pattern.data("p.a"), name.data("p.a"), made.errors], [numbers(4, 10), numbers(5, 10), []]);
});

test("a name that is left while a pattern's stream is ahead continues by its own stream until both are one, also when it is joined again", async (t) => {
  const { broker, made } = await start(t);
  const name = watch(made, ["p.a", "other"]), first = await broker.begin(["p.a", "other"], { ...events, seq: 3, start: "live" });
  broker.id = null;
  const pattern = watch(made, "p.*"), second = await broker.begin(["p.*"], {});
  broker.to(second, { op: "topic", topic: "p.a", oldest: 1, conflate_ms: 0, ...events, seq: 5, start: "live" }, ...updates("p.a", 6, 8));
  broker.to(first, ...updates("p.a", 4, 6));
  await pattern.came("update p.a 6");
  name.subscription.unsubscribe();
  const other = watch(made, "other"), third = await broker.begin(["other"], { ...events, seq: 3, start: "live" });
  // The pattern's stream has brought more, which was dropped.
  broker.to(second, update("p.a", 9));
  broker.to(first, update("p.a", 7));
  await pattern.came("update p.a 7");
  const again = watch(made, "p.a");
  await again.subscription.ready();
  broker.id = 30;
  broker.to(first, update("p.a", 8));
  await pattern.came("update p.a 8");
  broker.id = 40;
  broker.to(second, update("p.a", 10));
  broker.write("id: 40\n\n", third);
  const all = await until(() => broker.open.length === 1 && broker.open[0], "one stream");
  assert.deepEqual([all.topics, all.resume], [["p.*", "other", "p.a"], "30"]);
  broker.to(all, { op: "subscribed", errors: [], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }],
    topics: ["other", "p.a"].map((topic) => ({ topic, oldest: 1, conflate_ms: 0, ...events, seq: topic === "other" ? 3 : 11, start: "resumed" })) }, ...updates("p.a", 9, 11));
  for (const one of [pattern, again]) await one.came("update p.a 11");
  assert.deepEqual([name.data("p.a"), pattern.data("p.a"), again.data("p.a"), made.errors], [numbers(4, 6), numbers(4, 11), numbers(8, 11), []]);
  assert.deepEqual(other.brief(), ["topic other live"]);
});

test("a topic of a pattern that was left still comes by its stream: those that come to want it get it from where it is", async (t) => {
  for (const wanted of ["p.*", "p.a", "*.a"]) {
    const { broker, made } = await start(t);
    const name = watch(made, "p.b"), pattern = watch(made, "p.*");
    broker.id = null;
    const first = await broker.begin(["p.b", "p.*"], { ...events, seq: 3, start: "live" });
    broker.to(first, { op: "topic", topic: "p.a", oldest: 1, conflate_ms: 0, ...events, seq: 3, start: "live" }, { op: "ready" }, update("p.a", 4));
    await pattern.came("update p.a 4");
    pattern.subscription.unsubscribe();
    const messages = record(made, "message");
    broker.to(first, update("p.a", 5), update("p.b", 4));
    await name.came("update p.b 4");
    // Nobody wants the other one at the moment.
    assert.deepEqual(messages.map(([, { data }]) => data.topic), ["p.b"], wanted);
    const again = watch(made, wanted);
    if (wanted !== "p.*") {
      const second = await broker.begin([wanted], { ...events, seq: 5, start: "live" });
      if (wanted === "*.a") broker.to(second, { op: "topic", topic: "p.a", oldest: 1, conflate_ms: 0, ...events, seq: 5, start: "live" });
      broker.to(second, { op: "ready" });
    }
    await within(again.subscription.ready(), `readiness of ${wanted}`);
    broker.to(first, update("p.a", 6));
    await again.came("update p.a 6");
    assert.deepEqual([again.brief().slice(-2), again.data("p.a"), made.errors], [["topic p.a live", "update p.a 6"], [6], []], wanted);
    made.close();
  }
});
