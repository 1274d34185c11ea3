// A client's use of the broker, written from broker/docs/protocol.md with only WebSocket and fetch, so that it runs in
// Node and in a browser alike. `address` is the broker's host and port, or its URL; `name` keeps the topics of several runs
// apart.

async function scenario(WebSocket, address, name) {
  const base = address.includes("://") ? address : `http://${address}`;
  const same = (got, wanted, what) => {
    const [left, right] = [JSON.stringify(got), JSON.stringify(wanted)];
    if (left !== right) throw new Error(`${what}: got ${left}, not ${right}`);
  };
  const within = (promise, what) =>
    Promise.race([promise, new Promise((_, no) => setTimeout(() => no(new Error(`no ${what} within 10 s`)), 10000))]);

  // A connection whose messages are taken one after the other; heartbeats may come between them.
  const connect = async (protocols) => {
    const socket = new WebSocket(`${base.replace(/^http/, "ws")}/v1/ws`, protocols);
    const messages = [], waiting = [];
    socket.onmessage = ({ data }) => {
      const message = JSON.parse(data);
      if (message.op === "heartbeat") return;
      waiting.length ? waiting.shift()(message) : messages.push(message);
    };
    const closed = new Promise((yes) => { socket.onclose = yes; });
    await within(new Promise((yes, no) => { socket.onopen = yes; socket.onerror = () => no(new Error("no connection")); }), "open");
    return {
      socket,
      send: (message) => socket.send(JSON.stringify(message)),
      next: async (...ops) => {
        const came = new Promise((yes) => (messages.length ? yes(messages.shift()) : waiting.push(yes)));
        const message = await within(came, ops);
        if (!ops.includes(message.op)) throw new Error(`${ops} should come, not ${JSON.stringify(message).slice(0, 300)}`);
        return message;
      },
      close: () => { socket.close(1000); return within(closed, "close"); },
    };
  };
  const http = async (method, path, body) => {
    const headers = body === undefined ? {} : { "Content-Type": "application/json" };
    const answer = await fetch(`${base}${path}`, { method, headers, body });
    return [answer.status, await answer.json()];
  };

  const quote = `${name}.AAPL.quote`, trade = `${name}.AAPL.trade`, later = `${name}.later`;

  // hello comes first, with or without the subprotocol.
  const client = await connect("tickcast.v1.json");
  same(client.socket.protocol, "tickcast.v1.json", "the subprotocol");
  const hello = await client.next("hello");
  same(hello.protocol, "tickcast.v1", "hello's protocol");
  for (const limit of ["subscriptions", "message_bytes", "image_bytes", "behind_bytes", "retain_updates", "stall_ms"])
    same(typeof hello.limits[limit], "number", `hello's ${limit}`);

  // Publish over HTTP, then subscribe: the image comes, then live updates.
  const [status, first] = await http("POST", `/v1/topics/${quote}?kind=state`, '{"bid":"189.10"}');
  same([status, first.seq], [200, 1], "the first publish");
  client.send({ op: "subscribe", id: 1, topics: [quote, trade, later, "a..b"] });
  const subscribed = await client.next("subscribed");
  same(subscribed.id, 1, "the id");
  same(subscribed.topics.map((t) => [t.topic, t.kind, t.epoch, t.seq, t.start]),
    [[quote, "state", first.epoch, 1, "image"], [trade, null, null, 0, "live"], [later, null, null, 0, "live"]], "subscribed");
  same(subscribed.errors.map((e) => [e.topic, e.code]), [["a..b", "bad_topic"]], "the wrong entry");
  const image = await client.next("image");
  same([image.topic, image.seq, image.data], [quote, 1, { bid: "189.10" }], "the image");

  // Publish over the same connection: the update and the answer may come in either order.
  client.send({ op: "publish", id: "p", topic: quote, data: { bid: "189.11", text: "\u20ac \ud83d\ude80" } });
  const pair = [await client.next("published", "update"), await client.next("published", "update")];
  const published = pair.find((m) => m.op === "published"), update = pair.find((m) => m.op === "update");
  same([published.id, published.topic, published.epoch, published.seq], ["p", quote, first.epoch, 2], "published");
  same([update.topic, update.seq, update.data], [quote, 2, { bid: "189.11", text: "\u20ac \ud83d\ude80" }], "the update");

  // A name that was subscribed to before it was published.
  await http("POST", `/v1/topics/${trade}?kind=event`, "1");
  const begun = await client.next("topic");
  same([begun.topic, begun.kind, begun.start], [trade, "event", "live"], "topic");
  const one = await client.next("update");
  same([one.topic, one.seq, one.data], [trade, 1, 1], "the first event");

  // Errors are answered, and leave the connection open.
  client.send({ op: "sing", id: 4 });
  const error = await client.next("error");
  same([error.id, error.code, error.retry], [4, "unknown_op", false], "the error");
  client.socket.send("{");
  same((await client.next("error")).code, "bad_json", "the error for no JSON");
  client.send({ op: "subscribe", id: 5, topics: [], form: "image" });
  const unknown = await client.next("error");
  same([unknown.id, unknown.code, unknown.message.includes("form")], [5, "bad_request", true], "the error for an unknown field");
  client.send({ op: "ping", id: 6 });
  same((await client.next("pong")).id, 6, "the pong");

  // After an unsubscribe nothing of the topic follows.
  client.send({ op: "unsubscribe", id: 7, topics: [quote] });
  same((await client.next("unsubscribed")).topics, [quote], "unsubscribed");
  await http("POST", `/v1/topics/${quote}?kind=state`, "3");
  client.send({ op: "ping", id: 8 });
  same((await client.next("pong")).id, 8, "the pong after unsubscribe");
  const end = await client.close();
  same([end.code, end.wasClean], [1000, true], "the close");

  // The client is away for three events, and then resumes without a gap.
  for (const data of [2, 3, 4]) await http("POST", `/v1/topics/${trade}`, String(data));
  const back = await connect();
  await back.next("hello");
  back.send({ op: "subscribe", id: 1, topics: [{ topic: trade, epoch: begun.epoch, seq: 1 }] });
  const resumed = await back.next("subscribed");
  same([resumed.topics[0].start, resumed.topics[0].seq], ["resumed", 4], "the resume");
  for (const seq of [2, 3, 4]) same((await back.next("update")).seq, seq, "an event after the resume");
  back.send({ op: "subscribe", id: 2, topics: [`${name}.*.quote`] });
  same((await back.next("subscribed")).patterns.map((p) => [p.pattern, p.matched]), [[`${name}.*.quote`, 1]], "the pattern");
  same([(await back.next("topic")).topic, (await back.next("image")).seq], [quote, 3], "the pattern's topic");

  // A long message, in the third size class of frames.
  const long = "x".repeat(hello.limits.message_bytes - 200);
  await http("POST", `/v1/topics/${quote}?kind=state`, JSON.stringify(long));
  same((await back.next("update")).data.length, long.length, "the long message");

  // The end of a topic.
  same((await http("DELETE", `/v1/topics/${quote}`))[0], 200, "the end");
  same((await back.next("closed")).topic, quote, "closed");
  same((await http("GET", `/v1/topics/${quote}`))[0], 404, "what ended");
  await back.close();
  return "ok";
}

if (typeof module !== "undefined") module.exports = { scenario };
