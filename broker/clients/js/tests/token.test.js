/** Tokens over a WebSocket: when they are asked for and sent, renewed, and refused. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { connect } from "../tickcast.js";
import { client, connected, watch } from "./support/client.js";
import { Fake } from "./support/fake.js";
import { SseBroker } from "./support/sse_broker.js";
import { event, record, until } from "./support/wait.js";

const WEBSOCKET = { transports: ["websocket"] };
const events = { kind: "event", epoch: "e", seq: 3, start: "live" };
const user = (sub, more) => ({ sub, expires_ts: null, allow: { sub: [">"], pub: [], deny: [] }, ...more });
const update = (topic, seq) => ({ op: "update", topic, epoch: "e", seq, ts: 1, data: seq });

/** A function that gives these tokens in turn, the last one again and again. */
function inTurn(...tokens) {
  const give = async () => tokens[Math.min(give.asked++, tokens.length - 1)];
  give.asked = 0;
  return give;
}

test("a token goes first, in one flight with what is subscribed; who it is is told", async (t) => {
  const fake = await Fake.start(t, { auth: "required" });
  const made = client(t, fake.url, { ...WEBSOCKET, token: " secret\n" });
  watch(made, "t");
  // Nothing is answered yet.
  await until(() => fake.received.some(({ op }) => op === "subscribe"), "a subscribe");
  assert.deepEqual(fake.received.map(({ op, token }) => [op, token]).slice(0, 1), [["auth", "secret"]]);
  assert.equal(made.authenticated, null);
  const told = event(made, "authenticated");
  fake.send({ op: "authenticated", id: fake.received[0].id, ...user("user-42", { expires_ts: 17 }) });
  const { sub, expires_ts, allow } = await told;
  assert.deepEqual([sub, expires_ts, allow.sub, made.authenticated], ["user-42", 17, [">"], { sub, expires_ts, allow }]);
  // As after a reload of the broker's configuration: without an id.
  const changed = event(made, "authenticated");
  fake.send({ op: "authenticated", ...user("user-42", { allow: { sub: ["a.>"], pub: [], deny: [] } }) });
  assert.deepEqual((await changed).allow.sub, ["a.>"]);
  assert.deepEqual(made.errors, []);
});

test("a broker that knows no tokens gets none, and nothing fails", async (t) => {
  const fake = await Fake.start(t), token = inTurn("secret");
  const made = await connected(t, fake.url, { ...WEBSOCKET, token });
  watch(made, "t");
  assert.deepEqual(await fake.begin(events), ["t"]);
  assert.deepEqual([fake.received, token.asked, made.authenticated, made.errors], [[], 1, null, []]);
});

test("without a token to give, none is sent: then one is as good as a broker without", async (t) => {
  for (const token of [undefined, () => null, async () => undefined, () => ""]) {
    const fake = await Fake.start(t, { auth: "optional" });
    const made = await connected(t, fake.url, { ...WEBSOCKET, token });
    watch(made, "t");
    await fake.begin(events);
    assert.deepEqual([fake.received, made.errors], [[], []]);
  }
});

test("the function is asked before every attempt", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { "token-1": user("a"), "token-2": user("a"), "token-3": user("a") } });
  const made = await connected(t, fake.url, { ...WEBSOCKET, token: inTurn("token-1", "token-2", "token-3") });
  watch(made, "t");
  await fake.begin(events);
  for (let times = 0; times < 2; times += 1) {
    fake.close(1011, "again");
    await event(made, "open");
    // What was subscribed resumes behind the token.
    await fake.begin({ ...events, start: "resumed" });
  }
  assert.deepEqual(fake.authenticated, ["token-1", "token-2", "token-3"]);
});

test("a refused token is asked for once more, at once; what was subscribed stays", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { good: user("a") } });
  const token = inTurn("old", "good"), made = client(t, fake.url, { ...WEBSOCKET, token, reconnect_first_ms: 60_000, reconnect_max_ms: 60_000, random: () => 1 });
  const closes = record(made, "close"), seen = watch(made, "t");
  await fake.begin(events);
  fake.send(update("t", 4));
  await seen.came("update t 4");
  assert.deepEqual([fake.authenticated, token.asked, made.errors, made.authenticated.sub], [["old", "good"], 2, [], "a"]);
  assert.deepEqual(closes.map(([, { code, reconnect, delay_ms }]) => [code, reconnect, delay_ms]), [[4001, true, 0]]);
});

