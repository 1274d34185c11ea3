/** What is not allowed, or not allowed any more, ends by itself and not the client; and rates are respected. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, until } from "./support/wait.js";

const state = { kind: "state", epoch: "e", seq: 3, start: "image" };
const start = (topic, more) => ({ op: "topic", topic, oldest: 1, conflate_ms: 0, ...state, ...more });
const image = (topic, seq) => ({ op: "image", topic, epoch: "e", seq, ts: 1, data: seq });
const update = (topic, seq) => ({ op: "update", topic, epoch: "e", seq, ts: 1, data: seq });
const forbidden = (what) => ({ op: "error", ...what, code: "forbidden", message: "it is not allowed", retry: false });

test("an entry that is not allowed any more ends with an error; the others go on", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url);
  const seen = watch(made, ["gone", "stays", "p.*"]);
  await fake.begin(state, 2);
  fake.send(start("p.a"), ...["gone", "stays", "p.a"].map((topic) => image(topic, 3)));
  await seen.came("image p.a 3");
  fake.send(forbidden({ topic: "gone" }), forbidden({ pattern: "p.*" }), { op: "authenticated", sub: "a", expires_ts: null, allow: { sub: ["stays"], pub: [], deny: [] } });
  fake.send(update("stays", 4));
  await seen.came("update stays 4");
  assert.deepEqual(seen.brief().slice(-3), ["error gone", "error p.*", "update stays 4"]);
  assert.deepEqual(made.errors.map(({ code, topic, retry }) => [code, topic, retry]), [["forbidden", "gone", false], ["forbidden", "p.*", false]]);
  // What was known of it is not shown any more.
  const { subscription } = seen;
  assert.deepEqual([subscription.state("gone"), subscription.state("p.a"), subscription.state("stays"), made.state], [undefined, undefined, 4, "open"]);
  // It is not asked for again.
  fake.close(1011, "again");
  await event(made, "open");
  assert.deepEqual((await fake.next("subscribe")).topics.map((entry) => entry.topic ?? entry), ["stays"]);
});

test("a topic that a deny takes out of a pattern ends; the pattern stays, and brings it in again when it may", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url);
  const seen = watch(made, "p.*");
  await fake.begin(state, 2);
  fake.send(start("p.a"), start("p.b"), image("p.a", 3), image("p.b", 3));
  await seen.came("image p.b 3");
  fake.send(forbidden({ topic: "p.a" }), update("p.b", 4));
  await seen.came("update p.b 4");
  assert.deepEqual([seen.subscription.state("p.a"), seen.subscription.state("p.b"), made.errors.map(({ topic }) => topic)], [undefined, 4, ["p.a"]]);
  const at = seen.messages.length;
  fake.send(start("p.a", { seq: 5 }), image("p.a", 5), update("p.a", 6));
  await seen.came("update p.a 6");
  assert.deepEqual(seen.brief().slice(at), ["topic p.a image", "image p.a 5", "update p.a 6"]);
  assert.equal(seen.subscription.state("p.a"), 6);
});

test("a name and a pattern that cover the same topic both end where it is forbidden", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url);
  const named = watch(made, "p.a"), pattern = watch(made, "p.*");
  while (fake.received.filter(({ op }) => op === "subscribe").length < 2) await new Promise((next) => setTimeout(next));
  await fake.begin(state);
  await fake.begin(state, 1);
  fake.send(image("p.a", 3));
  await pattern.came("image p.a 3");
  fake.send(forbidden({ topic: "p.a" }));
  await named.came("error p.a");
  assert.deepEqual([named.subscription.state("p.a"), pattern.subscription.state("p.a")], [undefined, undefined]);
});

test("over Server-Sent Events a forbidden name or pattern is found out, and the others come", async (t) => {
  const broker = await SseBroker.start(t);
  broker.denied = ["no", "no.>"];
  const made = await connected(t, broker.url, { transports: ["sse"] });
  const seen = watch(made, ["no", "yes", "no.>", "yes.*"]);
  await broker.begin(["yes", "yes.*"], state);
  broker.send(image("yes", 3));
  await seen.came("image yes 3");
  assert.deepEqual(seen.messages.filter(({ op }) => op === "error").map(({ topic, code, retry }) => [topic, code, retry]), [["no", "forbidden", false], ["no.>", "forbidden", false]]);
  assert.deepEqual([made.state, made.errors.length], ["open", 2]);
  // Later, by a message on the stream: an entry, and a topic of a pattern that stays.
  broker.send(start("yes.a"), image("yes.a", 3));
  await seen.came("image yes.a 3");
  broker.send(forbidden({ topic: "yes.a" }), forbidden({ topic: "yes" }));
  await seen.came("error yes");
  broker.send(start("yes.b"), image("yes.b", 3));
  await seen.came("image yes.b 3");
  assert.deepEqual([seen.subscription.state("yes"), seen.subscription.state("yes.a"), made.state], [undefined, undefined, "open"]);
});

test("over Server-Sent Events forbidden patterns are found out although few may be asked about at a time", async (t) => {
  const broker = await SseBroker.start(t);
  const allowed = Array.from({ length: 10 }, (_, number) => `yes.${number}.>`), denied = ["no.>", "not.>"];
  [broker.denied, broker.questions_max] = [denied, 3];
  const made = await connected(t, broker.url, { transports: ["sse"], reconnect_first_ms: 1, reconnect_max_ms: 2 });
  const seen = watch(made, [...allowed, ...denied]);
  const stream = await broker.begin(allowed, state);
  broker.to(stream, start("yes.1.a"), image("yes.1.a", 3));
  await seen.came("image yes.1.a 3");
  assert.deepEqual(seen.messages.filter(({ op }) => op === "error").map(({ topic, code }) => [topic, code]).sort(), [["no.>", "forbidden"], ["not.>", "forbidden"]]);
});

test("publishing: the broker's refusals by HTTP have their codes and waits", async (t) => {
  const broker = await SseBroker.start(t), made = await connected(t, broker.url, { transports: ["sse"] });
  for (const [answer, expected] of [
    [[403, {}, { error: { code: "forbidden", message: "not yours" } }], ["forbidden", false, undefined]],
    [[429, { "Retry-After": "2" }, { error: { code: "rate_limited", message: "slowly" } }], ["rate_limited", true, 2_000]],
  ]) {
    broker.next.POST = answer;
    const error = await made.publish("a", 1).catch((failed) => failed);
    assert.deepEqual([error.code, error.retry, error.retry_ms], expected);
  }
  assert.equal(made.state, "open");
});

test("publishing over a WebSocket: a rate is told with its wait, and the update is not sent again by itself", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url);
  const published = made.publish("a", 1, { source: "s", source_seq: 1 }).catch((failed) => failed);
  const { id } = await fake.next("publish");
  fake.send({ op: "error", id, code: "rate_limited", message: "slowly", retry: true, retry_ms: 240 });
  const { code, retry, retry_ms } = await published;
  assert.deepEqual([code, retry, retry_ms], ["rate_limited", true, 240]);
  // It might overtake a newer one.
  await fake.heard(made);
  assert.deepEqual(fake.received, []);
});

test("a subscription over a rate is asked for again after the wait that the broker asks for, whatever else waits", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url, { reconnect_first_ms: 10, reconnect_max_ms: 20 });
  watch(made, "full");
  const first = await fake.next("subscribe");
  watch(made, "rate");
  const second = await fake.next("subscribe"), since = performance.now();
  fake.send({ op: "subscribed", id: first.id, topics: [], patterns: [], errors: [{ topic: "full", code: "limit", message: "no room", retry: true }] });
  fake.send({ op: "error", id: second.id, code: "rate_limited", message: "slowly", retry: true, retry_ms: 300 });
  assert.deepEqual((await fake.next("subscribe")).topics, ["full", "rate"]);
  assert.ok(performance.now() - since >= 300, `asked again after ${performance.now() - since} ms`);
});

test("connecting: 429 is tried again after Retry-After, and 403 is final", async (t) => {
  const broker = await SseBroker.start(t);
  broker.next.GET = [429, { "Retry-After": "1" }, { error: { code: "rate_limited", message: "too many connects" } }];
  const made = client(t, broker.url, { transports: ["sse"], random: () => 0 });
  const { code, delay_ms, reconnect } = await event(made, "close");
  assert.deepEqual([code, delay_ms, reconnect], [4029, 1_000, true]);
  await event(made, "open");
  made.close();
  broker.next.GET = [403, {}, { error: { code: "forbidden", message: "the origin is foreign" } }];
  const other = client(t, broker.url, { transports: ["sse"] });
  await until(() => other.state === "closed", "the end");
  assert.deepEqual(other.errors.map((error) => error.code), ["closed"]);
});

test("goaway because of a rate is waited for", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url, { random: () => 0 });
  const closed = event(made, "close");
  fake.send({ op: "goaway", reason: "rate_limited", after_ms: 5_000 });
  fake.close(4029, "too many requests");
  assert.equal((await closed).delay_ms, 5_000);
});
