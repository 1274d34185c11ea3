/** A network that blocks WebSockets: falling back to Server-Sent Events of a real broker, and switching back. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { start } from "./support/child.js";
import { client, connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { event, record, until } from "./support/wait.js";
import { holdsWhatBrokerHas, numbers, patched, staysWholeWhileCut } from "./support/whole.js";

/** Longer than any test runs. */
const LATER = { websocket_again_ms: 600_000 };

/** A broker behind a network that refuses or cuts WebSockets, and a client that is connected to it. */
async function blocked(t, { flags = [], upgrades = "refused", options = LATER } = {}) {
  const broker = await Broker.start(t, flags);
  const proxy = await Proxy.start(t, broker);
  proxy.upgrades = upgrades;
  const made = await connected(t, proxy.url, options);
  await until(() => made.transport === "sse", "Server-Sent Events");
  return { broker, proxy, made };
}

test("everything comes: images, patches, events, a name that waits for its first publish, and the end", async (t) => {
  const { broker, proxy, made } = await blocked(t);
  await broker.publish("s.book", "state", { bids: { "1.0": "5" } });
  const book = watch(made, "s.book"), trades = watch(made, "s.trade.*"), later = watch(made, "s.later");
  await book.came("image s.book 1");
  await later.came("topic s.later live");
  assert.equal(made.hello.server.startsWith("tickcast/"), true);
  assert.deepEqual(await made.publish("s.trade.x", "<&\u20ac\r\n>", { kind: "event" }).then(({ topic, seq }) => [topic, seq]), ["s.trade.x", 1]);
  // In their order, although each is a request of its own.
  await Promise.all(numbers(2, 30).map((number) => made.publish("s.trade.x", number, { source: "t", source_seq: number })));
  await made.publish("s.book", { bids: { "1.0": null, "0.9": "3" } }, { kind: "patch" });
  await made.publish("s.later", 1, { kind: "state" });
  await trades.came("update s.trade.x 30");
  await later.came("update s.later 1");
  await book.came("patch s.book 2");
  assert.deepEqual(trades.data("s.trade.x"), ["<&\u20ac\r\n>", ...numbers(2, 30)]);
  assert.deepEqual(book.subscription.state("s.book"), { bids: { "0.9": "3" } });
  await broker.delete("s.book");
  await book.came("closed s.book");
  await assert.rejects(made.publish("a..b", 1), { code: "bad_topic" });
  assert.deepEqual([made.errors, proxy.upgradesStopped], [[], 1]);
});

test("subscriptions come and go while updates come: no update is missing, and none comes twice", async (t) => {
  const { broker, made } = await blocked(t);
  const events = watch(made, "c.trade"), book = watch(made, "c.book"), pattern = watch(made, "c.>");
  await events.came("topic c.trade live");
  const others = [];
  for (const number of numbers(1, 100)) {
    await Promise.all([broker.publish("c.trade", "event", number), broker.publish("c.book", ...patched(number))]);
    if (number % 10 === 0) others.push(watch(made, [`c.other.${number}`, "c.trade", "c.*"]));
    if (number % 15 === 0) others.shift().subscription.unsubscribe();
  }
  await events.came("update c.trade 100");
  await pattern.came("update c.trade 100");
  assert.deepEqual(events.data("c.trade"), numbers(1, 100));
  const seen = pattern.data("c.trade");
  assert.deepEqual(seen, numbers(101 - seen.length, 100));
  await holdsWhatBrokerHas(broker, book.subscription, "c.book");
  assert.deepEqual([made.errors, events.brief().filter((line) => line.startsWith("gap"))], [[], []]);
});

test("cut again and again while updates come: no update is missing, and none comes twice", async (t) => {
  await staysWholeWhileCut(await blocked(t));
});

