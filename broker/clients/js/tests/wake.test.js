/** Waking from sleep, changed networks, and stopped brokers with open connections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { Proxy } from "./support/proxy.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";
import { jumpingClock, withWindow } from "./support/window.js";

const { window, page, show } = withWindow();

/** The reason after an unanswered probe. With the heartbeat of these brokers, silence is usually tolerated for 37.5 s. */
const UNANSWERED = "nothing came for 3000 ms";
/** The reason if a stream cannot be opened anew from where it is, so that the connection is replaced. */
const UNASKABLE = "the network may have changed";

test("each sign of waking asks the broker at once; an answer is enough", async (t) => {
  const wall = jumpingClock(t, Date), monotonic = jumpingClock(t, performance);
  const fake = await Fake.start(t);
  const made = await connected(t, fake.url), closes = record(made, "close");
  const signs = {
    online: () => window("online"), pageshow: () => window("pageshow"), visible: () => show(true), resume: () => page("resume"),
    "a wall clock that jumped ahead": () => wall(3_600_000), "one that was set back": () => wall(-3_600_000), "a late timer": () => monotonic(7_000),
  };
  for (const [name, sign] of Object.entries(signs)) {
    sign();
    const { id } = await fake.next("ping").catch((error) => { throw new Error(`${name}: ${error.message}`); });
    // While it waits for the answer, it does not ask again.
    window("online");
    fake.send({ op: "pong", id, ts: 1 });
    await fake.heard(made);
    assert.deepEqual(fake.received, [], name);
  }
  show(false);
  await fake.heard(made);
  assert.deepEqual([fake.received, closes, made.state], [[], [], "open"]);
  made.close();
  window("online");
  assert.equal(fake.connections, 1);
});

test("a link that does not answer is given up within seconds; while something comes it is not", async (t) => {
  const fake = await Fake.start(t), made = await connected(t, fake.url);
  const heartbeats = setInterval(() => fake.send({ op: "heartbeat", ts: 1 }), 100);
  t.after(() => clearInterval(heartbeats));
  const asked = performance.now();
  window("online");
  await fake.next("ping");
  // It is slow, but it is alive.
  await until(() => performance.now() - asked > 4_000, "longer than its patience");
  assert.equal(made.state, "open");
  const closed = event(made, "close");
  clearInterval(heartbeats);
  assert.equal((await closed).reason, UNANSWERED);
  await event(made, "open");
});

test("the same over a real link, with either transport, and nothing is lost", async (t) => {
  for (const transport of ["websocket", "sse"]) {
    const broker = await Broker.start(t), proxy = await Proxy.start(t, broker);
    const made = await connected(t, proxy.url, { transports: [transport] }), states = record(made, "statechange");
    const seen = watch(made, ["w.a", "w.b.*"]);
    await seen.came("topic w.a live");
    await broker.publish("w.a", "event", 1);
    await seen.came("update w.a 1");
    const before = proxy.connections;
    for (const number of [2, 3]) {
      window("online");
      await broker.publish("w.a", "event", number);
      await seen.came(`update w.a ${number}`);
    }
    assert.deepEqual(states, [], transport);
    // Over Server-Sent Events, the broker can only be asked by opening the stream anew.
    if (transport === "sse") assert.ok(proxy.connections > before);
    proxy.silence();
    const closed = event(made, "close");
    window("online");
    const { reason } = await closed;
    assert.ok([UNANSWERED, UNASKABLE].includes(reason), reason);
    assert.equal(made.state, "stale");
    made.close();
  }
});

test("a stopped broker is given up after one and a half heartbeats, or when it is asked", async (t) => {
  for (const [heartbeat_ms, wakes, said] of [[2_000, false, "nothing came for 3000 ms"], [20_000, true, UNANSWERED]]) {
    for (const transport of ["websocket", "sse"]) {
      const broker = await Broker.start(t, ["--heartbeat-ms", String(heartbeat_ms)]);
      const made = await connected(t, broker.url, { transports: [transport], connect_timeout_ms: 300 });
      const { came, brief } = watch(made, "still.a");
      await came("topic still.a live");
      const closed = event(made, "close");
      await broker.standStill();
      if (wakes) window("online");
      assert.match((await closed).reason, transport === "sse" ? new RegExp(`${said}|${UNASKABLE}`) : new RegExp(said), transport);
      const opened = event(made, "open");
      broker.goOn();
      await opened;
      await broker.publish("still.a", "state", 1);
      // An image, if the client joins only after that.
      await until(() => brief().some((one) => /^(update|image) still.a 1$/.test(one)), `the state over ${transport}`);
      made.close();
      await broker.kill();
    }
  }
});

test("over Server-Sent Events the answer to an earlier check does not answer the question whether the broker is there", async (t) => {
  const broker = await SseBroker.start(t);
  let asked = 0, deliver;
  const held = new Promise((resolve) => { deliver = resolve; });
  // Gets through: the request that opens the connection. Held back: the answer to the first check. Then nothing.
  const holding = (url, options) => {
    const number = (asked += 1);
    if (number === 1) return fetch(url, options);
    return number === 2 ? held.then(() => new Response("{}")) : new Promise(() => {});
  };
  const made = await connected(t, broker.url, { transports: ["sse"], fetch: holding });
  await until(() => asked === 2, "the first check");
  const closed = event(made, "close");
  window("online");
  assert.ok(asked > 2, "it was asked anew");
  deliver();
  assert.equal((await closed).reason, UNANSWERED);
});

test("the wait before reconnecting ends at once, unless the broker asked for it", async (t) => {
  const slow = { reconnect_first_ms: 60_000, reconnect_max_ms: 60_000, random: () => 1, transports: ["websocket"] };
  for (const [sign, close, comesBack] of [
    [() => window("online"), (fake) => fake.close(1011, ""), true],
    [() => show(true), (fake) => fake.close(1011, ""), true],
    [() => window("online"), (fake) => fake.close(4029, "full"), false],
    [() => window("online"), (fake) => { fake.send({ op: "goaway", reason: "shutdown", after_ms: 30_000 }); fake.close(1001, ""); }, false],
  ]) {
    const fake = await Fake.start(t), made = await connected(t, fake.url, slow);
    const closed = event(made, "close");
    close(fake);
    assert.ok((await closed).delay_ms >= 45_000);
    sign();
    if (comesBack) await event(made, "open");
    else assert.deepEqual([made.state, fake.connections], ["stale", 1]);
    made.close();
  }
});

test("after a sleep the broker is asked before its silence counts", async (t) => {
  const monotonic = jumpingClock(t, performance);
  const fake = await Fake.start(t), made = await connected(t, fake.url), closes = record(made, "close");
  // Hours, on a clock that continues during sleep. What came in the meantime is still to be read.
  monotonic(7_200_000);
  const { id } = await fake.next("ping");
  fake.send({ op: "pong", id, ts: 1 });
  await fake.heard(made);
  assert.deepEqual([closes, made.state], [[], "open"]);
});
