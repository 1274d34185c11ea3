/** Server-Sent Events in Chromium: its own `EventSource`, and the client in a network that blocks WebSockets. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { Proxy } from "./support/proxy.js";
import { untilInPage } from "./support/page.js";
import { numbers } from "./support/whole.js";

const { withChromium } = createRequire(import.meta.url)("../../../tests/foreign/chromium.cjs");

test("an EventSource resumes by itself after its network was cut; the client resumes too, and switches over", async (t) => {
  const broker = await Broker.start(t);
  const proxy = await Proxy.start(t, broker);
  await broker.publish("es.book", "state", "old");
  await withChromium(async ({ go, run }) => {
    await go(`${proxy.url.replace("ws", "http")}/v1/topics`);
    await run(`{
      window.seen = [];
      window.source = new EventSource("/v1/sse?topic=es.book&topic=es.trade.*");
      source.onmessage = ({ data, lastEventId }) => {
        const { op, topic, seq } = JSON.parse(data);
        seen.push([op, topic ?? "", seq ?? "", lastEventId === "" ? "" : "id"].join(" "));
      };
      await ${untilInPage('seen.some((line) => line.startsWith("image es.book 1"))')};
    }`);
    for (const number of numbers(1, 3)) await broker.publish("es.trade.x", "event", number);
    // Wait until an id holds for them, because what a browser got after its last id comes again.
    await run(untilInPage('seen.includes("update es.trade.x 3 id")'));
    proxy.refuse();
    await run(untilInPage("source.readyState === EventSource.CONNECTING"));
    for (const number of numbers(4, 6)) await broker.publish("es.trade.x", "event", number);
    proxy.allow();
    await run(untilInPage('seen.some((line) => line.startsWith("update es.trade.x 6"))'));
    const updates = await run('seen.filter((line) => line.startsWith("update es.trade.x")).map((line) => Number(line.split(" ")[2]))');
    // Those after the last id may have come twice; none is missing.
    assert.deepEqual([...new Set(updates)], numbers(1, 6));
    assert.deepEqual(updates.slice(-3), numbers(4, 6));

    // A refusal ends it: an EventSource does not retry that.
    assert.deepEqual(await run(`{
      source.close();
      const wrong = new EventSource("/v1/sse?topic=a..b");
      await new Promise((resolve) => { wrong.onerror = resolve; });
      return wrong.readyState;
    }`), 2);

    proxy.upgrades = "cut";
    await run(`{
      const { connect } = await import("/tickcast.js");
      window.seen = [];
      window.client = connect(undefined, { reconnect_first_ms: 20, reconnect_max_ms: 100, websocket_again_ms: 200 });
      client.addEventListener("error", ({ error }) => seen.push("error " + error.message));
      client.addEventListener("gap", ({ topic }) => seen.push("gap " + topic));
      window.book = client.subscribe("es.book", ({ op, seq }) => seen.push(op + " " + (seq ?? "")));
      window.trades = [];
      await ${untilInPage('client.transport === "sse"')};
      client.subscribe("es.trade.*", ({ op, data }) => op === "update" && trades.push(data));
      client.subscribe("es.begun", ({ op, start }) => seen.push(op + " begun " + (start ?? "")));
      await ${untilInPage('seen.includes("topic begun live") && seen.includes("image 1")')};
    }`);
    const published = await run('client.publish("es.trade.x", 7)');
    assert.equal(published.seq, 7);
    await run(untilInPage("trades.length === 1"));
    proxy.cut();
    await broker.publish("es.trade.x", "event", 8);
    await run(untilInPage("trades.length === 2"));
    proxy.refuse();
    await run(untilInPage('client.state === "stale"'));
    await broker.publish("es.trade.x", "event", 9);
    await broker.publish("es.book", "state", "new");
    proxy.allow();
    await run(untilInPage('client.transport === "sse" && trades.length === 3 && book.state("es.book") === "new"'));
    proxy.upgrades = null;
    await run(untilInPage('client.transport === "websocket"'));
    await broker.publish("es.trade.x", "event", 10);
    await run(untilInPage("trades.length === 4"));
    assert.deepEqual(await run('[trades, seen.filter((line) => /^(error|gap)/.test(line))]'), [numbers(7, 10), []]);
    await run("client.close()");
  });
});
