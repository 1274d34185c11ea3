/** `ready()`: when all of a subscription has begun. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, until } from "./support/wait.js";

const image = (topic, seq) => ({ op: "image", topic, epoch: "e", seq, ts: 1, data: seq });
const row = (topic, more) => ({ op: "topic", topic, kind: "state", epoch: "e", seq: 1, oldest: 1, start: "image", conflate_ms: 0, ...more });
const state = { kind: "state", epoch: "e", seq: 3, start: "image" };

/** The result of a promise, or `null` if it is not settled yet. */
function outcome(promise) {
  const seen = { value: null };
  promise.then(() => { seen.value = "ready"; }, (error) => { seen.value = error.code; });
  return seen;
}

async function start(t, options) {
  const fake = await Fake.start(t, options);
  return { fake, made: await connected(t, fake.url, { transports: ["websocket"] }) };
}

test("it is ready when all existing topics have come, again after each connection, and for subscriptions that join", async (t) => {
  const { fake, made } = await start(t);
  const seen = watch(made, ["t", "p.*"]), first = outcome(seen.subscription.ready());
  const { id, ready } = await fake.next("subscribe");
  assert.equal(ready, true);
  fake.send({ op: "subscribed", id, errors: [], topics: [row("t", { seq: 3 })], patterns: [{ pattern: "p.*", matched: 1, conflate_ms: 0 }] });
  fake.send(image("t", 3), row("p.a"));
  await seen.came("topic p.a image");
  assert.equal(first.value, null);
  fake.send(image("p.a", 1), { op: "ready", id });
  await until(() => first.value, "ready");
  assert.deepEqual([first.value, seen.subscription.state("p.a")], ["ready", 1]);
  await seen.subscription.ready();
  await made.subscribe("t").ready();
  // If something more is asked for, it is ready when that has begun too.
  const joined = outcome(made.subscribe(["t", "u"]).ready());
  const more = await fake.next("subscribe");
  fake.answer(more, state);
  fake.send(image("u", 3));
  await fake.heard(made);
  assert.equal(joined.value, null);
  fake.send({ op: "ready", id: more.id });
  await until(() => joined.value === "ready", "ready");

  fake.close(1011, "");
  await event(made, "open");
  const again = outcome(seen.subscription.ready()), names = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  for (const request of [names, pattern]) fake.answer(request, { ...state, start: "resumed" }, 1);
  fake.send({ op: "ready", id: names.id });
  await fake.heard(made);
  assert.equal(again.value, null);
  fake.send({ op: "ready", id: pattern.id });
  await until(() => again.value === "ready", "ready again");
  assert.deepEqual(made.errors, []);
});

test("it is never ready if it ends before that, or if nothing of it is left", async (t) => {
  const { fake, made } = await start(t);
  const left = made.subscribe("left"), leaving = outcome(left.ready());
  left.unsubscribe();
  await until(() => leaving.value, "the rejection");
  assert.equal(leaving.value, "closed");
  await assert.rejects(left.ready(), { code: "closed" });
  await fake.next("subscribe");
  const refused = made.subscribe(["a..b", "a.*b"]), refusing = outcome(refused.ready()), partly = made.subscribe(["a..c", "good"]);
  const wrong = await fake.next("subscribe"), mixed = await fake.next("subscribe");
  const error = (topic) => ({ topic, code: "bad_topic", message: "segment 2 is empty", retry: false });
  fake.send({ op: "subscribed", id: wrong.id, topics: [], patterns: [], errors: wrong.topics.map(error) }, { op: "ready", id: wrong.id });
  fake.send({ op: "subscribed", id: mixed.id, topics: [row("good")], patterns: [], errors: [error("a..c")] }, image("good", 1), { op: "ready", id: mixed.id });
  await until(() => refusing.value, "the refusal");
  assert.equal(refusing.value, "bad_topic");
  await assert.rejects(refused.ready(), { code: "bad_topic", topic: "a.*b", retry: false });
  await partly.ready();
  const waiting = outcome(made.subscribe("waits").ready());
  made.close();
  await until(() => waiting.value, "the end");
  assert.equal(waiting.value, "closed");
});

test("a request that another one has replaced does not make it ready", async (t) => {
  const { fake, made } = await start(t);
  const first = made.subscribe("t"), one = await fake.next("subscribe");
  fake.answer(one, state);
  const second = made.subscribe("t", { on_slow: "retain" }), two = await fake.next("subscribe");
  const both = [outcome(first.ready()), outcome(second.ready())];
  fake.send({ op: "ready", id: one.id });
  fake.answer(two, state);
  fake.send(image("t", 3));
  await until(() => second.state("t") === 3, "the image");
  assert.deepEqual(both.map(({ value }) => value), [null, null]);
  fake.send({ op: "ready", id: two.id });
  await until(() => both.every(({ value }) => value === "ready"), "ready");
});

test("with an older broker it is ready when the broker has answered", async (t) => {
  const { fake, made } = await start(t, { isOld: true });
  const seen = outcome(made.subscribe("t").ready());
  await fake.begin(state);
  await until(() => seen.value === "ready", "ready");
});

test("over Server-Sent Events the broker sends ready as well, and an older broker's first id means the same", async (t) => {
  for (const isOld of [false, true]) {
    const broker = await SseBroker.start(t, { isOld });
    const made = await connected(t, broker.url, { transports: ["sse"] });
    broker.id = null;
    const seen = watch(made, ["t", "p.*"], { on_slow: "retain" }), ready = outcome(seen.subscription.ready());
    const stream = await broker.begin(["t", "p.*"], state);
    assert.deepEqual([stream.ready, stream.on_slow], isOld ? [undefined, null] : ["true", "retain"]);
    broker.to(stream, image("t", 3), row("p.a"));
    await seen.came("topic p.a image");
    assert.equal(ready.value, null);
    broker.to(stream, image("p.a", 1));
    if (isOld) broker.write("id: 7\n\n", stream);
    else broker.to(stream, { op: "ready" });
    await until(() => ready.value === "ready", "ready");
    assert.deepEqual([seen.subscription.state("p.a"), made.errors], [1, []]);
  }
});

test("if an older broker refuses several streams at once, each is asked for without the new parameters", async (t) => {
  const broker = await SseBroker.start(t, { isOld: true });
  const made = await connected(t, broker.url, { transports: ["sse"] });
  const seen = [];
  for (const name of ["a", "b", "c"]) {
    seen.push(watch(made, name));
    // Each is a stream of its own.
    await new Promise((next) => setTimeout(next));
  }
  for (const name of ["a", "b", "c"]) await broker.begin([name], state);
  for (const one of seen) await one.came(`topic ${one.subscription.entries} image`);
  assert.deepEqual([made.state, made.errors], ["open", []]);
});

test("a subscription that waits for the connection is ready after there is one", async (t) => {
  const fake = await Fake.start(t, { greets: false });
  const made = client(t, fake.url, { transports: ["websocket"], connect_timeout_ms: 50 });
  const ready = outcome(made.subscribe("t").ready());
  await event(made, "close");
  assert.equal(ready.value, null);
});
