/** Against a real broker: resuming from a position, complete pictures, and refused fragments. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker, WebSocket } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { event, until } from "./support/wait.js";
import { numbers } from "./support/whole.js";

/** A WebSocket class whose sockets record what they sent and got, parsed. */
function recording() {
  const sent = [], received = [];
  class Recording extends WebSocket {
    constructor(...args) {
      super(...args);
      this.addEventListener("message", ({ data }) => received.push(JSON.parse(data)));
    }
    send(text) {
      sent.push(JSON.parse(text));
      super.send(text);
    }
  }
  return { Recording, sent, received };
}

async function publishAll(broker, lines) {
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const answer = await fetch(`http://${broker.address}/v1/publish`, { method: "POST", headers: { "Content-Type": "application/x-ndjson", Connection: "close" }, body });
  assert.equal((await answer.json()).accepted, lines.length);
}

test("a pattern of many topics resumes with one short request and loses nothing, whatever the limit on subscriptions", async (t) => {
  const broker = await Broker.start(t, ["--subscriptions", "3"]), proxy = await Proxy.start(t, broker);
  const { Recording, sent, received } = recording();
  const made = await connected(t, proxy.url, { transports: ["websocket"], WebSocket: Recording });
  const names = numbers(1, 200).map((number) => `many.t${number}`);
  const all = (data) => names.map((topic) => ({ topic, kind: "event", data }));
  await publishAll(broker, all(1));
  const seen = watch(made, ["many.*", "many.state"]);
  await seen.subscription.ready();
  assert.equal(seen.messages.filter(({ op }) => op === "topic").length, names.length + 1, "all of them were told");
  await publishAll(broker, all(2));
  // Updates before the position may come again; updates published while the client was away come in any case.
  await until(() => received.some(({ op }) => op === "position"), "a position");
  for (const data of numbers(3, 6)) {
    proxy.refuse();
    await until(() => made.state === "stale", "stale");
    await publishAll(broker, all(data));
    sent.length = 0;
    proxy.allow();
    await event(made, "open");
    await seen.subscription.ready();
    const [request, ...others] = sent.filter(({ op, topics }) => op === "subscribe" && topics.length > 0);
    assert.deepEqual([request.topics, typeof request.resume, others, JSON.stringify(request).length < 200], [["many.state", "many.*"], "string", [], true]);
  }
  for (const topic of names) await seen.came(`update ${topic} 6`);
  for (const topic of names) assert.deepEqual(seen.data(topic), numbers(2, 6), topic);
  assert.deepEqual([made.errors, seen.brief().filter((line) => /^(gap|closed)/.test(line))], [[], []]);
});

test("from a WebSocket to Server-Sent Events and back, cut again and again: no update is missing, and none comes twice", async (t) => {
  const broker = await Broker.start(t), proxy = await Proxy.start(t, broker);
  const made = await connected(t, proxy.url, { websocket_again_ms: 30 });
  const seen = watch(made, ["over.a", "over.p.*"]), transports = new Set();
  await seen.subscription.ready();
  const topics = ["over.a", "over.p.x", "over.p.y"];
  for (const round of numbers(1, 12)) {
    proxy.upgrades = round % 3 === 0 ? null : "refused";
    proxy.cut();
    for (const number of numbers(round * 5 - 4, round * 5)) await publishAll(broker, topics.map((topic) => ({ topic, kind: "event", data: number })));
    for (const topic of topics) await seen.came(`update ${topic} ${round * 5}`);
    await until(() => made.state === "open" && (proxy.upgrades === null) === (made.transport === "websocket"), "the other transport");
    transports.add(made.transport);
  }
  for (const topic of topics) assert.deepEqual(seen.data(topic), numbers(1, 60), topic);
  assert.deepEqual([[...transports].sort(), made.errors, seen.brief().filter((line) => line.startsWith("gap"))], [["sse", "websocket"], [], []]);
});

test("when a subscription is ready, every existing state is known, over either transport", async (t) => {
  const broker = await Broker.start(t);
  const names = numbers(1, 500).map((number) => `whole.t${number}.quote`);
  await publishAll(broker, names.map((topic) => ({ topic, kind: "state", data: topic })));
  for (const transport of ["websocket", "sse"]) {
    const made = await connected(t, broker.url, { transports: [transport] });
    const quotes = made.subscribe(["whole.*.quote", "whole.later"]);
    await quotes.ready();
    assert.deepEqual(names.filter((topic) => quotes.state(topic) !== topic), [], transport);
    await assert.rejects(made.subscribe("a..b").ready(), { code: "bad_topic" });
  }
});

test("a patch of a topic without a state is refused, over either transport", async (t) => {
  const broker = await Broker.start(t);
  for (const transport of ["websocket", "sse"]) {
    const made = await connected(t, broker.url, { transports: [transport] }), topic = `fragment.${transport}`;
    const seen = watch(made, topic);
    await seen.came(`topic ${topic} live`);
    await assert.rejects(made.publish(topic, { a: 1 }, { kind: "patch" }), { code: "no_state", retry: false });
    await made.publish(topic, { b: 1 }, { kind: "state" });
    assert.equal((await made.publish(topic, { a: 1 }, { kind: "patch" })).seq, 2);
    await seen.came(`patch ${topic} 2`);
    assert.deepEqual([seen.subscription.state(topic), seen.messages.find(({ kind }) => kind)?.kind], [{ b: 1, a: 1 }, "state"]);
  }
});
