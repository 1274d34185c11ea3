/**
 * Everything at once against a real broker: topics of events and of states begin, change and end, listeners with all options
 * come and go, and the network is cut and blocks or allows WebSockets. SEED chooses another run.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { until } from "./support/wait.js";

const SEEDS = process.env.SEED ? [Number(process.env.SEED)] : [1, 2, 3];
const ROUNDS = Number(process.env.ROUNDS ?? 60), LISTENERS_MAX = 6;
const EVENTS = ["w.e.a", "w.e.b", "w.f.a"], STATES = ["w.s.a", "w.s.b", "w.t.a"];
const ENTRIES = [...EVENTS, ...STATES, "w.*.a", "w.e.*", "w.s.*", "w.>", "*.*.b"];

for (const seed of SEEDS) {
  test(`listeners get everything in order, and the broker's states (seed ${seed})`, async (t) => {
    let dice = seed * 7_919 + 1;
    const roll = (sides) => Math.floor((dice = (dice * 1_103_515_245 + 12_345) % 2 ** 31) / 65_536) % sides;
    const broker = await Broker.start(t), proxy = await Proxy.start(t, broker);
    const made = await connected(t, proxy.url, { websocket_again_ms: 20 + roll(100) });
    const all = [], present = [];
    for (let round = 0; round < ROUNDS; round += 1) {
      await change(broker, roll);
      if (present.length < LISTENERS_MAX && roll(2) === 0) {
        const options = { on_slow: ["conflate", "retain"][roll(2)], conflate_ms: [0, 0, 20][roll(3)], from: ["image", "image", { last: 1 + roll(30) }][roll(3)] };
        const entries = [...new Set([ENTRIES[roll(ENTRIES.length)], ENTRIES[roll(ENTRIES.length)]])];
        present.push(watch(made, entries, options));
        all.push([present.at(-1), options]);
      }
      if (present.length > 0 && roll(4) === 0) present.splice(roll(present.length), 1)[0].subscription.unsubscribe();
      if (roll(8) === 0) proxy.upgrades = [null, "refused"][roll(2)];
      if (roll(8) === 0) proxy.cut();
    }
    await until(() => made.state === "open", "a connection");
    await change(broker, roll);
    for (const { subscription } of present) await subscription.ready();
    const images = await imagesOf(broker);
    for (const { subscription } of present)
      for (const topic of STATES) if (subscription.covers(topic))
        await until(() => JSON.stringify(subscription.state(topic)) === JSON.stringify(images[topic]), `${subscription.entries}: ${topic}`)
          .catch((error) => { throw new Error(`${error.message}: ${JSON.stringify([subscription.state(topic), images[topic]])}`); });
    for (const [listener, options] of all) inOrder(listener, options);
    assert.deepEqual(made.errors, []);
  });
}

/** Some updates; now and then a topic ends. */
async function change(broker, roll) {
  const lines = [];
  for (let count = roll(30); count > 0; count -= 1) {
    if (roll(2) === 0) lines.push({ topic: EVENTS[roll(EVENTS.length)], kind: "event", data: roll(1_000) });
    else if (roll(3) === 0) lines.push({ topic: STATES[roll(STATES.length)], kind: "state", data: { [roll(9)]: roll(1_000), deep: { [roll(3)]: roll(9) } } });
    else lines.push({ topic: STATES[roll(STATES.length)], kind: "patch", data: { [roll(9)]: roll(3) === 0 ? null : roll(1_000), deep: { [roll(3)]: roll(9) } } });
  }
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const answer = await fetch(`http://${broker.address}/v1/publish`, { method: "POST", headers: { "Content-Type": "application/x-ndjson", Connection: "close" }, body });
  // Patches of topics without a state are refused.
  for (const { code } of (await answer.json()).rejected) assert.equal(code, "no_state");
  if (roll(6) === 0) await broker.delete([...EVENTS, ...STATES][roll(6)]).catch(() => {});
}

async function imagesOf(broker) {
  const answers = await Promise.all(STATES.map((topic) => fetch(`http://${broker.address}/v1/topics/${topic}`).then((answer) => answer.json())));
  return Object.fromEntries(answers.map((answer, at) => [STATES[at], answer.data]));
}

/** In each epoch, events count up by one, or a gap names the lost ones; states only go forward. */
function inOrder(listener, options) {
  const next = new Map();
  for (const { op, topic, epoch, seq, from, to, start } of listener.messages) {
    const said = `${listener.brief().filter((line) => line.includes(topic)).slice(-60)} ${listener.subscription.entries} ${JSON.stringify(options)}: ${op} ${topic} ${from ?? seq}, due ${next.get(topic)?.seq}`;
    if (op === "topic" || op === "closed") {
      assert.ok(op === "closed" || next.get(topic)?.epoch !== epoch, `${said}: it began twice`);
      next.set(topic, { epoch, seq: op === "topic" && start === "live" ? seq + 1 : null });
    } else {
      const due = next.get(topic);
      assert.equal(due?.epoch, epoch, said);
      if (EVENTS.includes(topic) && due.seq !== null) assert.equal(from ?? seq, due.seq, said);
      else if (due.seq !== null) assert.ok(seq >= due.seq, said);
      next.set(topic, { epoch, seq: (to ?? seq) + 1 });
    }
  }
}
