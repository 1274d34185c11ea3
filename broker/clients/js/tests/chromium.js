/** The client as a broker serves it, in Chromium, over a network that the test cuts. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { Proxy } from "./support/proxy.js";
import { untilInPage as until } from "./support/page.js";

const { withChromium } = createRequire(import.meta.url)("../../../tests/foreign/chromium.cjs");

test("a page imports it from its broker, and continues through cuts and restarts", async (t) => {
  const broker = await Broker.start(t);
  const proxy = await Proxy.start(t, broker);
  await broker.publish("page.book", "state", { bids: { "1.0": "5" } });
  await withChromium(async ({ go, run }) => {
    await go(`${proxy.url.replace("ws", "http")}/v1/topics`);
    const begun = await run(`{
      const { connect } = await import("/tickcast.js");
      window.seen = [];
      window.client = connect(undefined, { reconnect_first_ms: 20, reconnect_max_ms: 100 });
      window.states = [];
      client.addEventListener("statechange", ({ state }) => states.push(state));
      client.addEventListener("error", ({ error }) => seen.push("error " + error.message));
      window.book = client.subscribe("page.book", ({ op, seq }) => seen.push(op + " " + (seq ?? "")));
      window.trades = [];
      client.subscribe("page.trade.*", { from: { last: 10 } }, ({ op, data }) => op === "update" && trades.push(data));
      await ${until('seen.includes("image 1")')};
      return [client.url, client.transport, client.state, book.state("page.book")];
    }`);
    assert.deepEqual(begun, [`${proxy.url}/v1/ws`, "websocket", "open", { bids: { "1.0": "5" } }]);

    const published = await run(`client.publish("page.trade.x", "<script>alert(1)</script>", { kind: "event" })`);
    assert.equal(published.seq, 1);
    await broker.publish("page.book", "patch", { bids: { "1.0": null, "0.9": "3" } });
    await run(until('seen.includes("patch 2") && trades.length === 1'));

    proxy.refuse();
    await run(until('client.state === "stale"'));
    await broker.publish("page.trade.x", "event", 2);
    await broker.publish("page.book", "patch", { asks: { "1.1": "7" } });
    proxy.allow();
    await run(until('client.state === "open" && trades.length === 2 && book.state("page.book").asks'));

    await broker.restart();
    await run(until('seen.some((line) => line.startsWith("closed"))'));
    await broker.publish("page.book", "state", "another life");
    await run(until('book.state("page.book") === "another life"'));

    const iterated = await run(`{
      const data = [];
      for await (const message of client.subscribe("page.book")) {
        if (message.op === "image") { data.push(message.data); break; }
      }
      client.close();
      return [data, states, client.state, trades, seen.filter((line) => line.startsWith("error"))];
    }`);
    assert.deepEqual(iterated, [["another life"], ["open", "stale", "open", "stale", "open", "closed"], "closed",
      ["<script>alert(1)</script>", 2], []]);
  });
});
