/** Several addresses: in which order they are tried, when there is a wait, and where a client resumes. */
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { once } from "node:events";
import { test } from "node:test";
import { connect } from "../tickcast.js";
import { Addresses } from "../tickcast/addresses.js";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";

/** With this, the addresses are tried in the order of the list, and each wait is the longest possible. */
const IN_ORDER = { random: () => 1 };

const update = (seq) => ({ op: "update", topic: "t", seq, ts: 1, data: seq });

/** Brokers that send whatever the test wants. */
const fakes = (t, count, options) => Promise.all(Array.from({ length: count }, () => Fake.start(t, options)));
const urls = (brokers) => brokers.map(({ url }) => url);

/** An address without a listener. */
async function nowhere() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return `ws://127.0.0.1:${port}`;
}

test("a list has at least one address, each of a form that an address alone may have", () => {
  const wrong = [
    [[], /the list of addresses is empty: connect needs at least one/],
    [["ws://a", "ftp://b"], /^TypeError: ftp:\/\/b is not the address of a broker: it must begin with ws, wss, http or https/],
    [["ws://a", "nonsense"], /^TypeError: nonsense is not the address of a broker/],
    [["ws://a", "b?token=secret"], /^TypeError: b\?token=… is not/],
    [["ws://a", undefined], /an address in a list is a string or a URL, not undefined/],
    [[null], /a string or a URL, not null/],
    [[["ws://a"]], /a string or a URL, not object/],
  ];
  for (const [addresses, said] of wrong) assert.throws(() => connect(addresses), said);
  assert.throws(() => connect("nonsense"), /nonsense is not the address of a broker/);
  const addresses = new Addresses(["ws://a", "https://b:1/", new URL("http://c/path"), "ws://a/v1/ws#x"], () => 1);
  assert.deepEqual(addresses.all, ["ws://a/v1/ws", "wss://b:1/v1/ws", "ws://c/path"]);
});

test("each client has a random order of its own, in which every order is as likely", () => {
  const given = ["ws://a", "ws://b", "ws://c"], orders = new Map();
  // Every pair of numbers that decides between the places of the last and of the second.
  for (const last of [0, 0.4, 0.8]) {
    for (const second of [0, 0.6]) {
      const chances = [last, second];
      const { all } = new Addresses(given, () => chances.shift());
      orders.set(String(all), [...all].sort());
    }
  }
  assert.equal(orders.size, 6);
  for (const sorted of orders.values()) assert.deepEqual(sorted, given.map((url) => `${url}/v1/ws`));
  const addresses = new Addresses(given, () => 1);
  addresses.advance();
  assert.deepEqual([addresses.url, addresses.others], ["ws://b/v1/ws", ["ws://c/v1/ws", "ws://a/v1/ws"]]);
  addresses.move("ws://c/v1/ws");
  addresses.advance();
  assert.equal(addresses.url, "ws://a/v1/ws");
});

test("an address that fails is followed by the next at once, and only when all have failed there is a wait, which doubles", async (t) => {
  const list = [await nowhere(), await nowhere(), await nowhere()];
  const made = client(t, list, { ...IN_ORDER, transports: ["websocket"], reconnect_first_ms: 4, reconnect_max_ms: 16 });
  const closes = record(made, "close"), tried = [];
  made.addEventListener("close", () => tried.push(made.url));
  await until(() => closes.length >= 12, "twelve attempts");
  assert.deepEqual(closes.slice(0, 12).map(([, { delay_ms }]) => delay_ms), [0, 0, 4, 0, 0, 8, 0, 0, 16, 0, 0, 16]);
  // The address of the attempt that follows each.
  const endpoints = list.map((url) => `${url}/v1/ws`);
  assert.deepEqual(tried.slice(0, 5), [1, 2, 0, 1, 2].map((at) => endpoints[at]));
  assert.deepEqual(made.errors.map(({ code }) => code), ["unreachable"]);
  for (const url of endpoints) assert.ok(made.errors[0].message.includes(url), made.errors[0].message);
});

test("a lost connection continues at another address, where it was", async (t) => {
  const [a, b] = await fakes(t, 2);
  const made = await connected(t, urls([a, b]), IN_ORDER);
  assert.equal(made.url, `${a.url}/v1/ws`);
  const seen = watch(made, "t"), closes = record(made, "close");
  await a.begin({ kind: "event", epoch: "e", seq: 5, start: "live" });
  a.send(update(6));
  await seen.came("update t 6");
  a.close(1011, "");
  assert.deepEqual(await b.begin({ kind: "event", epoch: "e", seq: 8, start: "resumed" }), [{ topic: "t", epoch: "e", seq: 6 }]);
  b.send(update(7), update(8));
  await seen.came("update t 8");
  assert.deepEqual([made.url, closes.map(([, { delay_ms }]) => delay_ms)], [`${b.url}/v1/ws`, [0]]);
  // That connection did not last: it is the second of two that failed in a row.
  b.close(1011, "");
  await event(made, "close");
  assert.equal(closes[1][1].delay_ms, 20);
  await a.begin({ kind: "event", epoch: "e", seq: 8, start: "resumed" });
  assert.deepEqual([seen.data("t"), made.errors, a.connections, b.connections], [[6, 7, 8], [], 2, 1]);
});

