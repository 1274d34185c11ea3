/** While a topic goes back for one subscription, others ask for it too, leave it, or the connection is lost. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { record } from "./support/wait.js";
import { numbers } from "./support/whole.js";

const update = (seq, topic = "p.a") => ({ op: "update", topic, seq, ts: 1, data: seq });
const updates = (from, to, topic) => numbers(from, to).map((seq) => update(seq, topic));
const row = (topic, more) => ({ op: "topic", topic, kind: "event", epoch: "e", oldest: 1, conflate_ms: 0, ...more });
const position = (id) => ({ op: "position", id });
const events = { kind: "event", epoch: "e" };
/** Where `p.a` goes back to, from update 8, for its last three. */
const BACK = [{ topic: "p.a", epoch: "e", seq: 5 }];

/** A client that has `p.a` by these entries, up to update 8 and the id 70. */
async function following(t, entries, options = {}) {
  const fake = await Fake.start(t), made = await connected(t, fake.url, { transports: ["websocket"], ...options });
  const first = watch(made, entries), asked = await fake.next("subscribe");
  fake.answer(asked, { ...events, seq: 6, start: "live" }, 1);
  if (!entries.includes("p.a")) fake.send(row("p.a", { seq: 6, start: "live" }));
  fake.send({ op: "ready", id: asked.id }, ...updates(7, 8), position("70"));
  await first.came("update p.a 8");
  await fake.heard(made);
  return { fake, made, first };
}

test("a name goes back, and the one that wanted it leaves before the answer: the options are others, and it goes back again", async (t) => {
  const { fake, made, first } = await following(t, ["p.a"]);
  const second = watch(made, "p.a", { from: { last: 3 }, on_slow: "retain" }), back = await fake.next("subscribe");
  second.subscription.unsubscribe();
  const again = await fake.next("subscribe");
  // Not from the id: the answer before goes back to before it.
  assert.deepEqual([back.topics, again.topics, again.resume], [BACK, BACK, undefined]);
  fake.answer(back, { ...events, seq: 9, start: "resumed" });
  fake.send(update(6));
  fake.answer(again, { ...events, seq: 9, start: "resumed" });
  fake.send(...updates(6, 10), { op: "ready", id: back.id }, { op: "ready", id: again.id });
  await first.came("update p.a 10");
  assert.deepEqual([first.data("p.a"), second.messages, made.errors], [numbers(7, 10), [], []]);
  // From then on it does not.
  fake.send(position("80"));
  await fake.heard(made);
  watch(made, "p.a", { on_slow: "retain" });
  const { topics, resume } = await fake.next("subscribe");
  assert.deepEqual([topics, resume], [["p.a"], "80"]);
});

test("a name goes back for a pattern, and is asked for with other options: the pattern still gets the last updates", async (t) => {
  const { fake, made, first } = await following(t, ["p.a"]);
  const second = watch(made, "p.*", { from: { last: 3 } }), back = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  watch(made, "p.a", { on_slow: "retain" });
  const again = await fake.next("subscribe");
  assert.deepEqual([back.topics, pattern.topics, again.topics, again.resume], [BACK, ["p.*"], BACK, undefined]);
  fake.answer(back, { ...events, seq: 8, start: "resumed" });
  fake.answer(pattern, {}, 1);
  fake.answer(again, { ...events, seq: 8, start: "resumed" });
  fake.send(...updates(6, 9));
  for (const one of [first, second]) await one.came("update p.a 9");
  assert.deepEqual([first.data("p.a"), second.data("p.a"), made.errors], [numbers(7, 9), numbers(6, 9), []]);
});

test("a topic goes back by a name that is lent, and a name or another pattern asks for it: it goes back again", async (t) => {
  for (const other of ["p.a", "*.a"]) {
    const { fake, made, first } = await following(t, ["p.*"]);
    const second = watch(made, "p.*", { from: { last: 3 } }), back = await fake.next("subscribe"), pattern = await fake.next("subscribe");
    const third = watch(made, other), again = await fake.next("subscribe");
    assert.deepEqual([back.topics, pattern.topics, again.topics.slice(0, 1)], [BACK, ["p.*"], BACK], other);
    fake.answer(back, { ...events, seq: 8, start: "resumed" });
    fake.answer(pattern, {}, 1);
    fake.answer(again, { ...events, seq: 8, start: "resumed" }, 1);
    fake.send(...updates(6, 9));
    for (const one of [first, second, third]) await one.came("update p.a 9");
    assert.deepEqual([first.data("p.a"), second.data("p.a"), made.errors], [numbers(7, 9), numbers(6, 9), []], other);
  }
});

