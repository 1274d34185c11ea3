/** Against a broker that breaks its promises, refuses, or sends what a later version might send. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { event, record, until } from "./support/wait.js";

const update = (seq, more = {}) => ({ op: "update", topic: "t", seq, ts: 1, data: seq, ...more });

test("continuity is checked, and after a breach the topic resumes from the last right position", async (t) => {
  const breaches = [
    ["a missing update", [update(11), update(13)], "update 13 came where 12 was next"],
    ["an update twice", [update(11), update(11)], "update 11 came where 12 was next"],
    ["two in the wrong order", [update(12), update(11)], "update 12 came where 11 was next"],
    ["a conflated one that does not connect", [update(11), update(15, { from: 13 })], "update 13 to 15 came where 12 was next"],
    ["a gap that leaves one out", [{ op: "gap", topic: "t", from: 12, to: 14, reason: "slow" }], "gap 12 to 14 came where 11 was next"],
  ];
  for (const [name, messages, said] of breaches) {
    for (const kind of ["event", "state"]) {
      const fake = await Fake.start(t);
      const made = await connected(t, fake.url);
      const seen = watch(made, "t");
      await fake.begin({ kind, epoch: "e", seq: 10, start: "live" });
      // Messages that still come until the topic begins anew are neither delivered nor another breach.
      fake.send(...messages, update(99));
      await until(() => made.errors.length > 0, name);
      const [error] = made.errors;
      assert.deepEqual([error.code, error.topic, error.epoch, error.message], ["continuity", "t", "e", `t: ${said}`], name);
      assert.deepEqual(error.received, { ...messages.at(-1 - Number(name === "two in the wrong order")) }, name);
      // Events resume where they were; for states the image contains everything.
      const [entry] = await fake.begin(kind === "event"
        ? { kind, epoch: "e", seq: 20, start: "resumed" } : { kind, epoch: "e", seq: 20, start: "image" });
      const { position } = error;
      assert.deepEqual(entry, kind === "event" ? { topic: "t", ...position } : "t", name);
      if (kind === "event") {
        fake.send(update(position.seq + 1));
        await until(() => seen.data("t").includes(position.seq + 1), `${name}: the next event`);
        assert.deepEqual(seen.data("t"), [...new Set(seen.data("t"))], `${name}: nothing comes twice`);
      } else {
        fake.send({ op: "image", topic: "t", epoch: "e", seq: 20, ts: 1, data: "image" }, update(21));
        await seen.came("update t 21");
        assert.equal(seen.subscription.state("t"), 21);
      }
      assert.equal(made.errors.length, 1, name);
      assert.equal(made.state, "open");
    }
  }
});

test("a message of a topic that ended is a breach, and no state of it is shown", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  const seen = watch(made, "t");
  await fake.begin({ kind: "state", epoch: "e", seq: 10, start: "live" });
  fake.send(update(11), { op: "closed", topic: "t" }, update(12));
  await until(() => made.errors.length > 0, "the breach");
  assert.equal(made.errors[0].message, "t: update came of a topic that has not begun, or that ended");
  await fake.begin({ kind: null, epoch: null, seq: 0, start: "live" });
  await seen.came("topic t live");
  assert.deepEqual([seen.subscription.state("t"), made.errors.length], [undefined, 1]);
});

test("a topic of a pattern begins anew by its name, which is unsubscribed afterwards", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  const seen = watch(made, "*");
  const { id } = await fake.next("subscribe");
  fake.send({ op: "subscribed", id, topics: [], patterns: [{ pattern: "*", matched: 1, conflate_ms: 0 }], errors: [] });
  fake.send({ op: "topic", topic: "t", kind: "state", epoch: "e", seq: 1, oldest: 1, start: "live", conflate_ms: 0 }, update(3));
  await fake.begin({ kind: "state", epoch: "e", seq: 3, start: "image" });
  assert.deepEqual((await fake.next("unsubscribe")).topics, ["t"]);
  fake.send({ op: "image", topic: "t", epoch: "e", seq: 3, ts: 1, data: 3 }, update(4));
  await seen.came("update t 4");
});

test("a broker that keeps breaking its promise loses the connection", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  watch(made, "t");
  const closed = event(made, "close");
  for (let breach = 0; breach < 6; breach += 1) {
    await fake.begin({ kind: "event", epoch: "e", seq: 10, start: breach === 0 ? "live" : "resumed" });
    fake.send(update(99));
  }
  assert.match((await closed).reason, /6 breaches of continuity/);
  await event(made, "open");
});

test("an answer full of breaches loses the connection, once", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  const names = [..."abcdefgh"];
  watch(made, names);
  const closes = record(made, "close");
  const row = (topic) => ({ topic, kind: "event", epoch: "e", seq: 10, oldest: 1, start: "resumed", conflate_ms: 0 });
  const { id } = await fake.next("subscribe");
  fake.send({ op: "subscribed", id, topics: names.map(row), patterns: [], errors: [] });
  await event(made, "open");
  assert.deepEqual(closes.map(([, { reason }]) => reason), ["6 breaches of continuity"]);
  assert.equal(made.errors.length, 6);
  // Before that, the first five each by itself; then all of them, on the next connection.
  const asked = [];
  while (asked.length < 6) asked.push((await fake.next("subscribe")).topics.map((entry) => entry.topic ?? entry));
  assert.deepEqual(asked, [...names.slice(0, 5).map((name) => [name]), names]);
});

test("the table of close codes", async (t) => {
  const again = [1000, 1001, 1011, 1012, 3000, 4008, 4009, 4999], never = [1002, 1003, 1007, 1009, 4001, 4003];
  for (const code of [...again, ...never]) {
    const fake = await Fake.start(t);
    const made = await connected(t, fake.url);
    const reader = made.subscribe("t")[Symbol.asyncIterator]();
    const ended = reader.next().catch((error) => error.code);
    const closed = event(made, "close");
    fake.close(code, "because");
    const said = await closed;
    assert.deepEqual([said.code, said.reason, said.reconnect], [code, "because", again.includes(code)]);
    if (again.includes(code)) {
      await event(made, "open");
    } else {
      assert.deepEqual([made.state, said.delay_ms, await ended, made.errors.map((error) => error.code)], ["closed", null, "closed", ["closed"]]);
      assert.match(made.errors[0].message, new RegExp(`closed the connection with ${code}: because`));
    }
  }
});

test("too many connections: not before the longest wait", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url, { reconnect_max_ms: 60_000, random: () => 0 });
  const closed = event(made, "close");
  fake.close(4029, "full");
  assert.equal((await closed).delay_ms, 60_000);
});

test("a token is sent first, and the function is called again when the broker wants another", async (t) => {
  const fake = await Fake.start(t, { auth: "required" });
  let asked = 0;
  const made = await connected(t, fake.url, { token: async () => `token ${++asked}` });
  watch(made, "t");
  assert.equal((await fake.next("auth")).token, "token 1");
  fake.close(4001, "expired");
  await event(made, "open");
  assert.equal((await fake.next("auth")).token, "token 2");
});

test("waits are random below a bound that doubles up to the longest wait", async (t) => {
  const fake = await Fake.start(t);
  for (const chance of [0, 0.5, 1]) {
    const made = await connected(t, fake.url, { reconnect_first_ms: 4, reconnect_max_ms: 20, random: () => chance });
    const waits = [];
    while (waits.length < 5) {
      const closed = event(made, "close");
      fake.close(1011, "again");
      waits.push((await closed).delay_ms);
      await event(made, "open");
    }
    assert.deepEqual(waits, [4, 8, 16, 20, 20].map((bound) => bound * chance));
    made.close();
  }
});

test("goaway: the wait that the broker asks for, within reason", async (t) => {
  for (const [after_ms, delay_ms] of [[30_000, 45_000], [10 ** 12, 90_000], [0, 20]]) {
    const fake = await Fake.start(t);
    const made = await connected(t, fake.url, { random: () => 1 });
    const closed = event(made, "close"), told = event(made, "goaway");
    fake.send({ op: "goaway", reason: "shutdown", after_ms });
    assert.deepEqual([(await told).after_ms, made.state], [after_ms, "open"]);
    fake.close(1001, "shutdown");
    assert.equal((await closed).delay_ms, delay_ms);
  }
});

test("a broker that does not send hello is given up", async (t) => {
  const fake = await Fake.start(t, { greets: false });
  const made = client(t, fake.url, { connect_timeout_ms: 50 });
  assert.match((await event(made, "close")).reason, /no hello within 50 ms/);
  await until(() => fake.connections > 1, "another attempt");
  assert.equal(made.state, "connecting");
});

test("a message that is not JSON ends the connection; an unknown message is ignored", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  const seen = watch(made, "t");
  await fake.begin({ kind: "event", epoch: "e", seq: 0, start: "live", colour: "blue" });
  fake.send({ op: "weather", topic: "t", sunny: true }, update(1, { colour: "red" }), update(1, { topic: "other" }), { op: "heartbeat", ts: 1 });
  await seen.came("update t 1");
  assert.deepEqual(made.errors, []);
  const closed = event(made, "close");
  fake.send("{");
  assert.match((await closed).reason, /not JSON/);
  await event(made, "open");
});

test("a topic that begins before its subscription's answer was sent again is resumed once", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url);
  const states = record(made, "statechange");
  const seen = watch(made, "t");
  assert.deepEqual(await fake.begin({ kind: "event", epoch: "e", seq: 5, start: "live" }), ["t"]);
  fake.send(update(6));
  await seen.came("update t 6");
  fake.close(1001, "");
  await event(made, "open");
  assert.deepEqual(await fake.begin({ kind: "event", epoch: "e", seq: 8, start: "resumed" }), [{ topic: "t", epoch: "e", seq: 6 }]);
  fake.send(update(7), update(8));
  await seen.came("update t 8");
  // Another epoch of the topic: everything of it is delivered, with a new start.
  fake.close(1001, "");
  await event(made, "open");
  await fake.begin({ kind: "event", epoch: "f", seq: 3, start: "reset" });
  fake.send({ op: "gap", topic: "t", from: 1, to: 2, reason: "expired" }, update(3));
  await seen.came("update t 3");
  assert.deepEqual(seen.brief(), ["topic t live", "update t 6", "update t 7", "update t 8", "topic t reset", "gap t 1-2 expired", "update t 3"]);
  assert.deepEqual(states.map(([, { state }]) => state), ["stale", "open", "stale", "open"]);
  assert.deepEqual(made.errors, []);
});
