/** Tokens and permissions with a real broker, over both transports. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { client, connected, watch } from "./support/client.js";
import { secureBroker } from "./support/secure.js";
import { event, record, until } from "./support/wait.js";
import { numbers } from "./support/whole.js";

const ROLES = `
[[roles]]
name = "trader"
sub = ["stocks.>", "users.{sub}.>"]
pub = ["chat.>"]
deny = ["stocks.*.internal"]
[[roles]]
name = "visitor"
sub = ["news.>"]
`;
const TRANSPORTS = ["websocket", "sse"];

for (const transport of TRANSPORTS) {
  test(`over ${transport}: what is allowed comes, and the rest is refused by its name`, async (t) => {
    const { broker, issue } = await secureBroker(t, ROLES);
    for (const topic of ["stocks.A.quote", "stocks.A.internal", "users.amy.note", "users.bob.note"]) await broker.publish(topic, "state", topic);
    const made = await connected(t, broker.url, { transports: [transport], token: () => issue("amy", ["trader"]) });
    const seen = watch(made, ["stocks.>", "users.amy.*", "users.bob.note", "stocks.A.internal", "news.>"]);
    await seen.came("image stocks.A.quote 1");
    await seen.came("image users.amy.note 1");
    await until(() => made.errors.length === 3, "three refusals");
    assert.deepEqual(made.errors.map(({ code, topic, retry }) => `${code} ${topic} ${retry}`).sort(),
      ["forbidden news.> false", "forbidden stocks.A.internal false", "forbidden users.bob.note false"]);
    assert.deepEqual([made.authenticated.sub, made.authenticated.allow.sub], ["amy", ["stocks.>", "users.amy.>"]]);
    assert.ok(seen.messages.every(({ topic, op }) => op === "error" || !/internal|bob/.test(topic)), seen.brief().join());
    assert.equal((await made.publish("chat.room", "hello", { kind: "event" })).seq, 1);
    await assert.rejects(made.publish("stocks.A.quote", 1), { code: "forbidden", retry: false });
    assert.equal(made.state, "open");
  });

  test(`over ${transport}: tokens that end are renewed, and no update is missing or comes twice`, async (t) => {
    const { broker, issue } = await secureBroker(t, ROLES, ["--token-leeway-ms", "500"]);
    let asked = 0;
    const token = async () => { asked += 1; return issue("amy", ["trader"], 3); };
    const made = await connected(t, broker.url, { transports: [transport], token }), closes = record(made, "close");
    const seen = watch(made, "stocks.*.trade");
    await until(() => made.authenticated, "who it is");
    let number = 0;
    await broker.publish("stocks.A.trade", "event", ++number);
    await seen.came("update stocks.A.trade 1");
    while (asked < 4) {
      await broker.publish("stocks.A.trade", "event", ++number);
      await new Promise((next) => setTimeout(next, 20));
    }
    await broker.publish("stocks.A.trade", "event", ++number);
    await seen.came(`update stocks.A.trade ${number}`);
    assert.deepEqual([seen.data("stocks.A.trade"), made.errors, closes], [numbers(1, number), [], []]);
  });

  test(`over ${transport}: a token that ends without a successor ends the client; a refused one is asked for once more`, async (t) => {
    const { broker, issue } = await secureBroker(t, ROLES, ["--token-leeway-ms", "100"]);
    const string = client(t, broker.url, { transports: [transport], token: issue("amy", ["trader"], 1) });
    watch(string, "stocks.>");
    await until(() => string.authenticated, "who it is");
    const { code } = await event(string, "close");
    assert.equal(code, 4001);
    await until(() => string.state === "closed", "the end");
    assert.match(string.errors[0].code, /closed|bad_token/);

    const tokens = ["nonsense", issue("amy", ["trader"])];
    const made = client(t, broker.url, { transports: [transport], token: () => tokens.shift() }), seen = watch(made, "stocks.A.quote");
    await seen.came("topic stocks.A.quote live");
    assert.deepEqual([made.errors, tokens], [[], []]);
    const stubborn = client(t, broker.url, { transports: [transport], token: () => "nonsense" });
    await until(() => stubborn.state === "closed", "the end");
    assert.deepEqual(stubborn.errors.map((error) => error.code), ["bad_token"]);
  });

  test(`over ${transport}: without a token, what anonymous clients may; or nothing`, async (t) => {
    const open = await secureBroker(t, `${ROLES}\n[[roles]]\nname = "anonymous"\nsub = ["news.>"]\n`);
    await open.broker.publish("news.a", "state", 1);
    const made = await connected(t, open.broker.url, { transports: [transport] });
    const seen = watch(made, ["news.*", "stocks.A.quote"]);
    await seen.came("image news.a 1");
    await seen.came("error stocks.A.quote");
    const closed = await secureBroker(t, ROLES), other = client(t, closed.broker.url, { transports: [transport] });
    watch(other, "news.a");
    await until(() => other.state === "closed", "the end");
    assert.deepEqual(other.errors.map((error) => error.code), ["bad_token"]);
  });
}

test("another token over the open connection: what is no longer allowed ends, what newly is comes", async (t) => {
  const { broker, issue } = await secureBroker(t, ROLES, ["--token-leeway-ms", "500"]);
  await broker.publish("stocks.A.quote", "state", 1);
  await broker.publish("news.a", "state", 1);
  // The second has fewer permissions.
  const tokens = [issue("amy", ["trader", "visitor"], 3), issue("amy", ["visitor"], 60)];
  const made = await connected(t, broker.url, { transports: ["websocket"], token: () => tokens.shift() }), closes = record(made, "close");
  const seen = watch(made, ["stocks.*.quote", "news.>"]);
  await seen.came("image stocks.A.quote 1");
  await seen.came("image news.a 1");
  await seen.came("error stocks.*.quote");
  await broker.publish("stocks.A.quote", "state", 2);
  await broker.publish("news.a", "state", 2);
  await seen.came("update news.a 2");
  const { subscription } = seen;
  assert.deepEqual([subscription.state("stocks.A.quote"), subscription.state("news.a"), made.authenticated.allow.sub, closes], [undefined, 2, ["news.>"], []]);
  assert.deepEqual(made.errors.map(({ code, topic }) => [code, topic]), [["forbidden", "stocks.*.quote"]]);
});

test("a subscription over the broker's rate is asked for again, and comes", async (t) => {
  const { broker, issue } = await secureBroker(t, ROLES, ["--subscribes-per-s", "2"]);
  const made = await connected(t, broker.url, { transports: ["websocket"], token: () => issue("amy", ["trader"]) });
  const subscriptions = numbers(1, 12).map((number) => watch(made, `stocks.S${number}.quote`));
  // One request for each: they are subscribed in turns of their own.
  await Promise.all(subscriptions.map(({ subscription }) => subscription.ready()));
  assert.ok(made.errors.every(({ code, retry }) => code === "rate_limited" && retry), made.errors.map(String).join());
});