test("a publish waits for the answer to the token, so that it is not lost behind one that is refused", async (t) => {
  const fake = await Fake.start(t, { auth: "required" });
  const made = client(t, fake.url, { ...WEBSOCKET, token: inTurn("old", "good") }), published = made.publish("p", 1);
  watch(made, "t");
  fake.send({ op: "error", id: (await fake.next("auth")).id, code: "bad_token", message: "expired", retry: false });
  const { id } = await fake.next("auth");
  await until(() => fake.received.some(({ op, topics }) => op === "subscribe" && topics.length > 0), "a subscribe");
  assert.ok(fake.received.every(({ op }) => op !== "publish"));
  fake.send({ op: "authenticated", id, ...user("a") });
  const publish = await fake.next("publish");
  fake.send({ op: "published", id: publish.id, topic: "p", epoch: "e", seq: 1 });
  assert.equal((await published).seq, 1);
});

test("a token that is refused twice in a row ends the client; a string is sent once; no error repeats it", async (t) => {
  const refuse = (fake, { id, token }) => fake.send({ op: "error", id, code: "bad_token", message: `${token} has expired`, retry: false });
  const close = (fake) => fake.close(4001, "token expired");
  for (const [token, attempts] of [["marker-1", 1], [inTurn("marker-1", "marker-2", "marker-3"), 2]]) {
    for (const [answer, code] of [[refuse, "bad_token"], [close, "closed"]]) {
      const fake = await Fake.start(t, { auth: "required" });
      const made = client(t, fake.url, { ...WEBSOCKET, token }), closes = record(made, "close"), reader = made.subscribe("t")[Symbol.asyncIterator]();
      if (token.asked) token.asked = 0;
      const ended = reader.next().catch((error) => error);
      for (let attempt = 0; attempt < attempts; attempt += 1) answer(fake, await fake.next("auth"));
      const error = await ended;
      assert.deepEqual([error.code, made.state, fake.connections, made.errors.map((one) => one.code)], [code, "closed", attempts, [code]]);
      const said = closes.at(-1)[1];
      assert.deepEqual([said.code, said.reconnect], [4001, false]);
      assert.doesNotMatch(`${error.message} ${closes.map(([, { reason }]) => reason)}`, /marker/);
    }
  }
});

test("a client without a token ends where one is required, whatever the broker says first", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: {} });
  const made = client(t, fake.url, WEBSOCKET);
  watch(made, "t");
  const { code } = await event(made, "close");
  assert.deepEqual([code, made.state, made.errors.map((error) => error.code), fake.connections], [4001, "closed", ["bad_token"], 1]);
});

test("a broker that takes the token and closes with 4001 again and again is asked more and more slowly", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { good: user("a") } });
  const made = client(t, fake.url, { ...WEBSOCKET, token: () => "good", reconnect_first_ms: 20, reconnect_max_ms: 10_000, random: () => 1 });
  const waits = [];
  for (let times = 0; times < 4; times += 1) {
    await event(made, "authenticated");
    const closed = event(made, "close");
    fake.close(4001, "revoked");
    waits.push((await closed).delay_ms);
  }
  assert.deepEqual(waits, [20, 40, 80, 160]);
});

test("a token function that fails is reported once and asked again after growing waits", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { good: user("a") } });
  let asked = 0;
  const token = () => (++asked <= 4 ? Promise.reject(new Error("503 of the identity provider")) : "good");
  const made = client(t, fake.url, { token, reconnect_first_ms: 10, reconnect_max_ms: 1_000, random: () => 1 });
  const closes = record(made, "close");
  await event(made, "authenticated");
  assert.deepEqual(closes.map(([, { delay_ms, reconnect }]) => [delay_ms, reconnect]), [10, 20, 40, 80].map((wait) => [wait, true]));
  assert.deepEqual(made.errors.map(({ code, message }) => [code, message]), [["token", "the token function failed: 503 of the identity provider"]]);
  // No other transport was tried meanwhile.
  assert.deepEqual([fake.connections, made.transport], [1, "websocket"]);
  // It works again, so another failure is reported again.
  asked = 3;
  fake.close(1011, "again");
  await event(made, "authenticated");
  assert.equal(made.errors.length, 2);
});

test("a token that cannot be sent is the program's fault, and is not repeated", async (t) => {
  for (const wrong of [17, {}, "", "two\nlines", "né"]) assert.throws(() => connect("ws://127.0.0.1:1", { token: wrong }), TypeError);
  const fake = await Fake.start(t, { auth: "required" });
  for (const [wrong, why] of [["marker\nmarker", /printable/], [{ token: "marker" }, /not object/]]) {
    const made = client(t, fake.url, { ...WEBSOCKET, token: () => wrong });
    const { error } = await event(made, "error");
    assert.match(error.message, why);
    assert.doesNotMatch(error.message, /marker/);
    made.close();
  }
});