test("while the client was away: topics ended, began, or lost retained updates; and the broker was restarted", async (t) => {
  const { broker, proxy, made } = await blocked(t, { flags: ["--retain-updates", "5"] });
  for (const name of ["ends", "stays", "busy"]) await broker.publish(`p.${name}`, "event", 1);
  await broker.publish("p.state", "state", 1);
  const { came, brief, data, subscription } = watch(made, "p.*");
  for (const name of ["ends", "stays", "busy"]) await came(`topic p.${name} live`);
  await came("image p.state 1");
  await broker.publish("p.busy", "event", 2);
  await came("update p.busy 2");
  proxy.refuse();
  await until(() => made.state === "stale", "stale");
  await broker.delete("p.ends");
  for (const number of [1, 2]) await broker.publish("p.new", "event", number);
  for (const number of numbers(3, 20)) await broker.publish("p.busy", "event", number);
  await broker.publish("p.state", "state", 2);
  proxy.allow();
  await came("closed p.ends");
  await came("update p.new 2");
  await came("update p.busy 20");
  await until(() => subscription.state("p.state") === 2, "the state");
  // From an id the broker cannot know that the first two came, but the client can.
  assert.deepEqual(brief().filter((line) => line.startsWith("gap")), ["gap p.busy 3-15 expired"]);
  assert.deepEqual([data("p.busy"), data("p.new"), data("p.stays")], [[2, 16, 17, 18, 19, 20], [1, 2], []]);
  await broker.publish("p.stays", "event", 2);
  await came("update p.stays 2");

  await broker.kill();
  await until(() => made.state === "stale", "stale");
  await broker.start();
  await broker.publish("p.state", "state", "another life");
  for (const name of ["busy", "stays", "new"]) await came(`closed p.${name}`);
  await until(() => subscription.state("p.state") === "another life", "the new state");
  assert.deepEqual(made.errors, []);
});

test("a network that cuts every WebSocket at once, and then lets them through again", async (t) => {
  const { broker, proxy, made } = await blocked(t, { upgrades: "cut", options: { websocket_again_ms: 60 } });
  assert.ok(proxy.upgradesStopped >= 1);
  const seen = watch(made, ["b.trade", "b.*"]), opens = record(made, "open", "statechange");
  await seen.came("topic b.trade live");
  const stopped = proxy.upgradesStopped;
  let number = 0;
  const publish = async () => broker.publish("b.trade", "event", (number += 1));
  while (proxy.upgradesStopped < stopped + 3) await publish();
  assert.deepEqual([made.transport, opens], ["sse", []]);
  proxy.upgrades = null;
  while (made.transport === "sse") await publish();
  for (let more = 0; more < 20; more += 1) await publish();
  await seen.came(`update b.trade ${number}`);
  assert.deepEqual(seen.data("b.trade"), numbers(1, number));
  assert.deepEqual([made.transport, opens.map(([type]) => type), made.errors], ["websocket", ["open"], []]);
  // When they are blocked again, it falls back after some attempts.
  proxy.upgrades = "refused";
  proxy.cut();
  await event(made, "open");
  await until(() => made.transport === "sse", "Server-Sent Events");
  await publish();
  await seen.came(`update b.trade ${number}`);
  assert.deepEqual([seen.data("b.trade"), made.errors], [numbers(1, number), []]);
});

test("a thousand topics by their names, which do not fit into a URL", async (t) => {
  const { broker, proxy, made } = await blocked(t);
  const names = numbers(1, 1_000).map((number) => `many.of_a_longer_name.${number}`);
  const seen = watch(made, names);
  await seen.came(`topic ${names[999]} live`);
  await broker.publish(names[999], "event", 1);
  await seen.came(`update ${names[999]} 1`);
  proxy.cut();
  await broker.publish(names[999], "event", 2);
  await broker.publish(names[0], "event", 1);
  for (const text of [`update ${names[999]} 2`, `update ${names[0]} 1`]) await seen.came(text);
  assert.deepEqual([seen.data(names[999]), seen.data(names[0]), made.errors], [[1, 2], [1], []]);
});