test("the connection is lost while a topic goes back: no pattern that covers it resumes from an id", async (t) => {
  const { fake, made, first } = await following(t, ["*.a"]);
  const second = watch(made, "p.*", { from: { last: 3 } }), back = await fake.next("subscribe"), pattern = await fake.next("subscribe");
  fake.answer(back, { ...events, seq: 8, start: "resumed" });
  fake.answer(pattern, {}, 1);
  fake.send(update(6));
  await second.came("update p.a 6");
  second.subscription.unsubscribe();
  fake.close(1011, "");
  const names = await fake.next("subscribe");
  assert.deepEqual([names.topics, names.resume], [[{ topic: "p.a", epoch: "e", seq: 6 }], undefined]);
  fake.answer(names, { ...events, seq: 9, start: "resumed" });
  fake.send(...updates(7, 9));
  await first.came("update p.a 9");
  assert.deepEqual([first.data("p.a"), made.errors], [numbers(7, 9), []]);
});

test("a topic whose name is lent goes on although nobody wants it, for those that come to want it", async (t) => {
  for (const [other, isAnswered] of [["p.a", true], ["p.a", false], ["*.a", true], ["*.a", false]]) {
    const { fake, made, first } = await following(t, ["p.*"]), said = `${other} ${isAnswered}`;
    const second = watch(made, "p.*", { from: { last: 3 } }), back = await fake.next("subscribe"), pattern = await fake.next("subscribe");
    const lent = () => {
      fake.answer(back, { ...events, seq: 8, start: "resumed" });
      fake.send(...updates(6, 8));
    };
    if (isAnswered) {
      lent();
      await second.came("update p.a 8");
    }
    for (const one of [first, second]) one.subscription.unsubscribe();
    const left = await fake.next("unsubscribe"), gone = [first, second].map((one) => one.messages.length);
    const messages = record(made, "message");
    if (!isAnswered) lent();
    fake.send(update(9));
    await fake.heard(made);
    // Nobody wants it at the moment.
    assert.deepEqual(messages, [], said);
    const third = watch(made, other), asked = await fake.next("subscribe");
    // If the broker had not answered the name before it was left, this belongs to the earlier request.
    fake.send(update(10));
    fake.answer(pattern, {}, 1);
    fake.send({ op: "unsubscribed", id: left.id, topics: ["p.*"] });
    // A pattern lends it again, from where it is: the broker would not introduce the topic for it.
    assert.deepEqual(asked.topics, [{ topic: "p.a", epoch: "e", seq: 9 }, ...(other === "*.a" ? ["*.a"] : [])], said);
    fake.answer(asked, { ...events, seq: 11, start: "resumed" }, 1);
    fake.send(...updates(10, 12), { op: "ready", id: asked.id });
    await third.came("update p.a 12");
    assert.deepEqual([third.data("p.a"), third.brief().filter((line) => /^(closed|gap)/.test(line)), made.errors], [numbers(isAnswered ? 10 : 11, 12), [], []], said);
    assert.deepEqual([first, second].map((one) => one.messages.length), gone, said);
    made.close();
  }
});

test("a request that is refused goes back no more", async (t) => {
  // It is not asked again by itself while the test runs.
  const { fake, made } = await following(t, ["p.a"], { reconnect_first_ms: 600_000, reconnect_max_ms: 600_000 });
  for (const refuse of [
    ({ id }) => fake.send({ op: "error", id, code: "bad_request", message: "no", retry: true }),
    ({ id }) => fake.send({ op: "subscribed", id, topics: [], patterns: [], errors: [{ topic: "p.a", code: "limit", message: "no", retry: true }] }),
  ]) {
    const second = watch(made, "p.a", { from: { last: 3 } });
    const refused = await fake.next("subscribe");
    assert.deepEqual(refused.topics, BACK);
    refuse(refused);
    await second.came("error p.a");
    second.subscription.unsubscribe();
    const third = watch(made, "p.a", { on_slow: "retain" }), asked = await fake.next("subscribe");
    assert.deepEqual([asked.topics, asked.resume], [["p.a"], "70"]);
    third.subscription.unsubscribe();
    fake.answer(await fake.next("subscribe"), { ...events, seq: 8, start: "resumed" });
  }
});
