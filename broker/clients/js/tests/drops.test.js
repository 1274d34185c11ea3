/** Lost connections, restarted brokers, and clients that do not keep up. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { client, connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { event, record, until } from "./support/wait.js";
import { numbers, staysWholeWhileCut } from "./support/whole.js";

/** A broker behind a network that the test controls, and a client. */
async function behindProxy(t, flags = [], options = {}) {
  options = { transports: ["websocket"], ...options };
  const broker = await Broker.start(t, flags);
  const proxy = await Proxy.start(t, broker);
  const made = await connected(t, proxy.url, options);
  return { broker, proxy, made };
}

test("a lost connection is replaced, and every topic continues without a hole", async (t) => {
  const { broker, proxy, made } = await behindProxy(t);
  const states = record(made, "statechange", "close");
  const events = watch(made, "drop.trade"), state = watch(made, "drop.book"), waited = watch(made, "drop.later");
  for (const [seen, name] of [[events, "trade"], [state, "book"], [waited, "later"]]) await seen.came(`topic drop.${name} live`);
  await broker.publish("drop.trade", "event", 1);
  await broker.publish("drop.book", "state", { a: 1 });
  await events.came("update drop.trade 1");
  await state.came("update drop.book 1");
  proxy.refuse();
  await until(() => made.state === "stale", "stale");
  for (const data of numbers(2, 30)) await broker.publish("drop.trade", "event", data);
  await broker.publish("drop.book", "patch", { b: 2 });
  for (const data of numbers(1, 3)) await broker.publish("drop.later", "event", data);
  proxy.allow();
  await event(made, "open");
  await events.came("update drop.trade 30");
  await waited.came("update drop.later 3");
  await until(() => state.subscription.state("drop.book")?.b === 2, "the state of now");
  assert.deepEqual(events.data("drop.trade"), numbers(1, 30));
  assert.deepEqual(state.subscription.state("drop.book"), { a: 1, b: 2 });
  // The name that was waiting for its first publish gets everything published in the meantime.
  assert.deepEqual(waited.data("drop.later"), [1, 2, 3]);
  // It is the same epoch, so the start is not sent again.
  assert.deepEqual(events.brief().filter((line) => line.startsWith("topic")), ["topic drop.trade live", "topic drop.trade live"]);
  assert.equal(states[0][1].state, "stale");
  assert.deepEqual([states[1][1].code, states[1][1].reconnect, states[1][1].delay_ms <= 20], [1006, true, true]);
  assert.equal(states.at(-1)[1].state, "open");
  assert.deepEqual(made.errors, []);
});

test("cut again and again while updates come: no update is missing, and none comes twice", async (t) => {
  const behind = await behindProxy(t);
  await staysWholeWhileCut(behind);
  assert.ok(behind.proxy.connections > 5, `${behind.proxy.connections} connections`);
});

test("the topics of a pattern resume too; new ones come whole, ended ones are reported", async (t) => {
  const { broker, proxy, made } = await behindProxy(t);
  for (const name of ["a", "b", "c"]) await broker.publish(`pat.${name}`, "event", `${name}1`);
  const { came, data, brief } = watch(made, "pat.*");
  for (const name of ["a", "b", "c"]) await came(`topic pat.${name} live`);
  await broker.publish("pat.a", "event", "a2");
  await came("update pat.a 2");
  proxy.refuse();
  await until(() => made.state === "stale", "stale");
  await broker.publish("pat.a", "event", "a3");
  await broker.publish("pat.b", "event", "b2");
  await broker.delete("pat.c");
  for (const text of ["n1", "n2"]) await broker.publish("pat.new", "event", text);
  proxy.allow();
  await came("update pat.new 2");
  await came("closed pat.c");
  await came("update pat.b 2");
  assert.deepEqual([data("pat.a"), data("pat.b"), data("pat.new")], [["a2", "a3"], ["b2"], ["n1", "n2"]]);
  // The names are unsubscribed again: the broker only has the pattern, and the streams continued.
  for (const name of ["a", "b", "new"]) await broker.publish(`pat.${name}`, "event", "last");
  for (const line of ["update pat.a 4", "update pat.b 3", "update pat.new 3"]) await came(line);
  const stats = await until(async () => {
    const { topics } = await (await fetch(`http://${broker.address}/v1/topics?match=pat.a`)).json();
    return topics[0].subscribers === 1 && topics;
  }, "one subscription to the topic");
  assert.equal(stats.length, 1);
  await broker.publish("pat.c", "event", "again");
  await came("update pat.c 1");
  assert.equal(new Set(brief().filter((line) => line.startsWith("update"))).size, brief().filter((line) => line.startsWith("update")).length);
  assert.deepEqual(made.errors, []);
});

