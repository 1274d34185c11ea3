/** When no connection can be made, for a reason that a browser hides, the program gets one error, and the client keeps trying. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { test } from "node:test";
import { Outage } from "../tickcast/outage.js";
import { Broker } from "./support/broker.js";
import { client } from "./support/client.js";
import { event, record, until } from "./support/wait.js";

/** A port without a listener. */
async function freePort() {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address();
  server.close();
  await once(server, "close");
  return port;
}

/** Starts the broker and waits until the client is connected. The client may connect before the broker's log is read. */
async function serving(broker, made) {
  const opened = event(made, "open");
  await broker.start();
  await opened;
}

test("no listener: one error names the address and the possible reasons, and the client connects when there is a listener", async (t) => {
  for (const transports of [["websocket", "sse"], ["websocket"], ["sse"]]) {
    const broker = new Broker();
    broker.address = `127.0.0.1:${await freePort()}`;
    t.after(() => broker.kill());
    const made = client(t, broker.url, { transports }), closes = record(made, "close");
    made.subscribe("a");
    const { error } = await event(made, "error");
    const url = `${broker.url}/v1/ws`;
    assert.deepEqual([error.code, error.url, Object.keys(error.reasons)], ["unreachable", url, transports]);
    assert.ok(error.message.startsWith(`the broker at ${url} cannot be reached (${transports[0]}: `), error.message);
    assert.match(error.message, /Perhaps no broker is listening there, the address or the port is wrong, or the network blocks it\. The client keeps trying\.$/);
    await until(() => closes.length > 10, "more attempts");
    assert.deepEqual([made.state, made.errors.length], ["connecting", 1]);
    assert.ok(closes.every(([, { reconnect }]) => reconnect));
    await serving(broker, made);
    // A restart is not an outage yet.
    const stale = event(made, "close");
    await broker.kill();
    await stale;
    const lost = closes.length;
    await until(() => closes.length > lost + 5, "attempts");
    await serving(broker, made);
    assert.equal(made.errors.length, 1);
    made.close();
  }
});

test("when it is reported: at first when every transport has failed, after a connection when it is not back in ten seconds, and once", () => {
  const url = "ws://broker:9000/v1/ws";
  const outage = new Outage([url], ["websocket", "sse"]);
  assert.equal(outage.failed(url, "websocket", "", 0), null);
  const error = outage.failed(url, "sse", "Failed to fetch", 1);
  assert.deepEqual(error.reasons, { websocket: "it did not open", sse: "Failed to fetch" });
  assert.equal(outage.failed(url, "websocket", "", 1_000_000), null);
  outage.opened();
  assert.deepEqual([0, 9_999].map((now) => outage.failed(url, "websocket", "refused", now)), [null, null]);
  assert.equal(outage.failed(url, "websocket", "refused", 10_000).code, "unreachable");
  assert.equal(outage.failed(url, "sse", "refused", 90_000), null);
  outage.opened();
  assert.equal(outage.failed(url, "websocket", "refused", 100_000), null);
});

test("reasons that concern only pages are named if they are possible", (t) => {
  t.after(() => delete globalThis.location);
  const said = (origin, url) => {
    globalThis.location = new URL(origin);
    return new Outage([url], ["websocket"]).failed(url, "websocket", "", 0).message;
  };
  assert.match(said("https://shop.example/cart", "ws://broker.example:9000/v1/ws"),
    /the broker does not allow pages of https:\/\/shop\.example \(see its setting allow_origin\), the browser only lets a page loaded over https connect to wss, or/);
  assert.doesNotMatch(said("http://broker.example:9000/", "ws://broker.example:9000/v1/ws"), /allow_origin|https/);
});

test("several addresses: when each has failed, and every transport; the error names all of them", () => {
  const [one, two] = ["ws://one:9000/v1/ws?token=secret", "wss://two/v1/ws"];
  const outage = new Outage([one, two], ["websocket", "sse"]);
  assert.deepEqual([outage.failed(one, "websocket", "refused", 0), outage.failed(one, "sse", "refused", 1)], [null, null]);
  const error = outage.failed(two, "websocket", "", 2);
  assert.deepEqual([error.url, error.reasons], [two, { websocket: "it did not open", sse: "refused" }]);
  assert.match(error.message, /^none of the brokers can be reached: ws:\/\/one:9000\/v1\/ws\?token=… \(websocket: refused; sse: refused\), wss:\/\/two\/v1\/ws \(websocket: it did not open\)\. Perhaps no broker is listening at these addresses, the addresses or the ports are wrong, or the network blocks it\./);
  assert.equal(outage.failed(two, "sse", "", 3), null);
});
