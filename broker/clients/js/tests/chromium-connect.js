/** In Chromium: a page that is not allowed to connect gets an error, and a page whose link died notices when its browser does. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { Proxy } from "./support/proxy.js";
import { untilInPage as until } from "./support/page.js";

const { withChromium } = createRequire(import.meta.url)("../../../tests/foreign/chromium.cjs");

test("a page of an origin that is not allowed, and one with a wrong port", async (t) => {
  const [own, foreign] = [await Broker.start(t), await Broker.start(t)];
  await withChromium(async ({ go, run }) => {
    await go(`http://${own.address}/v1/topics`);
    for (const [address, why] of [[foreign.address, `does not allow pages of http://${own.address} (see its setting allow_origin)`], ["127.0.0.1:1", "no broker is listening there"]]) {
      const said = await run(`{
        const { connect } = await import("/tickcast.js");
        window.seen = [];
        const client = connect("ws://${address}", { reconnect_first_ms: 20, reconnect_max_ms: 100 });
        const errors = [];
        client.addEventListener("error", ({ error }) => errors.push([error.code, error.url, error.message]));
        client.addEventListener("close", ({ reconnect }) => seen.push(reconnect));
        await ${until("seen.length > 9")};
        const { state } = client;
        client.close();
        return [errors, state, seen.slice(0, 9).every(Boolean)];
      }`);
      assert.deepEqual([said[0].length, said[1], said[2]], [1, "connecting", true], JSON.stringify(said));
      const [code, url, message] = said[0][0];
      assert.deepEqual([code, url], ["unreachable", `ws://${address}/v1/ws`]);
      assert.ok(message.includes(why), message);
    }
  });
});

test("a link that died without a sign is noticed when the browser is online again, and when the page is shown again", async (t) => {
  const broker = await Broker.start(t);
  await withChromium(async ({ go, run }) => {
    for (const sign of [`window.dispatchEvent(new Event("online"))`, `document.dispatchEvent(new Event("visibilitychange"))`]) {
      const proxy = await Proxy.start(t, broker);
      await go(`${proxy.url.replace("ws", "http")}/v1/topics`);
      await run(`{
        const { connect } = await import("/tickcast.js");
        window.seen = [];
        window.client = connect(undefined, { reconnect_first_ms: 20, reconnect_max_ms: 100 });
        client.addEventListener("close", ({ reason }) => seen.push(reason));
        client.subscribe("wake.a", ({ op, seq }) => seen.push(op + " " + (seq ?? "")));
        await ${until('seen.includes("topic 0")')};
      }`);
      proxy.stall();
      await run(`{ ${sign}; await ${until('seen.includes("nothing came for 3000 ms") && client.state === "open"')}; }`);
      await broker.publish("wake.a", "event", sign);
      await run(`{ await ${until('seen.some((line) => line.startsWith("update"))')}; client.close(); }`);
      await broker.delete("wake.a");
    }
  });
});

test("a page with several addresses goes on at another one when its broker is killed, over either transport", async (t) => {
  const own = await Broker.start(t), flags = ["--allow-origin", `http://${own.address}`];
  const brokers = [await Broker.start(t, flags), await Broker.start(t, flags)];
  await withChromium(async ({ go, run }) => {
    for (const transport of ["websocket", "sse"]) {
      await go(`http://${own.address}/v1/topics`);
      const url = await run(`{
        const { connect } = await import("/tickcast.js");
        window.seen = [];
        window.client = connect(${JSON.stringify(brokers.map((broker) => broker.url))}, { transports: ["${transport}"], reconnect_first_ms: 20, reconnect_max_ms: 100 });
        client.subscribe("several.a", ({ op, data }) => seen.push(op + " " + (data ?? "")));
        await ${until('seen.includes("topic ")')};
        return client.url;
      }`);
      const used = brokers.findIndex((broker) => url === `${broker.url}/v1/ws`), other = brokers[1 - used];
      await brokers[used].kill();
      await other.publish("several.a", "event", transport);
      assert.equal(await run(`{ await ${until(`seen.includes("update ${transport}")`)}; const { url } = client; client.close(); return url; }`), `${other.url}/v1/ws`);
      await other.delete("several.a");
      await brokers[used].start();
    }
  });
});