test("more topics than can resume: a gap names the lost events", async (t) => {
  const { broker, proxy, made } = await behindProxy(t, ["--subscriptions", "3"]);
  for (const name of numbers(1, 5)) await broker.publish(`room.t${name}`, "event", 1);
  await broker.publish("room.state", "state", 1);
  const { came, brief, subscription } = watch(made, "room.*");
  for (const name of numbers(1, 5)) await came(`topic room.t${name} live`);
  await came("image room.state 1");
  proxy.refuse();
  await until(() => made.state === "stale", "stale");
  for (const name of numbers(1, 5)) await broker.publish(`room.t${name}`, "event", 2);
  await broker.publish("room.state", "state", 2);
  proxy.allow();
  await event(made, "open");
  for (const name of numbers(1, 5)) await broker.publish(`room.t${name}`, "event", 3);
  await until(() => numbers(1, 5).every((name) => brief().includes(`update room.t${name} 3`)
    || brief().includes(`gap room.t${name} 2-3 disconnected`)), "the third event, or a gap with it");
  const lost = brief().filter((line) => line.startsWith("gap")), came2 = brief().filter((line) => /^update room\.t\d 2/.test(line));
  assert.deepEqual([lost.length, came2.length], [3, 2], `${lost} ${came2}`);
  await until(() => subscription.state("room.state") === 2, "the state");
});

test("a restarted broker: another epoch, and everything from its beginning", async (t) => {
  const { broker, made } = await behindProxy(t);
  await broker.publish("restart.quote", "state", "old");
  await broker.publish("restart.trade", "event", 1);
  const { came, brief, messages, subscription } = watch(made, ["restart.*", "restart.quote"]);
  await came("image restart.quote 1");
  await came("topic restart.trade live");
  const epoch = messages.find((message) => message.op === "image").epoch;
  await broker.kill();
  await until(() => made.state === "stale", "stale");
  assert.equal(subscription.state("restart.quote"), "old");
  const opened = event(made, "open");
  await broker.start();
  await opened;
  await came("closed restart.quote");
  assert.equal(subscription.state("restart.quote"), undefined);
  for (const data of [1, 2]) await broker.publish("restart.trade", "event", data);
  await broker.publish("restart.quote", "state", "new");
  await came("update restart.trade 2");
  await until(() => subscription.state("restart.quote") === "new", "the new state");
  const after = messages.slice(messages.findIndex((message) => message.op === "closed") + 1);
  assert.ok(after.every((message) => message.epoch !== epoch), "the old epoch is over");
  assert.deepEqual(brief().filter((line) => line.startsWith("update restart.trade")), ["update restart.trade 1", "update restart.trade 2"]);
  assert.deepEqual(made.errors, []);
});

test("a broker that announces that it goes away gets the time that it asks for", async (t) => {
  const { broker, made } = await behindProxy(t, ["--drain-ms", "150"], { random: () => 0 });
  const events = record(made, "goaway", "close");
  const ended = broker.kill("SIGTERM");
  const { delay_ms, code } = await event(made, "close");
  await ended;
  assert.equal(code, 1001);
  const after_ms = events[0][1].after_ms;
  assert.deepEqual([events[0][0], events[0][1].reason, delay_ms], ["goaway", "shutdown", after_ms]);
  // It asked for that once; after that the waits are the usual ones.
  assert.equal((await event(made, "close")).delay_ms, 0);
  const opened = event(made, "open");
  await broker.start();
  await opened;
});

