/** Topics and patterns that are left and joined again, and joined by several, while updates are in flight. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { record, until } from "./support/wait.js";
import { numbers } from "./support/whole.js";

const update = (seq, topic = "t") => ({ op: "update", topic, seq, ts: 1, data: seq });
const updates = (from, to, topic) => numbers(from, to).map((seq) => update(seq, topic));
const image = (seq, topic = "t") => ({ op: "image", topic, epoch: "e", seq, ts: 1, data: seq });
const row = (topic, more) => ({ op: "topic", topic, kind: "event", epoch: "e", oldest: 1, conflate_ms: 0, ...more });
const events = { kind: "event", epoch: "e" }, state = { kind: "state", epoch: "e" };

async function start(t, options) {
  const fake = await Fake.start(t, options);
  return { fake, made: await connected(t, fake.url) };
}

test("updates before the answer to the new request belong to the old one", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "t");
  await fake.begin({ ...events, seq: 10, start: "live" });
  fake.send(update(11));
  await first.came("update t 11");
  first.subscription.unsubscribe();
  const second = watch(made, "t", { from: { last: 10 } });
  const request = await fake.next("subscribe");
  assert.deepEqual(request.from, { last: 10 });
  // These were in flight.
  fake.send(...updates(12, 13), { op: "unsubscribed", id: 0, topics: ["t"] });
  fake.answer(request, { ...events, seq: 13, start: "history" });
  fake.send(...updates(4, 14));
  await second.came("update t 14");
  assert.deepEqual([first.brief(), second.data("t"), made.errors], [["topic t live", "update t 11"], numbers(4, 14), []]);
});

test("the same with a state: its image belongs to the new request", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "t");
  await fake.begin({ ...state, seq: 10, start: "image" });
  fake.send(image(10));
  await first.came("image t 10");
  first.subscription.unsubscribe();
  const second = watch(made, "t");
  const request = await fake.next("subscribe");
  fake.send(...updates(11, 12), { op: "closed", topic: "t" });
  fake.answer(request, { ...state, seq: 12, start: "image" });
  fake.send(image(12), update(13));
  await second.came("update t 13");
  assert.deepEqual([second.brief(), second.subscription.state("t"), made.errors], [["topic t image", "image t 12", "update t 13"], 13, []]);
});

test("a pattern that is left and joined again: the same with the topics that it brings in", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "p.*");
  await fake.begin({}, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"));
  await first.came("update p.a 2");
  first.subscription.unsubscribe();
  const second = watch(made, "p.*");
  const request = await fake.next("subscribe");
  fake.send(update(3, "p.a"), row("p.b", { seq: 0, start: "live" }), update(1, "p.b"), { op: "closed", topic: "p.a" });
  fake.answer(request, {}, 2);
  fake.send(row("p.a", { epoch: "f", seq: 5, start: "live" }), row("p.b", { seq: 1, start: "live" }), update(6, "p.a"), update(2, "p.b"));
  await second.came("update p.b 2");
  assert.deepEqual(second.brief(), ["topic p.a live", "topic p.b live", "update p.a 6", "update p.b 2"]);
  assert.deepEqual(made.errors, []);
});

test("an answer counts for its own request, not for a later one of the same name", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "t");
  const one = await fake.next("subscribe");
  first.subscription.unsubscribe();
  const second = watch(made, "t", { from: { last: 5 } });
  const two = await fake.next("subscribe");
  fake.answer(one, { ...events, seq: 3, start: "live" });
  fake.send(...updates(4, 6));
  fake.answer(two, { ...events, seq: 6, start: "history" });
  fake.send(...updates(2, 7));
  await second.came("update t 7");
  assert.deepEqual([second.data("t"), first.messages, made.errors], [numbers(2, 7), [], []]);
  // A refusal of an entry that was left concerns no subscription.
  second.subscription.unsubscribe();
  const third = watch(made, "t");
  const three = await fake.next("subscribe");
  third.subscription.unsubscribe();
  const fourth = watch(made, "t");
  const four = await fake.next("subscribe");
  fake.send({ op: "error", id: three.id, code: "limit", message: "no room", retry: true });
  fake.answer(four, { ...events, seq: 7, start: "live" });
  await fourth.came("topic t live");
  assert.deepEqual([fourth.brief(), made.errors], [["topic t live"], []]);
});

test("other options for a running stream: it continues where it is, and updates in flight do not count twice", async (t) => {
  const { fake, made } = await start(t);
  const slow = watch(made, ["t", "s"], { on_slow: "conflate" });
  const request = await fake.next("subscribe");
  fake.send({ op: "subscribed", id: request.id, patterns: [], errors: [],
    topics: [row("t", { seq: 10, start: "live" }), row("s", { ...state, seq: 5, start: "image" })], });
  fake.send(image(5, "s"), update(11));
  await slow.came("update t 11");
  const other = watch(made, ["t", "s"], { on_slow: "retain" });
  const again = await fake.next("subscribe");
  assert.deepEqual([again.topics, again.on_slow], [[{ topic: "t", epoch: "e", seq: 11 }, { topic: "s", epoch: "e", seq: 5 }], "retain"]);
  fake.send(update(12), update(6, "s"));
  fake.send({ op: "subscribed", id: again.id, patterns: [], errors: [],
    topics: [row("t", { seq: 14, start: "resumed" }), row("s", { ...state, seq: 7, start: "resumed" })] });
  fake.send(...updates(12, 15), ...updates(6, 8, "s"));
  for (const one of [slow, other]) await one.came("update s 8");
  assert.deepEqual([slow.data("t"), slow.data("s"), other.data("t"), other.data("s")], [numbers(11, 15), [6, 7, 8], numbers(12, 15), [6, 7, 8]]);
  // A repeated update after that is a breach again.
  fake.send(update(15));
  await until(() => made.errors.length > 0, "the breach");
  assert.match(made.errors[0].message, /update 15 came where 16 was next/);
});

test("a pattern with other options resumes from its position, or else by the names of its topics", async (t) => {
  for (const placed of [true, false]) {
    const { fake, made } = await start(t);
    const first = watch(made, "p.*");
    await fake.begin({}, 1);
    fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"));
    if (placed) fake.send({ op: "position", id: "70" });
    fake.send(update(3, "p.a"));
    await first.came("update p.a 3");
    const second = watch(made, "p.*", { on_slow: "retain" });
    if (placed) {
      const again = await fake.next("subscribe");
      assert.deepEqual([again.topics, again.resume, "from" in again], [["p.*"], "70", false]);
      fake.send(update(4, "p.a"));
      fake.answer(again, {}, 1);
      fake.send(row("p.a", { seq: 5, start: "resumed" }), ...updates(3, 6, "p.a"));
    } else {
      const names = await fake.next("subscribe"), again = await fake.next("subscribe");
      // A topic that it brings in for the first time is a new one, and all of it is wanted.
      assert.deepEqual([names.topics, again.topics, again.from], [[{ topic: "p.a", epoch: "e", seq: 3 }], ["p.*"], { last: Number.MAX_SAFE_INTEGER }]);
      fake.send(update(4, "p.a"));
      fake.answer(names, { ...events, seq: 5, start: "resumed" });
      fake.answer(again, {}, 1);
      fake.send(...updates(4, 6, "p.a"));
      assert.deepEqual((await fake.next("unsubscribe")).topics, ["p.a"]);
    }
    for (const one of [first, second]) await one.came("update p.a 6");
    assert.deepEqual([first.data("p.a"), second.data("p.a"), made.errors], [numbers(2, 6), numbers(4, 6), []]);
  }
});

test("a topic of a pattern continues where it is by its name, and by another pattern", async (t) => {
  for (const text of ["p.a", "p.>"]) {
    const { fake, made } = await start(t);
    const first = watch(made, "p.*");
    await fake.begin({}, 1);
    fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"));
    await first.came("update p.a 2");
    const second = watch(made, text);
    const asked = await fake.next("subscribe");
    assert.deepEqual(asked.topics, [{ topic: "p.a", epoch: "e", seq: 2 }, ...(text === "p.a" ? [] : [text])]);
    fake.send(update(3, "p.a"));
    fake.answer(asked, { ...events, seq: 4, start: "resumed" }, 1);
    fake.send(...updates(3, 5, "p.a"));
    for (const one of [first, second]) await one.came("update p.a 5");
    assert.deepEqual([first.data("p.a"), made.errors], [numbers(2, 5), []]);
    assert.equal(first.brief().filter((line) => line.startsWith("gap")).length, 0);
  }
});

test("a subscription that joins for the last updates gets just those; the one before misses none and gets none twice", async (t) => {
  const { fake, made } = await start(t);
  const gaps = record(made, "gap");
  const first = watch(made, "t");
  await fake.begin({ ...events, seq: 10, start: "live" });
  fake.send(...updates(11, 20));
  await first.came("update t 20");
  const second = watch(made, "t", { from: { last: 3 } });
  const asked = await fake.next("subscribe");
  // Not fewer than those: updates in flight to the first would be lost to it.
  assert.deepEqual(asked.topics, [{ topic: "t", epoch: "e", seq: 17 }]);
  fake.send(...updates(21, 22));
  fake.answer(asked, { ...events, seq: 25, start: "resumed" });
  fake.send(...updates(18, 26));
  for (const one of [first, second]) await one.came("update t 26");
  assert.deepEqual([first.data("t"), second.data("t")], [numbers(11, 26), numbers(23, 26)]);
  // Less is retained than is wanted: no subscription lacks what the gap names.
  const third = watch(made, "t", { from: { last: 20 } });
  const more = await fake.next("subscribe");
  fake.answer(more, { ...events, seq: 26, oldest: 18, start: "reset" });
  fake.send({ op: "gap", topic: "t", from: 7, to: 17, reason: "expired" }, ...updates(18, 27));
  for (const one of [first, second, third]) await one.came("update t 27");
  assert.deepEqual([first.data("t"), second.data("t"), third.data("t")], [numbers(11, 27), numbers(23, 27), numbers(18, 27)]);
  assert.deepEqual([gaps, made.errors], [[], []]);
});

test("the same with a pattern: its topics go back by their names, those of others too, and new ones begin as asked for", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, ["p.*", "p.b"]);
  const begun = await fake.next("subscribe");
  fake.answer(begun, { ...events, seq: 5, start: "live" }, 1);
  fake.send(row("p.a", { seq: 10, start: "live" }), update(11, "p.a"), update(6, "p.b"));
  await first.came("update p.b 6");
  const second = watch(made, "p.*", { from: { last: 2 } });
  const names = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  assert.deepEqual([names.topics, pattern.topics, pattern.from],
    [[{ topic: "p.b", epoch: "e", seq: 4 }, { topic: "p.a", epoch: "e", seq: 9 }], ["p.*"], { last: 2 }]);
  fake.send(update(12, "p.a"));
  fake.send({ op: "subscribed", id: names.id, patterns: [], errors: [],
    topics: [row("p.a", { seq: 14, start: "resumed" }), row("p.b", { seq: 6, start: "resumed" })] });
  // Before the pattern's answer, and yet for the new subscription.
  fake.send(...updates(10, 14, "p.a"), ...updates(5, 6, "p.b"));
  fake.answer(pattern, {}, 2);
  fake.send(row("p.c", { seq: 9, start: "history" }), ...updates(8, 9, "p.c"), update(15, "p.a"));
  assert.deepEqual((await fake.next("unsubscribe")).topics, ["p.a"]);
  for (const one of [first, second]) await one.came("update p.a 15");
  assert.deepEqual([second.data("p.a"), second.data("p.b"), second.data("p.c")], [[13, 14, 15], [5, 6], [8, 9]]);
  assert.deepEqual([first.data("p.a"), first.data("p.b"), first.data("p.c")], [numbers(11, 15), [6], [8, 9]]);
  assert.deepEqual([made.errors, [...first.brief(), ...second.brief()].filter((line) => line.startsWith("gap"))], [[], []]);
});

test("a name that is left before its answer continues by a pattern of the same request that covers it", async (t) => {
  const { fake, made } = await start(t);
  const name = watch(made, "p.a"), pattern = watch(made, ["p.b", "p.*"]);
  const one = await fake.next("subscribe"), two = await fake.next("subscribe");
  const both = watch(made, ["p.a", "p.*"], { on_slow: "retain" }), three = await fake.next("subscribe");
  name.subscription.unsubscribe();
  both.subscription.unsubscribe();
  fake.answer(one, { ...events, seq: 3, start: "live" });
  fake.send(update(4, "p.a"));
  fake.answer(two, { ...events, seq: 0, start: "live" }, 1);
  fake.answer(three, { ...events, seq: 4, start: "resumed" }, 1);
  fake.send(...updates(5, 6, "p.a"), { op: "ready", id: three.id });
  await pattern.came("update p.a 6");
  assert.deepEqual([name.messages, both.messages, made.errors], [[], [], []]);
  assert.deepEqual(pattern.brief(), ["topic p.b live", "topic p.a resumed", "update p.a 5", "update p.a 6"]);
});

test("another subscription's name continues by a pattern when it is left, although the pattern's answer did not mention it", async (t) => {
  const { fake, made } = await start(t);
  const name = watch(made, "p.a"), one = await fake.next("subscribe");
  fake.answer(one, { ...state, seq: 3, start: "image" });
  fake.send(image(3, "p.a"), { op: "ready", id: one.id });
  await name.came("image p.a 3");
  const pattern = watch(made, "p.*"), two = await fake.next("subscribe");
  name.subscription.unsubscribe();
  // For the broker the name was still subscribed: it does not introduce the topic, and `ready` comes without it.
  fake.answer(two, {}, 1);
  fake.send({ op: "ready", id: two.id }, update(4, "p.a"));
  await pattern.came("update p.a 4");
  assert.deepEqual([pattern.brief(), pattern.subscription.state("p.a"), made.errors], [["topic p.a image", "image p.a 3", "update p.a 4"], 4, []]);
});

test("a subscription that joined for the last updates without a connection gets them, and others continue where they were", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "p.a");
  await fake.begin({ ...events, seq: 10, start: "live" });
  fake.send(...updates(11, 12, "p.a"));
  await first.came("update p.a 12");
  fake.close(1011, "");
  await until(() => made.state === "stale", "stale");
  const second = watch(made, "p.*", { from: { last: 3 } });
  const names = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  assert.deepEqual([names.topics, pattern.topics, pattern.from], [[{ topic: "p.a", epoch: "e", seq: 9 }], ["p.*"], { last: 3 }]);
  fake.answer(names, { ...events, seq: 14, start: "resumed" });
  fake.send(...updates(10, 14, "p.a"));
  fake.answer(pattern, {}, 1);
  fake.send(update(15, "p.a"));
  for (const one of [first, second]) await one.came("update p.a 15");
  assert.deepEqual([first.data("p.a"), second.data("p.a"), made.errors], [numbers(11, 15), numbers(12, 15), []]);
  assert.equal(second.brief()[0], "topic p.a resumed");
});

test("a topic of another subscription's pattern continues for one that joined, although the pattern is left before the answer", async (t) => {
  const { fake, made } = await start(t);
  const wide = watch(made, "p.>"), one = await fake.next("subscribe");
  fake.answer(one, {}, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), update(2, "p.a"));
  await wide.came("update p.a 2");
  const narrow = watch(made, "p.*"), two = await fake.next("subscribe");
  fake.send(update(3, "p.a"));
  await narrow.came("update p.a 3");
  wide.subscription.unsubscribe();
  fake.send(...updates(4, 6, "p.a"));
  fake.answer(two, { ...events, seq: 6, start: "resumed" }, 1);
  fake.send(...updates(3, 7, "p.a"));
  await narrow.came("update p.a 7");
  assert.deepEqual([narrow.data("p.a"), made.errors], [numbers(3, 7), []]);
});

test("a pattern that resumes, and its last updates are wanted before the answer: first it resumes, then it goes back", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "p.*"), one = await fake.next("subscribe");
  fake.answer(one, {}, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), { op: "position", id: "50" }, ...updates(2, 4, "p.a"));
  await first.came("update p.a 4");
  fake.close(1011, "");
  const restored = await fake.next("subscribe");
  assert.equal(restored.resume, "50");
  const second = watch(made, "p.*", { from: { last: 2 } });
  const names = await fake.next("subscribe"), again = await fake.next("subscribe");
  fake.answer(restored, {}, 1);
  fake.send(row("p.a", { seq: 6, start: "resumed" }), ...updates(2, 6, "p.a"));
  fake.answer(names, { ...events, seq: 7, start: "resumed" });
  fake.send(...updates(3, 7, "p.a"));
  fake.answer(again, {}, 1);
  fake.send(update(8, "p.a"));
  for (const each of [first, second]) await each.came("update p.a 8");
  assert.deepEqual([names.topics, first.data("p.a"), second.data("p.a"), made.errors], [[{ topic: "p.a", epoch: "e", seq: 2 }], numbers(2, 8), [6, 7, 8], []]);
});

test("a name that is lent for two requests is unsubscribed after the later one", async (t) => {
  const { fake, made } = await start(t);
  const first = watch(made, "p.*"), one = await fake.next("subscribe");
  fake.answer(one, {}, 1);
  fake.send(row("p.a", { seq: 1, start: "live" }), ...updates(2, 4, "p.a"));
  await first.came("update p.a 4");
  const second = watch(made, "p.*", { from: { last: 1 } });
  const names = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  const third = watch(made, "p.*", { from: { last: 2 } });
  const again = await fake.next("subscribe"), last = await fake.next("subscribe");
  fake.answer(names, { ...events, seq: 4, start: "resumed" });
  fake.answer(pattern, {}, 1);
  fake.send(update(4, "p.a"));
  await second.came("update p.a 4");
  await fake.heard(made);
  assert.deepEqual(fake.received, []);
  fake.answer(again, { ...events, seq: 5, start: "resumed" });
  fake.answer(last, {}, 1);
  fake.send(...updates(3, 5, "p.a"));
  assert.deepEqual((await fake.next("unsubscribe")).topics, ["p.a"]);
  for (const each of [first, second, third]) await each.came("update p.a 5");
  assert.deepEqual([first, second, third].map((each) => each.data("p.a")), [numbers(2, 5), [4, 5], [4, 5]]);
  assert.deepEqual(made.errors, []);
});