test("a position holds at another address, and so does an id of Server-Sent Events", async (t) => {
  const [a, b] = await fakes(t, 2);
  const made = await connected(t, urls([a, b]), IN_ORDER);
  const seen = watch(made, "*");
  await a.begin({}, 1);
  a.send({ op: "topic", topic: "t", kind: "event", epoch: "e", seq: 0, oldest: 1, start: "live", conflate_ms: 0 }, update(1), { op: "ready", id: 1 }, { op: "position", id: "41" });
  await a.heard(made);
  a.close(1011, "");
  const { topics, resume } = await b.next("subscribe");
  assert.deepEqual([topics, resume], [["*"], "41"]);

  const [c, d] = await Promise.all([SseBroker.start(t), SseBroker.start(t)]);
  const other = await connected(t, [c.url, d.url], { ...IN_ORDER, transports: ["sse"] });
  const watched = watch(other, "t");
  await c.begin(["t"], { kind: "event", epoch: "e", seq: 5, start: "live" });
  c.send(update(6));
  await watched.came("update t 6");
  c.open[0].response.end();
  await until(() => d.streams.length > 0, "a stream at the other address");
  assert.deepEqual(d.asked, [["t", "7"]]);
  assert.deepEqual([seen.brief().at(-1), made.errors, other.errors], ["update t 1", [], []]);
});

test("a broker that asks for a wait gets it before another address is tried", async (t) => {
  const cases = [
    [(fake) => fake.close(4029, "full"), 200],
    [(fake) => { fake.send({ op: "goaway", reason: "rate_limited", after_ms: 60 }); fake.close(4029, ""); }, 90],
    // One that only stops does not ask for a wait elsewhere.
    [(fake) => { fake.send({ op: "goaway", reason: "shutdown", after_ms: 600_000 }); fake.close(1001, ""); }, 0],
  ];
  for (const [end, delay_ms] of cases) {
    const [a, b] = await fakes(t, 2);
    const made = await connected(t, urls([a, b]), IN_ORDER), closed = event(made, "close");
    end(a);
    assert.equal((await closed).delay_ms, delay_ms);
    await event(made, "open");
    assert.deepEqual([a.connections, b.connections], [1, 1]);
    made.close();
  }
  const [c, d] = await Promise.all([SseBroker.start(t), SseBroker.start(t)]);
  c.next.GET = [429, { "Retry-After": "1" }, { error: { code: "rate_limited", message: "slowly" } }];
  const made = client(t, [c.url, d.url], { ...IN_ORDER, transports: ["sse"] });
  assert.equal((await event(made, "close")).delay_ms, 1_500);
});

test("when every broker stops, the time that one asked for counts", async (t) => {
  const a = await Fake.start(t);
  const made = await connected(t, [a.url, await nowhere()], { ...IN_ORDER, transports: ["websocket"] });
  const closes = record(made, "close");
  a.send({ op: "goaway", reason: "shutdown", after_ms: 60_000 });
  a.close(1001, "");
  await until(() => closes.length === 2, "two failures");
  assert.deepEqual(closes.map(([, { delay_ms }]) => delay_ms), [0, 90_000]);
});

test("a token that is refused is not tried at the other addresses", async (t) => {
  const options = { auth: "required", tokens: {} };
  const [a, b, c] = await fakes(t, 3, options);
  const string = client(t, urls([a, b, c]), { ...IN_ORDER, token: "wrong" });
  await event(string, "close", ({ reconnect }) => !reconnect);
  assert.deepEqual([string.errors.map(({ code }) => code), a.connections, b.connections, c.connections], [["bad_token"], 1, 0, 0]);
  let asked = 0;
  const again = client(t, urls([a, b, c]), { ...IN_ORDER, token: () => `wrong ${++asked}` });
  await event(again, "close", ({ reconnect }) => !reconnect);
  assert.deepEqual([again.errors.map(({ code }) => code), a.connections, b.connections, c.connections, asked], [["bad_token"], 3, 0, 0, 2]);
});

test("a network without WebSockets: each address is tried with one before Server-Sent Events are used", async (t) => {
  const brokers = await Promise.all([SseBroker.start(t), SseBroker.start(t)]);
  const made = await connected(t, urls(brokers), { ...IN_ORDER, websocket_again_ms: 600_000 });
  assert.deepEqual([made.transport, made.url, brokers.map(({ upgrades }) => upgrades)], ["sse", `${brokers[1].url}/v1/ws`, [1, 1]]);
  // One that ends is left for the other, and a WebSocket is tried there first.
  const seen = watch(made, "t");
  await brokers[1].begin(["t"], { kind: "event", epoch: "e", seq: 5, start: "live" });
  await seen.came("topic t live");
  brokers[1].open[0].response.end();
  await brokers[0].begin(["t"], { kind: "event", epoch: "e", seq: 5, start: "resumed" });
  await until(() => made.state === "open", "open");
  assert.deepEqual([made.transport, made.url, brokers.map(({ upgrades }) => upgrades)], ["sse", `${brokers[0].url}/v1/ws`, [2, 1]]);
});
