/** Entries that the broker refuses for now are asked for again; entries that it refuses for good are not. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, until } from "./support/wait.js";

const events = { kind: "event", epoch: "e", seq: 3, start: "live" };
const row = (topic, more) => ({ op: "topic", topic, kind: "event", epoch: "e", seq: 0, oldest: 1, start: "live", conflate_ms: 0, ...more });
const update = (topic, seq) => ({ op: "update", topic, epoch: "e", seq, ts: 1, data: seq });
const error = (topic, more) => ({ topic, code: "limit", message: "no room", retry: true, ...more });

async function start(t, options) {
  const fake = await Fake.start(t);
  return { fake, made: await connected(t, fake.url, { transports: ["websocket"], ...options }) };
}

/** Answers the next `subscribe`: these are refused, the others begin. */
async function refuse(fake, ...errors) {
  const { id, topics, ...options } = await fake.next("subscribe");
  const texts = topics.map((entry) => entry.topic ?? entry), others = texts.filter((text) => !errors.some(({ topic }) => topic === text));
  fake.send({ op: "subscribed", id, topics: others.map((topic) => row(topic, events)), patterns: [], errors });
  return { topics: texts, ...options };
}

test("an entry refused for now is reported once, and asked for again until it is accepted", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, ["full", "good"], { conflate_ms: 100 });
  let ready = "not yet";
  seen.subscription.ready().then(() => { ready = "ready"; }, ({ code }) => { ready = code; });
  const first = await refuse(fake, error("full"));
  assert.deepEqual(first.topics, ["full", "good"]);
  await seen.came("error full");
  for (let tries = 0; tries < 4; tries += 1) {
    const again = await refuse(fake, error("full"));
    assert.deepEqual([again.topics, again.conflate_ms], [["full"], 100]);
  }
  const { id } = await fake.next("subscribe");
  fake.answer({ id, topics: ["full"], conflate_ms: 100 }, events);
  fake.send(update("full", 4), { op: "ready", id });
  await seen.came("update full 4");
  assert.deepEqual(seen.brief().filter((text) => text.endsWith("full") || text.includes("full ")), ["error full", "topic full live", "update full 4"]);
  assert.deepEqual(made.errors.map(({ code, topic, retry }) => [code, topic, retry]), [["limit", "full", true]]);
  assert.equal(ready, "not yet", "good has not begun");
  // It was accepted, so another refusal is reported again, and the wait is short again.
  fake.close(1011, "");
  await event(made, "open");
  await refuse(fake, error("full"), error("good"));
  await until(() => made.errors.length === 3, "both refusals");
  const both = await fake.next("subscribe");
  assert.deepEqual(both.topics.map(({ topic, seq }) => [topic, seq]), [["full", 4], ["good", 3]]);
  made.close();
  await until(() => ready === "closed", "the end");
});

test("the waits double up to a bound, and are never shorter than the broker asks for", async (t) => {
  // Without the random part, a wait is half of its bound.
  const options = { reconnect_first_ms: 40, reconnect_max_ms: 160, random: () => 0 };
  const { fake, made } = await start(t, options);
  watch(made, "full");
  await refuse(fake, error("full"));
  for (const least of [20, 40, 80, 80]) {
    const since = performance.now();
    await refuse(fake, error("full"));
    assert.ok(performance.now() - since >= least - 5, `asked again after ${performance.now() - since} ms, not ${least}`);
  }
  const asked = await fake.next("subscribe"), since = performance.now();
  fake.send({ op: "error", id: asked.id, code: "rate_limited", message: "slowly", retry: true, retry_ms: 300 });
  const { topics } = await fake.next("subscribe");
  assert.ok(performance.now() - since >= 300, `asked again after ${performance.now() - since} ms`);
  assert.deepEqual([topics, made.errors.map(({ code }) => code)], [["full"], ["limit", "rate_limited"]]);
});

test("an entry refused for good is reported and never asked for again, even if it was refused for now before", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, ["wrong", "full"]);
  await refuse(fake, error("wrong", { code: "forbidden", retry: false }), error("full"));
  const again = await refuse(fake, error("full", { code: "forbidden", retry: false }));
  assert.deepEqual(again.topics, ["full"]);
  await assert.rejects(seen.subscription.ready(), { code: "forbidden" });
  assert.deepEqual(made.errors.map(({ code, topic }) => [code, topic]), [["forbidden", "wrong"], ["limit", "full"], ["forbidden", "full"]]);
  // Later requests do not contain it.
  watch(made, "other");
  assert.deepEqual((await refuse(fake, error("other"))).topics, ["other"]);
  assert.deepEqual((await refuse(fake)).topics, ["other"]);
});

test("an entry that is left while it waits is not asked for again, nor unsubscribed at a broker that never had it", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, "full"), other = watch(made, "other");
  await refuse(fake, error("full"));
  await refuse(fake, error("other"));
  await until(() => made.errors.length === 2, "both refusals");
  seen.subscription.unsubscribe();
  const again = await refuse(fake);
  assert.deepEqual(again.topics, ["other"]);
  await other.came("topic other live");
  other.subscription.unsubscribe();
  assert.deepEqual((await fake.next("unsubscribe")).topics, ["other"]);
  await fake.heard(made);
  assert.deepEqual(fake.received, []);
});

test("other options for a running stream are refused for now: it continues, and they are asked for again", async (t) => {
  const { fake, made } = await start(t);
  const one = watch(made, "t");
  await refuse(fake);
  await one.came("topic t live");
  const two = watch(made, "t", { from: { last: 3 } });
  await refuse(fake, error("t"));
  await two.came("error t");
  fake.send(update("t", 4));
  await one.came("update t 4");
  assert.deepEqual([one.brief(), two.brief()], [["topic t live", "update t 4"], ["error t"]]);
  const again = await fake.next("subscribe");
  fake.answer(again, { ...events, seq: 4, start: "resumed" });
  fake.send(update("t", 2), update("t", 3), update("t", 4), update("t", 5));
  await two.came("update t 5");
  assert.deepEqual([one.data("t"), two.data("t")], [[4, 5], [2, 3, 4, 5]]);
});

test("a real broker whose memory for names is full accepts them when there is room", async (t) => {
  const broker = await Broker.start(t, ["--names-waited-bytes-max", "65536"]);
  const made = await connected(t, broker.url), other = await connected(t, broker.url);
  const names = Array.from({ length: 600 }, (_, index) => `waits.for.a.name.${index}`);
  const hoard = watch(other, names);
  await until(() => other.errors.length > 0, "the first refusal");
  const seen = watch(made, "another.name");
  await seen.came("error another.name");
  assert.deepEqual([seen.messages[0].code, seen.messages[0].retry], ["limit", true]);
  hoard.subscription.unsubscribe();
  await seen.came("topic another.name live");
  await broker.publish("another.name", "event", 1);
  await seen.came("update another.name 1");
  assert.equal(made.errors.length, 1);
});

test("the same over Server-Sent Events", async (t) => {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url, { transports: ["sse"] });
  const seen = watch(made, ["full", "good"]);
  const stream = (topics) => until(() => broker.of(topics), `a stream of ${topics}`);
  broker.to(await stream(["full", "good"]), { op: "subscribed", topics: [row("good", events)], patterns: [], errors: [error("full")] }, { op: "ready" });
  await seen.came("error full");
  broker.to(await stream(["full"]), { op: "subscribed", topics: [row("full", events)], patterns: [], errors: [] }, { op: "ready" }, update("full", 4));
  await seen.came("update full 4");
  assert.deepEqual(made.errors.map(({ code, topic }) => [code, topic]), [["limit", "full"]]);
});
