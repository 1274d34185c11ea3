/** Tokens in Chromium: over a WebSocket, and over Server-Sent Events from another origin. */
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { until } from "./support/wait.js";
import { untilInPage } from "./support/page.js";

const { withChromium } = createRequire(import.meta.url)("../../../tests/foreign/chromium.cjs");

const user = (expires_ts) => ({ sub: "a", expires_ts, allow: { sub: [">"], pub: [], deny: [] } });
const tokens = { first: user(1), second: user(2) };
const state = { kind: "state", epoch: "e", seq: 3, start: "image" };
const image = { op: "image", topic: "t", epoch: "e", seq: 3, ts: 1, data: 3 };

/** A page of another origin with a client whose token function returns these tokens in turn. */
const page = (url, transport, given) => `{
  const { connect } = await import("/tickcast.js");
  window.seen = [];
  const tokens = ${JSON.stringify(given)};
  const token = async () => tokens.length > 1 ? tokens.shift() : tokens[0];
  window.client = connect("${url}", { transports: ["${transport}"], token, reconnect_first_ms: 20, reconnect_max_ms: 100 });
  client.addEventListener("authenticated", ({ sub, expires_ts }) => seen.push("authenticated " + sub + " " + expires_ts));
  client.addEventListener("error", ({ error }) => seen.push("error " + error.code));
  client.subscribe("t", ({ op, seq }) => seen.push(op + " " + seq));
}`;

test("over a WebSocket: the token first, a renewal, and a token that is refused twice", async (t) => {
  const server = await Broker.start(t), fake = await Fake.start(t, { auth: "required", tokens });
  await withChromium(async ({ go, run }) => {
    await go(`http://${server.address}/v1/topics`);
    await run(page(fake.url, "websocket", ["wrong", "first", "second"]));
    await fake.begin(state);
    fake.send(image);
    await run(untilInPage('seen.includes("image 3")'));
    fake.send({ op: "reauth", expires_ts: 1 });
    await run(untilInPage('seen.includes("authenticated a 2")'));
    assert.deepEqual(await run("seen"), ["authenticated a 1", "topic 3", "image 3", "authenticated a 2"]);
    assert.deepEqual([fake.authenticated, fake.connections], [["wrong", "first", "second"], 2]);
    await run("client.close()");
    await run(page(fake.url, "websocket", ["old", "older"]));
    await run(untilInPage('client.state === "closed"'));
    assert.deepEqual(await run("seen"), ["error bad_token"]);
    assert.equal(fake.connections, 4);
  });
});

test("over Server-Sent Events from another origin: the header, a renewal by a stream opened anew, and 401", async (t) => {
  const server = await Broker.start(t), broker = await SseBroker.start(t, { tokens });
  broker.id = 9;
  await withChromium(async ({ go, run }) => {
    await go(`http://${server.address}/v1/topics`);
    await run(page(broker.url, "sse", ["wrong", "first", "second"]));
    await broker.begin(["t"], state);
    broker.send(image, { op: "reauth", expires_ts: 1 });
    await until(() => broker.streams.length === 2, "another stream");
    await run(untilInPage('seen.includes("authenticated a 2")'));
    assert.deepEqual([broker.asked, broker.authorizations.at(-1)[1]], [[["t", null], ["t", "9"]], "Bearer second"]);
    assert.deepEqual((await run("seen")).filter((line) => line.startsWith("error")), []);
    await run("client.close()");
    await run(page(broker.url, "sse", ["old", "older"]));
    await run(untilInPage('client.state === "closed"'));
    assert.deepEqual(await run("seen"), ["error bad_token"]);
  });
});
