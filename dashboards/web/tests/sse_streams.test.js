/** Which streams a client opens over Server-Sent Events, against a scripted broker whose ids may be absent. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, watch } from "./support/client.js";
import { SseBroker } from "./support/sse_broker.js";
import { record, until } from "./support/wait.js";
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

test("while ids are absent, what is subscribed later comes all the same, and nothing is lost or comes twice", async (t) => {
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
  // There are as many streams as there may be. Those without an id become one, which begins before everything.
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
    assert.ok(broker.open.length <= 3);
  }
  // The first one went on all the while.
  broker.to(broker.of(["a"]), update("a", 4));
  await a.came("update a 4");
  // And with ids again they become one.
  broker.id = 50;
  for (const stream of broker.open) broker.write("id: 50\n\n", stream);
  await until(() => broker.open.length === 1 && broker.open[0].topics.length === 6, "one stream");
  assert.equal(broker.open[0].resume, "50");
  assert.deepEqual(Object.values(seen).map((one) => [one.data(one.subscription.entries[0]), one.brief().filter((line) => line.startsWith("topic")).length]),
    [[[4], 1], [numbers(1, 4), 1], [numbers(1, 4), 1], [numbers(2, 4), 1], [[3, 4], 1], [[4], 1]]);
  assert.deepEqual([made.errors, made.state], [[], "open"]);
});

test("what was conflated and is no longer begins before everything, as an id may stand for more than came", async (t) => {
  const { broker, made } = await start(t);
  const slow = watch(made, "s", { conflate_ms: 100 });
  const first = await broker.begin(["s"], { ...state, seq: 3, start: "image" });
  assert.equal(first.conflate_ms, "100");
  // The id stands for 5, of which the state of the interval has not come.
  broker.to(first, image("s", 3));
  await slow.came("image s 3");
  const fast = watch(made, "s");
  await until(() => broker.streams.length === 2, "another stream");
  const again = await broker.begin(["s"], { ...state, seq: 6, start: "image" });
  assert.deepEqual([again.conflate_ms, again.resume], [null, "0"]);
  broker.to(again, image("s", 6), update("s", 7));
  for (const one of [slow, fast]) await one.came("update s 7");
  // And back: conflated it begins with its image, from wherever it goes on.
  fast.subscription.unsubscribe();
  const back = await until(() => broker.of(["s"]) !== again && broker.of(["s"]), "another stream");
  assert.deepEqual([back.conflate_ms, back.resume], ["100", "7"]);
  assert.deepEqual(made.errors, []);
});

test("left and joined again while its stream has no id yet: what the old one brings is nobody's", async (t) => {
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

test("of several on_slow the most demanding counts, and another one is a stream anew", async (t) => {
  const { broker, made } = await start(t);
  watch(made, "t");
  const first = await broker.begin(["t"], { ...events, seq: 3, start: "live" });
  assert.equal(first.on_slow, null);
  watch(made, "t", { on_slow: "retain" });
  const again = await until(() => broker.streams.length === 2 && broker.streams[1], "another stream");
  assert.deepEqual([again.topics, again.on_slow, again.resume], [["t"], "retain", "7"]);
});