test("a token function that does not answer in time is asked again; its late token is not used", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { late: user("late"), good: user("good") } });
  let late, asked = 0;
  const token = () => (++asked === 1 ? new Promise((resolve) => { late = resolve; }) : "good");
  const made = client(t, fake.url, { ...WEBSOCKET, token, connect_timeout_ms: 200 });
  await event(made, "authenticated");
  late("late");
  await fake.heard(made);
  assert.deepEqual([fake.authenticated, fake.connections, made.authenticated.sub], [["good"], 1, "good"]);
});

test("reauth is answered with another token, over the open connection", async (t) => {
  const fake = await Fake.start(t, { auth: "required", tokens: { first: user("a", { expires_ts: 1 }), second: user("a", { expires_ts: 2 }) } });
  const made = client(t, fake.url, { ...WEBSOCKET, token: inTurn("first", "second") });
  const seen = watch(made, "t");
  await fake.begin(events);
  await until(() => made.authenticated, "the first token to be taken");
  const renewed = event(made, "authenticated");
  fake.send({ op: "reauth", expires_ts: 1 });
  assert.equal((await renewed).expires_ts, 2);
  fake.send(update("t", 4));
  await seen.came("update t 4");
  assert.deepEqual([fake.authenticated, fake.connections, fake.received, made.errors], [["first", "second"], 1, [], []]);
  // A string has no successor, so nothing is sent.
  const other = await connected(t, fake.url, { ...WEBSOCKET, token: "first" });
  await until(() => other.authenticated, "who it is");
  fake.send({ op: "reauth", expires_ts: 1 });
  await fake.heard(other);
  assert.equal(fake.authenticated.length, 3);
});

test("a renewal that fails is tried again, without a loop; the connection goes on with the token that it has", async (t) => {
  const fake = await Fake.start(t, { auth: "required" });
  let asked = 0;
  const token = () => (++asked === 2 || asked === 3 ? Promise.reject(new Error("no network")) : `token-${asked}`);
  const made = client(t, fake.url, { ...WEBSOCKET, token, reconnect_first_ms: 10, reconnect_max_ms: 20 });
  const answer = async (said) => fake.send({ id: (await fake.next("auth")).id, ...said });
  const refused = { op: "error", code: "bad_token", message: "expired", retry: false };
  await answer({ op: "authenticated", ...user("a") });
  fake.send({ op: "reauth", expires_ts: 1 });
  // The function fails twice. Then the broker refuses two tokens: the second is not followed by a third.
  await answer(refused);
  await answer(refused);
  await until(() => made.errors.length === 2, "both errors");
  assert.deepEqual(made.errors.map(({ code }) => code), ["token", "bad_token"]);
  await fake.heard(made);
  assert.deepEqual([asked, made.state, fake.connections, fake.received], [5, "open", 1, []]);
  // Another user's token: nothing changes.
  fake.send({ op: "reauth", expires_ts: 1 });
  await answer({ op: "error", code: "forbidden", message: "this is another sub", retry: false });
  await until(() => made.errors.length === 3, "the third error");
  // When its token ends, the function is asked anew.
  fake.close(4001, "token expired");
  await answer({ op: "authenticated", ...user("b") });
  await until(() => made.authenticated?.sub === "b", "the other user");
});

test("a broker that cannot check tokens at present is asked again later", async (t) => {
  const fake = await Fake.start(t, { auth: "required" });
  const made = client(t, fake.url, { ...WEBSOCKET, token: "fine", reconnect_first_ms: 10 });
  const closed = event(made, "close");
  fake.send({ op: "error", id: (await fake.next("auth")).id, code: "unavailable", message: "no keys yet", retry: true, retry_ms: 100 });
  const { reconnect, delay_ms } = await closed;
  assert.ok(reconnect && delay_ms >= 100, `${delay_ms} ms`);
  await fake.next("auth");
  assert.deepEqual(made.errors, []);
});

test("a WebSocket that is tried beside Server-Sent Events is authenticated, and only then taken", async (t) => {
  const broker = await SseBroker.start(t, { tokens: { good: user("a"), other: user("a") } });
  const made = client(t, broker.url, { token: inTurn("good", "good", "wrong", "other"), websocket_again_ms: 50 });
  await event(made, "open", ({ transport }) => transport === "sse");
  const fake = await Fake.start(t, { within: broker, auth: "required", tokens: { other: user("a") } });
  const { transport } = await event(made, "open");
  assert.deepEqual([transport, fake.authenticated, made.errors], ["websocket", ["wrong", "other"], []]);
  assert.equal(made.authenticated.sub, "a");
});
