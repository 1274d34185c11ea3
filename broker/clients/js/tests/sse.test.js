/** If no WebSocket opens: Server-Sent Events from a scripted broker, whose streams send what the test wants. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";

const image = (topic, seq, data) => ({ op: "image", topic, epoch: "e", seq, ts: 1, data });
const state = { kind: "state", epoch: "e", seq: 3, start: "image" };

test("if no WebSocket opens, the same messages come over Server-Sent Events", async (t) => {
  const broker = await SseBroker.start(t);
  const made = client(t, broker.url);
  const closes = record(made, "close");
  const seen = watch(made, "a", { conflate_ms: 100 });
  assert.equal((await event(made, "open")).transport, "sse");
  assert.deepEqual([broker.upgrades, made.transport, closes.length, closes[0][1].delay_ms], [1, "sse", 1, 0]);
  await broker.begin(["a"], state);
  broker.send(image("a", 3, "three"), { op: "update", topic: "a", seq: 4, ts: 1, data: "vier \u20ac" });
  await seen.came("update a 4");
  assert.deepEqual([seen.subscription.state("a"), broker.streams[0].conflate_ms], ["vier \u20ac", "100"]);

  // Another topic begins by a stream of its own, then one stream continues with both, and nothing is delivered twice.
  const other = watch(made, "b", { conflate_ms: 100 });
  broker.id = 5;
  await broker.begin(["b"], state);
  await broker.begin(["a", "b"], { ...state, seq: 4 });
  assert.deepEqual(broker.streams.map(({ topics, resume, conflate_ms }) => [String(topics), resume, conflate_ms]),
    [["a", null, "100"], ["b", null, "100"], ["a,b", "5", "100"]]);
  await until(() => broker.streams.slice(0, 2).every(({ response }) => response.destroyed), "the end of the streams before");
  broker.send({ op: "update", topic: "a", seq: 4, ts: 1, data: "vier \u20ac" }, image("b", 4, 4), { op: "update", topic: "a", seq: 5, ts: 1, data: 5 });
  await other.came("image b 4");
  await seen.came("update a 5");
  assert.deepEqual(seen.brief(), ["topic a image", "image a 3", "update a 4", "update a 5"]);
  other.subscription.unsubscribe();
  await until(() => broker.streams.length === 4, "a stream without it");
  assert.deepEqual([broker.streams[3].topics, broker.streams[3].resume], [["a"], "5"]);
  assert.deepEqual(made.errors, []);
});

test("messages may be split anywhere, with any line ends", async (t) => {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url);
  const seen = watch(made, "a");
  await broker.begin(["a"], state);
  for (const piece of [": hello\r\n\r", "\ndata:", JSON.stringify(image("a", 3, "x")).slice(0, 20), JSON.stringify(image("a", 3, "x")).slice(20), "\r", "\n\r\n"]) {
    broker.write(piece);
    // Each in a packet of its own, as far as the test can control that.
    await new Promise((next) => setImmediate(next));
  }
  await seen.came("image a 3");
  assert.deepEqual(made.errors, []);
});

test("publishing is a request of its own; missing features are errors", async (t) => {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url);
  assert.deepEqual(await made.publish("BTC/USD", { px: "1" }, { kind: "state", source: "s", source_seq: 1 }).then(({ topic, seq }) => [topic, seq]), ["BTC/USD", 1]);
  assert.deepEqual(broker.published, [["BTC/USD", "?kind=state&source=s&source_seq=1", '{"px":"1"}']]);
  await assert.rejects(made.publish("a..b", 1), { code: "bad_topic", message: "segment 2 is empty" });
  await assert.rejects(made.ping(), { code: "unavailable" });
});

test("a stream that ends counts as lost, and a WebSocket is tried first again", async (t) => {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url);
  const seen = watch(made, "a");
  await broker.begin(["a"], state);
  broker.send(image("a", 3, 3));
  await seen.came("image a 3");
  broker.streams[0].response.end();
  await event(made, "open");
  await until(() => broker.streams.length === 2, "another stream");
  assert.equal(broker.upgrades, 2);
  await broker.begin(["a"], { ...state, seq: 9 });
  broker.send(image("a", 9, 9));
  await seen.came("image a 9");
  assert.deepEqual(made.errors, []);
});

test("comments are a sign of life, and without any the stream is given up", async (t) => {
  const broker = await SseBroker.start(t);
  const made = await connected(t, broker.url);
  watch(made, "a");
  await broker.begin(["a"], state);
  broker.send({ ...made.hello, heartbeat_ms: 400 });
  const since = performance.now();
  const closed = event(made, "close");
  const alive = setInterval(() => broker.write(": alive\n"), 20);
  t.after(() => clearInterval(alive));
  await until(() => performance.now() - since > 2_200, "longer than its patience");
  assert.equal(made.state, "open");
  clearInterval(alive);
  assert.match((await closed).reason, /nothing came for 1400 ms/);
});

test("a client that is not allowed gets the reason, and does not come back", async (t) => {
  const broker = await SseBroker.start(t, { forbids: true });
  const made = client(t, broker.url);
  await event(made, "close", ({ reconnect }) => !reconnect);
  assert.match(made.errors[0].message, /the Origin http:\/\/evil.example may not come here/);
  assert.equal(made.state, "closed");
});

test("if a WebSocket has opened once, WebSockets are not blocked", async (t) => {
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url, { fetch: () => assert.fail("no request by HTTP") });
  for (let round = 0; round < 3; round += 1) {
    fake.close(1011, "");
    await event(made, "open");
  }
  assert.deepEqual([made.transport, fake.connections], ["websocket", 4]);
});
