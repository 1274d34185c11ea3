/** Tokens over Server-Sent Events and plain requests. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";

const SSE = { transports: ["sse"] };
const state = { kind: "state", epoch: "e", seq: 3, start: "image" };
const image = (topic, seq) => ({ op: "image", topic, epoch: "e", seq, ts: 1, data: seq });
const update = (topic, seq) => ({ op: "update", topic, epoch: "e", seq, ts: 1, data: seq });
const inTurn = (...tokens) => { let asked = 0; return () => tokens[Math.min(asked++, tokens.length - 1)]; };

test("every request has the token in its head; who it is is told once", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { secret: { sub: "a" } } });
  const made = await connected(t, broker.url, { ...SSE, token: "secret" }), told = record(made, "authenticated");
  const seen = watch(made, "a");
  broker.id = 5;
  await broker.begin(["a"], state);
  broker.send(image("a", 3));
  await seen.came("image a 3");
  watch(made, "b");
  await broker.begin(["b"], state);
  await broker.begin(["a", "b"], state);
  await made.publish("c", 1);
  assert.deepEqual([told.map(([, { sub }]) => sub), made.authenticated.sub, made.errors], [["a"], "a", []]);
  assert.deepEqual([...new Set(broker.authorizations.map(([, header]) => header))], ["Bearer secret"]);
  assert.deepEqual(new Set(broker.authorizations.map(([path]) => path)), new Set(["/v1/topics", "/v1/sse", "/v1/topics/c"]));
});

test("without a token there is no header", async (t) => {
  const broker = await SseBroker.start(t), made = await connected(t, broker.url, { ...SSE, token: () => undefined });
  watch(made, "a");
  await broker.begin(["a"], state);
  await made.publish("c", 1);
  assert.ok(broker.authorizations.every(([, header]) => header === null));
});

test("a renewal opens the stream anew with another token, where it is, and nothing is lost or comes twice", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { first: { sub: "a", expires_ts: 1 }, second: { sub: "a", expires_ts: 2 } } });
  const made = await connected(t, broker.url, { ...SSE, token: inTurn("first", "second") }), closes = record(made, "close");
  const seen = watch(made, "a");
  broker.id = 9;
  const before = await broker.begin(["a"], state);
  broker.send(image("a", 3), update("a", 4), { op: "reauth", expires_ts: 1 });
  await until(() => broker.streams.length === 2, "another stream");
  await broker.begin(["a"], { ...state, seq: 4, start: "resumed" });
  broker.send(update("a", 4), update("a", 5));
  await seen.came("update a 5");
  assert.deepEqual(seen.brief(), ["topic a image", "image a 3", "update a 4", "update a 5"]);
  await until(() => before.response.destroyed, "the end of the stream before");
  assert.deepEqual([broker.asked, made.authenticated.expires_ts, closes, made.errors], [[["a", null], ["a", "9"]], 2, [], []]);
  assert.equal(broker.authorizations.at(-1)[1], "Bearer second");
});

test("streams that all ask for a renewal get one token", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { first: { sub: "a" }, second: { sub: "a" } } });
  let asked = 0, give;
  const token = () => (++asked === 1 ? "first" : new Promise((resolve) => { give = resolve; }));
  const made = await connected(t, broker.url, { ...SSE, token });
  broker.id = null;
  watch(made, "a");
  await broker.begin(["a"], state);
  watch(made, "b");
  await broker.begin(["b"], state);
  for (const stream of [...broker.streams]) broker.to(stream, { op: "reauth", expires_ts: 1 });
  await until(() => asked === 2, "the function");
  await made.publish("c", 1);
  give("second");
  broker.id = 9;
  for (const stream of [...broker.streams]) broker.to(stream, image("a", 3));
  await until(() => broker.streams.length === 3, "one stream for both");
  assert.deepEqual([asked, broker.streams[2].topics, broker.authorizations.at(-1)[1]], [2, ["a", "b"], "Bearer second"]);
});

test("a stream that cannot be opened anew yet is, as soon as it has an id", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { first: { sub: "a" }, second: { sub: "a" } } });
  const made = await connected(t, broker.url, { ...SSE, token: inTurn("first", "second") });
  const seen = watch(made, "a");
  broker.id = null;
  await broker.begin(["a"], state);
  broker.send(image("a", 3), { op: "reauth", expires_ts: 1 });
  await seen.came("image a 3");
  assert.equal(broker.streams.length, 1);
  broker.id = 9;
  broker.send(update("a", 4));
  await until(() => broker.streams.length === 2, "another stream");
  assert.deepEqual(broker.streams[1].resume, "9");
});

test("a stream that ends with 4001 is resumed with another token", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { first: { sub: "a" }, second: { sub: "a" } } });
  const made = await connected(t, broker.url, { ...SSE, token: inTurn("first", "second") });
  const seen = watch(made, "a");
  broker.id = 9;
  await broker.begin(["a"], state);
  broker.send(image("a", 3));
  await seen.came("image a 3");
  delete broker.tokens.first;
  const closed = event(made, "close");
  broker.write(": closed 4001 token expired\n\n");
  broker.streams[0].response.end();
  const { code, reconnect } = await closed;
  assert.deepEqual([code, reconnect], [4001, true]);
  await until(() => broker.streams.length === 2, "another stream");
  assert.deepEqual([broker.streams[1].resume, broker.authorizations.at(-1)[1], made.errors], ["9", "Bearer second", []]);
});

test("401 is asked about once more, then the client ends; a string is sent once; no error repeats it", async (t) => {
  for (const [token, attempts] of [["marker-1", 1], [inTurn("marker-1", "marker-2", "marker-3"), 2], [undefined, 1]]) {
    const broker = await SseBroker.start(t, { tokens: {} });
    const made = client(t, broker.url, { ...SSE, token });
    const { error } = await event(made, "error");
    assert.deepEqual([error.code, made.state, broker.authorizations.length], ["bad_token", "closed", attempts]);
    assert.doesNotMatch(error.message, /marker/);
  }
});

test("a publish that is refused with 401 fails, and the connection gets another token", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { first: { sub: "a" }, second: { sub: "a" } } });
  const made = await connected(t, broker.url, { ...SSE, token: inTurn("first", "second") });
  // With a stream, nothing else is asked by itself; what was asked before has been.
  watch(made, "a");
  await broker.begin(["a"], state);
  await until(() => broker.authorizations.filter(([path]) => path === "/v1/topics").length === 2, "the first check");
  delete broker.tokens.first;
  await assert.rejects(made.publish("c", 1), { code: "bad_token", retry: false });
  await until(() => made.state === "open" && broker.authorizations.at(-1)[1] === "Bearer second", "another connection");
  assert.equal((await made.publish("c", 2)).topic, "c");
});

test("401 of a server in between is no matter of our token", async (t) => {
  const broker = await SseBroker.start(t);
  broker.next.GET = [401, {}, "log in to the hotel's network"];
  const made = client(t, broker.url, { ...SSE, token: "secret" });
  const { code, reconnect } = await event(made, "close");
  assert.deepEqual([code, reconnect], [1006, true]);
  await event(made, "open");
});

test("an update in flight when the connection is given up is sent again, and its first sending answers nothing", async (t) => {
  const broker = await SseBroker.start(t);
  let posts = 0;
  const holding = (url, options) => {
    if (options.method !== "POST" || (posts += 1) > 1) return fetch(url, options);
    return new Promise((_, reject) => options.signal.addEventListener("abort", () => reject(new Error("aborted"))));
  };
  const made = await connected(t, broker.url, { ...SSE, fetch: holding });
  watch(made, "a");
  const stream = await broker.begin(["a"], state);
  const published = made.publish("c", 1, { source: "s", source_seq: 1 });
  await until(() => posts === 1, "the first sending");
  stream.response.end();
  assert.deepEqual([(await published).topic, posts], ["c", 2]);
});

test("a stream that ends takes the others of its connection with it", async (t) => {
  const broker = await SseBroker.start(t), made = await connected(t, broker.url, SSE);
  broker.id = null;
  watch(made, "a");
  await broker.begin(["a"], state);
  watch(made, "b");
  const second = await broker.begin(["b"], state);
  const [first] = broker.streams, closed = event(made, "close");
  second.response.end();
  await closed;
  await until(() => first.response.destroyed, "the end of the other stream");
});

test("what the client tells itself is no sign of life", async (t) => {
  const broker = await SseBroker.start(t);
  let isDead = false;
  const made = await connected(t, broker.url, { ...SSE, fetch: (url, options) => (isDead ? new Promise(() => {}) : fetch(url, options)) });
  watch(made, "a");
  const stream = await broker.begin(["a"], state);
  broker.to(stream, { op: "hello", heartbeat_ms: 200, features: [], limits: made.hello.limits }, image("a", 3));
  await until(() => made.hello.heartbeat_ms === 200, "the broker's hello");
  isDead = true;
  const closed = event(made, "close");
  // Each is answered by the client itself.
  let number = 0;
  const busy = setInterval(() => made.subscribe(`b.${++number}`), 20);
  t.after(() => clearInterval(busy));
  assert.match((await closed).reason, /nothing came for 1200 ms/);
});
