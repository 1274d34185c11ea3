/** Several addresses with real brokers, over both transports. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { event, record, until } from "./support/wait.js";
import { numbers, staysWholeWhileCut } from "./support/whole.js";

/** With this, the addresses are tried in the order of the list, and the client looks at other ones at once. */
const inOrder = () => {
  const chances = [1];
  return { random: () => chances.pop() ?? 0 };
};

for (const transport of ["websocket", "sse"]) {
  const transports = [transport];

  test(`over ${transport}: a broker is killed, and events go on from another one, which has no common journal: the topics are reported as new`, async (t) => {
    const [a, b] = [await Broker.start(t), await Broker.start(t)];
    for (const broker of [a, b]) {
      for (const data of ["one", "two"]) await broker.publish("two.trade", "event", data);
      await broker.publish("two.quote", "state", broker.url);
    }
    await a.publish("two.alone", "event", 1);
    const made = await connected(t, [a.url, b.url], { ...inOrder(), transports });
    const closes = record(made, "close");
    const seen = watch(made, ["two.trade", "two.quote", "two.*"]);
    await seen.came("topic two.trade live");
    await seen.came("image two.quote 1");
    await seen.came("topic two.alone live");
    await a.publish("two.trade", "event", "three");
    await seen.came("update two.trade 3");
    await a.kill();
    const begins = () => seen.messages.filter(({ op, topic }) => op === "topic" && topic === "two.trade");
    await until(() => begins().length === 2, "another beginning");
    const [before, after] = begins();
    assert.ok(before.epoch !== after.epoch && after.start !== "resumed", JSON.stringify(after));
    await seen.came("closed two.alone");
    await b.publish("two.trade", "event", "other");
    await until(() => seen.data("two.trade").at(-1) === "other", "an update from the other broker");
    await until(() => seen.subscription.state("two.quote") === b.url, "its state");
    // What it has of another epoch is all new.
    assert.deepEqual(seen.data("two.trade"), ["three", "one", "two", "other"]);
    assert.deepEqual([made.url, closes.map(([, { delay_ms }]) => delay_ms), made.errors], [`${b.url}/v1/ws`, [0], []]);
    // And back.
    await a.start();
    await a.publish("two.trade", "event", "back");
    await b.kill();
    await until(() => seen.data("two.trade").at(-1) === "back", "an update from the first broker");
    assert.deepEqual([made.url, made.errors], [`${a.url}/v1/ws`, []]);
  });

  test(`over ${transport}: two ways to the same topics, of which one is always cut: no update is missing, and none comes twice`, async (t) => {
    const broker = await Broker.start(t);
    const proxies = [await Proxy.start(t, broker), await Proxy.start(t, broker)];
    const made = await connected(t, proxies.map(({ url }) => url), { transports });
    let cuts = 0;
    const cut = () => {
      const used = proxies.findIndex(({ url }) => made.url === `${url}/v1/ws`);
      proxies[1 - used].allow();
      proxies[used].refuse();
      cuts += 1;
    };
    await staysWholeWhileCut({ broker, proxy: { cut }, made });
    assert.ok(cuts === 8 && proxies.every(({ connections }) => connections > 2), `${cuts} cuts`);
  });

  test(`over ${transport}: a broker that stops is left before it closes, and no update is missing`, async (t) => {
    const [a, b] = [await Broker.start(t, ["--drain-ms", "60000"]), await Broker.start(t)];
    for (const data of numbers(1, 3)) await b.publish("stops.trade", "event", data);
    const made = await connected(t, [a.url, b.url], { ...inOrder(), transports });
    const seen = watch(made, "stops.trade"), events = record(made, "goaway", "open", "close");
    await seen.came("topic stops.trade live");
    const ended = a.kill("SIGTERM");
    await event(made, "open");
    assert.deepEqual([made.url, events.map(([type]) => type)], [`${b.url}/v1/ws`, ["goaway", "open"]]);
    await seen.came("update stops.trade 3");
    await ended;
    assert.deepEqual([made.state, seen.data("stops.trade"), made.errors], ["open", [1, 2, 3], []]);
  });
}
