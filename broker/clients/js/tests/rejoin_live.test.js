/** Topics that are left and joined again while updates come, against a real broker over a slow link. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "./support/broker.js";
import { connected, watch } from "./support/client.js";
import { Proxy } from "./support/proxy.js";
import { event, record, until } from "./support/wait.js";
import { numbers } from "./support/whole.js";

/** The delay to a server on the same continent. */
const LAG_MS = 30;

async function farAway(t, transport) {
  const broker = await Broker.start(t);
  const proxy = await Proxy.start(t, broker);
  proxy.lag_ms = LAG_MS;
  const made = await connected(t, proxy.url, { transports: [transport] });
  return { broker, made };
}

async function publishAll(broker, lines) {
  const body = lines.map((line) => `${JSON.stringify(line)}\n`).join("");
  const answer = await fetch(`http://${broker.address}/v1/publish`, { method: "POST", headers: { "Content-Type": "application/x-ndjson", Connection: "close" }, body });
  assert.equal((await answer.json()).accepted, lines.length);
}

for (const transport of ["websocket", "sse"]) {
  test(`left and joined again from within an update, over ${transport}`, async (t) => {
    for (const [topics, kind] of [["r.event", "event"], ["r.state", "state"], ["r.*", "event"]]) {
      const { broker, made } = await farAway(t, transport);
      const topic = topics === "r.*" ? "r.pattern" : topics;
      await publishAll(broker, numbers(1, 2).map((data) => ({ topic, kind, data })));
      const second = [];
      const first = made.subscribe(topics, (message) => {
        if (message.op !== "update" || second.length > 0) return;
        first.unsubscribe();
        second.push(watch(made, topics, { from: { last: 10 } }));
      });
      await event(made, "message", ({ data }) => data.op === "topic");
      await publishAll(broker, numbers(3, 5).map((data) => ({ topic, kind, data })));
      await until(() => second[0]?.brief().some((line) => line.startsWith("topic")), "the second start");
      await publishAll(broker, numbers(6, 7).map((data) => ({ topic, kind, data })));
      await second[0].came(`update ${topic} 7`);
      // Over Server-Sent Events, earlier updates cannot be asked for.
      const expected = transport === "sse" ? numbers(6, 7) : numbers(1, 7);
      assert.deepEqual(second[0].data(topic).slice(-expected.length), expected);
      assert.deepEqual([made.errors, made.state], [[], "open"]);
    }
  });

  test(`listeners of names and patterns come and go, over ${transport}: each gets everything from where it began`, async (t) => {
    const { broker, made } = await farAway(t, transport);
    const closes = record(made, "close");
    let state = 11;
    const dice = (sides) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % sides;
    const topics = ["s.a.x", "s.a.y", "s.b.x"], entries = [...topics, "s.a.*", "s.>", "s.*.x"], seq = Object.fromEntries(topics.map((topic) => [topic, 0]));
    const all = [], present = [];
    for (let round = 0; round < 60; round += 1) {
      await publishAll(broker, numbers(1, 10).map(() => {
        const topic = topics[dice(topics.length)];
        return { topic, kind: "event", data: (seq[topic] += 1) };
      }));
      if (present.length < 5) {
        const entry = entries[dice(entries.length)], isPattern = entry.includes("*") || entry.includes(">");
        const options = { on_slow: ["conflate", "retain"][dice(2)], from: dice(3) === 0 && !isPattern ? { last: 1 + dice(20) } : "image" };
        present.push(watch(made, entry, options));
        all.push(present.at(-1));
      }
      if (dice(2) === 0) present.splice(dice(present.length), 1)[0].subscription.unsubscribe();
    }
    present.push(watch(made, "s.>"));
    await present.at(-1).subscription.ready();
    await publishAll(broker, topics.map((topic) => ({ topic, kind: "event", data: (seq[topic] += 1) })));
    for (const topic of topics) await present.at(-1).came(`update ${topic} ${seq[topic]}`);
    for (const one of present)
      for (const topic of topics) if (one.subscription.covers(topic)) await one.came(`update ${topic} ${seq[topic]}`);
    for (const one of all) {
      assert.deepEqual(one.brief().filter((line) => /^(gap|error|closed)/.test(line)), [], `${one.subscription.entries}`);
      for (const topic of topics) {
        const data = one.data(topic);
        if (data.length > 0) assert.deepEqual(data, numbers(data[0], data.at(-1)), `${one.subscription.entries}: ${topic}`);
      }
    }
    assert.deepEqual([made.errors, closes], [[], []]);
  });
}