test("one wrong entry is refused by its name, and all the others come", async (t) => {
  const { broker, made } = await blocked(t);
  await broker.publish("w.good", "state", 1);
  const good = watch(made, "w.good");
  await good.came("image w.good 1");
  const mixed = watch(made, ["w.b", "w..x", "w.>.y", "a b"]);
  await mixed.came("topic w.b live");
  assert.deepEqual(mixed.messages.filter(({ op }) => op === "error").map(({ topic, code, retry }) => [topic, code, retry]),
    [["w..x", "bad_topic", false], ["w.>.y", "bad_pattern", false], ["a b", "bad_topic", false]]);
  await broker.publish("w.good", "state", 2);
  await good.came("update w.good 2");
  assert.deepEqual(made.errors.map(({ code }) => code), ["bad_topic", "bad_pattern", "bad_topic"]);
});

test("a client that is not allowed gets the reason, and does not try forever", async (t) => {
  const broker = await Broker.start(t);
  const foreign = (url, options) => fetch(url, { ...options, headers: { ...options.headers, Origin: "http://evil.example" } });
  const made = client(t, broker.url, { transports: ["sse"], fetch: foreign });
  await event(made, "close", ({ reconnect }) => !reconnect);
  assert.match(made.errors[0].message, /evil\.example/);
});

test("a silent network is noticed, with and without subscriptions; a quiet market is not a silent network", async (t) => {
  for (const topics of [["q.quiet"], []]) {
    const { proxy, made } = await blocked(t, { flags: ["--heartbeat-ms", "200"] });
    const seen = watch(made, "q.once");
    await seen.came("topic q.once live");
    const closes = record(made, "close"), since = performance.now();
    if (topics.length > 0) watch(made, topics);
    else seen.subscription.unsubscribe();
    // Longer than the client waits: the heartbeat and a second.
    await until(() => performance.now() - since > 2_000, "some silence");
    assert.deepEqual([made.state, closes], ["open", []]);
    proxy.silence();
    await until(() => made.state === "stale", "stale");
    made.close();
  }
});

test("curl: a stream, and one that resumes from its last id", { skip: !(await hasCurl()) && "no curl" }, async (t) => {
  const broker = await Broker.start(t);
  await broker.publish("curl.a", "event", 1);
  const address = `http://${broker.address}/v1/sse?topic=curl.a&topic=curl.%3E`;
  const first = curl(t, address);
  await first.said(/^data: \{"op":"hello".*\n\n(id: \d+\n)?data: \{"op":"subscribed"/);
  await broker.publish("curl.a", "event", 2);
  await first.said(/"topic":"curl.a","seq":2/);
  // Not every turn ends with the connection in step, so not every event has an id.
  const [, id] = await until(async () => {
    await broker.publish("curl.b", "event", "b");
    return /^id: (\d+)\ndata: \{"op":"update","topic":"curl.b".*\n\n/m.exec(first.text);
  }, "an id");
  first.end();
  await broker.publish("curl.a", "event", 3);
  const second = curl(t, address, "-H", `Last-Event-ID: ${id}`);
  await second.said(/"topic":"curl.a".*"start":"resumed"/);
  await second.said(/^(id: \d+\n)?data: \{"op":"update","topic":"curl.a","seq":3/m);
  assert.doesNotMatch(second.text, /"curl.a","seq":[12],"ts"/);
});

function hasCurl() {
  const found = new Promise((resolve) => execFile("curl", ["--version"], (error) => resolve(!error)));
  return found.then((has) => {
    if (!has && process.env.CI === "true") throw new Error("curl is not installed");
    return has;
  });
}

function curl(test, ...args) {
  const started = start("curl", ["-sN", ...args], { stdio: ["ignore", "pipe", "inherit"] });
  test.after(() => started.kill());
  const reader = {
    text: "",
    said: (pattern) => until(() => pattern.exec(reader.text), `${pattern} of curl`).catch((error) => { throw new Error(`${error.message}: ${reader.text}`); }),
    end: () => started.kill(),
  };
  started.stdout.setEncoding("utf8").on("data", (text) => { reader.text += text; });
  return reader;
}