test("a client that does not keep up gets what is retained, and a gap that names the rest", async (t) => {
  const { broker, proxy, made } = await behindProxy(t, ["--behind-bytes", "4096", "--retain-updates", "50"]);
  const events = watch(made, "behind.trade"), state = watch(made, "behind.quote");
  await events.came("topic behind.trade live");
  await state.came("topic behind.quote live");
  const gaps = record(made, "gap");
  proxy.stall();
  // More than all sockets in between hold, so that the broker has to choose.
  const line = (topic, kind, data) => `${JSON.stringify({ topic, kind, data })}\n`;
  const filler = "x".repeat(50_000), count = 400, batch = 20;
  for (let done = 0; done < count; done += batch) {
    const body = numbers(done + 1, done + batch).map((number) =>
      line("behind.trade", "event", { number, filler }) + line("behind.quote", "state", { number, filler })).join("");
    const answer = await fetch(`http://${broker.address}/v1/publish`, { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body });
    assert.equal((await answer.json()).accepted, 2 * batch);
  }
  proxy.resume();
  await events.came(`update behind.trade ${count}`);
  await until(() => state.subscription.state("behind.quote")?.number === count, "the newest state");
  let next = 1;
  for (const message of events.messages.filter(({ op }) => op !== "topic")) {
    assert.equal(message.from ?? message.seq, next);
    next = (message.to ?? message.seq) + 1;
  }
  assert.equal(next, count + 1);
  assert.ok(gaps.length > 0 && gaps.every(([, gap]) => gap.topic === "behind.trade" && gap.reason === "slow"), `${gaps.length} gaps`);
  assert.ok(state.messages.length < count, `${state.messages.length} messages for ${count} states`);
  assert.deepEqual(made.errors, []);
});

test("a silent connection is given up", async (t) => {
  const { broker, proxy, made } = await behindProxy(t, ["--heartbeat-ms", "300"]);
  const { came } = watch(made, "silent.trade");
  await came("topic silent.trade live");
  proxy.stall();
  const { reason, reconnect } = await event(made, "close");
  assert.match(reason, /nothing came for 1300 ms/);
  assert.ok(reconnect);
  await broker.publish("silent.trade", "event", 1);
  await came("update silent.trade 1");
  assert.equal(proxy.connections, 2);
});

test("requests whose connection is lost: those with a source are sent again, the outcome of others is unknown", async (t) => {
  const { proxy, made } = await behindProxy(t);
  proxy.stall();
  const unknown = made.publish("lost.a", 1), certain = made.publish("lost.b", 1, { source: "here", source_seq: 1 });
  // The handler is added before the rejection comes, so that it is never unhandled.
  const outcome = assert.rejects(unknown, { code: "unanswered" });
  proxy.cut();
  await outcome;
  assert.equal((await certain).seq, 1);
});

test("a request without an answer times out, and only a limited number may wait", async (t) => {
  const { proxy, made } = await behindProxy(t, [], { answer_timeout_ms: 200, requests_max: 2 });
  proxy.stall();
  const waiting = [made.ping(), made.ping()].map((ping) => assert.rejects(ping, { code: "timeout" }));
  await assert.rejects(made.ping(), { code: "unavailable" });
  await Promise.all(waiting);
  proxy.resume();
});

test("closing ends everything, including a connection that is being made", async (t) => {
  const broker = await Broker.start(t);
  const made = client(t, broker.url);
  const subscription = made.subscribe("a"), reader = subscription[Symbol.asyncIterator]();
  const asked = assert.rejects(made.ping(), { code: "closed" });
  made.close();
  await asked;
  assert.deepEqual(await reader.next(), { value: undefined, done: true });
  assert.equal(made.state, "closed");
});
