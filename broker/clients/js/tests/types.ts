/** The declarations as a program uses them. This is compiled, not run; each `@ts-expect-error` has to be an error. */
import { connect, mergePatch, TickcastError } from "../tickcast.js";
import type { Client, Json, Message, Subscription } from "../tickcast.js";

const client: Client = connect("ws://127.0.0.1:9000", { reconnect_max_ms: 5_000, token: async () => "secret" });

client.addEventListener("open", ({ hello, transport }) => console.log(hello.limits.message_bytes, transport));
client.addEventListener("gap", ({ topic, from, to, reason }) => console.log(topic, to - from, reason === "slow"));
client.addEventListener("error", ({ error }) => console.log(error instanceof TickcastError, error.code.length, error.url, error.reasons?.sse));
client.addEventListener("close", ({ code, reconnect, delay_ms }) => console.log(code, reconnect, delay_ms));
client.addEventListener("authenticated", ({ sub, allow, expires_ts }) => console.log(sub.length, allow.sub, expires_ts === null));
connect("ws://a", { token: () => null });
connect(["ws://a", new URL("https://b")] as const, { transports: ["sse"] });
// @ts-expect-error not an address
connect(["ws://a", 9000]);
client.addEventListener("stale", ({ since }) => console.log(since + 1, client.isStale === true, client.hello?.node?.length));
client.addEventListener("fresh", ({ type }) => console.log(type));
// @ts-expect-error a token is a string
connect("ws://a", { token: () => 17 });
console.log(client.authenticated?.allow.pub, client.hello?.auth === "required");
client.addEventListener("statechange", ({ state }) => {
  // @ts-expect-error no such state
  if (state === "broken") console.log(state);
});

const quotes: Subscription = client.subscribe(["stocks.*.quote", { topic: "a", epoch: "e", seq: 7 }], { from: { last: 10 } }, (message) => {
  switch (message.op) {
    case "image": case "update": case "patch": {
      const data: Json = message.data;
      return console.log(message.topic, message.seq + 1, data, message.state);
    }
    case "gap": return console.log(message.to - message.from);
    case "topic": return console.log(message.epoch?.length, message.start, message.kind === "state");
    case "closed": return console.log(message.topic);
    case "error": return console.log(message.code, message.retry);
    // @ts-expect-error no other message
    case "weather": return;
  }
});
client.subscribe("a", ({ topic }) => console.log(topic));
// @ts-expect-error no such option
client.subscribe("a", { conflate: 100 });
// @ts-expect-error not JSON
client.publish("a", () => {});
client.publish("a", { px: "1" }, { kind: "patch" });

export async function all(): Promise<void> {
  await quotes.ready();
  for await (const message of quotes) {
    const one: Message = message;
    console.log(one.topic, quotes.state(one.topic));
  }
  const { epoch, seq, duplicate } = await client.publish("a", { px: "1" }, { kind: "state", source: "s", source_seq: 1 });
  const { ts, rtt_ms } = await client.ping();
  console.log(epoch.length, seq + ts + rtt_ms, duplicate, mergePatch({ a: 1 }, { a: null }));
  quotes.unsubscribe();
  client.close();
}
