/** A broker that sends whatever a test wants over Server-Sent Events, and accepts WebSockets if the test has a fake for them. */
import { once } from "node:events";
import { createServer } from "node:http";
import { until } from "./wait.js";

/** The parameters of its streams, as a broker of this version and as an older one. */
const PARAMETERS = ["topic", "conflate_ms", "resume", "ready", "on_slow"], OLD_PARAMETERS = PARAMETERS.slice(0, 3);

export class SseBroker {
  #server;
  /** The streams, oldest first: the query and the response of each. */
  streams = [];
  /** The id of every message; null for none. */
  id = 7;
  upgrades = 0;
  /** A `Fake` that gets the WebSockets; without one they are refused. */
  fake = null;
  published = [];
  /** What it sends at the beginning of every stream, without an id. */
  greeting = [];
  /** Every request with its header Authorization, as `[path, header]`. */
  authorizations = [];
  /** By token: whom it accepts. Null if it asks for none. */
  tokens = null;
  /** Topics and patterns that are not allowed. */
  denied = [];
  /** How many entries of one connection may be asked about by themselves; then 429. */
  questions_max = Infinity;
  #questions = 0;
  /** By method: the next answer to such a request, `[status, headers, body]`, instead of its own. */
  next = {};

  static async start(test, { forbids = false, isOld = false, tokens = null } = {}) {
    const broker = new SseBroker();
    broker.tokens = tokens;
    broker.#server = createServer(async (request, response) => {
      const url = new URL(request.url, "http://broker");
      // For pages of any origin.
      for (const [name, value] of [["Allow-Origin", "*"], ["Allow-Headers", "authorization, content-type"], ["Expose-Headers", "Retry-After"]])
        response.setHeader(`Access-Control-${name}`, value);
      if (request.method === "OPTIONS") return response.writeHead(204).end();
      const json = (status, body, headers = {}) => response.writeHead(status, { "Content-Type": "application/json", ...headers }).end(JSON.stringify(body));
      const { authorization = null } = request.headers, who = broker.tokens?.[authorization?.replace("Bearer ", "")];
      broker.authorizations.push([url.pathname, authorization]);
      if (broker.next[request.method]) {
        const [status, headers, body] = broker.next[request.method];
        delete broker.next[request.method];
        return json(status, body, headers);
      }
      if (broker.tokens !== null && !who) return json(401, { error: { code: "bad_token", message: "the signature is wrong" } }, { "WWW-Authenticate": "Bearer" });
      const denied = (texts) => texts.some((text) => broker.denied.includes(text)) && json(403, { error: { code: "forbidden", message: "not allowed" } });
      if (forbids) return json(403, { error: { code: "forbidden", message: "the Origin http://evil.example may not come here" } });
      if (url.pathname === "/v1/topics") {
        broker.#questions = 0;
        return json(200, { topics: [], next: null });
      }
      if (url.pathname === "/v1/sse") {
        const isQuestion = [...url.searchParams.keys()].join() === "topic";
        if (isQuestion && ++broker.#questions > broker.questions_max) return json(429, { error: { code: "rate_limited", message: "slowly" } });
        const known = isOld ? OLD_PARAMETERS : PARAMETERS, unknown = [...url.searchParams.keys()].find((name) => !known.includes(name));
        if (unknown) return json(400, { error: { code: "bad_request", message: `there is no parameter ${unknown}` } });
        if (denied(url.searchParams.getAll("topic"))) return;
        response.writeHead(200, { "Content-Type": "text/event-stream" }).flushHeaders();
        if (who) response.write(`data: ${JSON.stringify({ op: "authenticated", allow: { sub: [">"], pub: [], deny: [] }, expires_ts: null, ...who })}\n\n`);
        for (const message of broker.greeting) response.write(`data: ${JSON.stringify(message)}\n\n`);
        const { topic: _, ...parameters } = Object.fromEntries(url.searchParams);
        return broker.streams.push({ topics: url.searchParams.getAll("topic"), resume: null, conflate_ms: null, on_slow: null, ...parameters, response });
      }
      let body = "";
      for await (const part of request) body += part;
      const topic = decodeURIComponent(url.pathname.slice("/v1/topics/".length));
      if (denied([topic])) return;
      if (request.method === "GET") return json(404, { error: { code: "not_found", message: "no such topic" } });
      broker.published.push([topic, url.search, body]);
      return topic.includes("..") ? json(400, { error: { code: "bad_topic", message: "segment 2 is empty" } })
        : topic.endsWith(".fragment") ? json(409, { error: { code: "no_state", message: "there is no state to change: publish one first" } })
        : json(200, { topic, epoch: "e", seq: broker.published.length });
    });
    broker.#server.on("upgrade", (request, socket, head) => {
      broker.upgrades += 1;
      if (broker.fake) broker.fake.upgrade(request, socket, head);
      else socket.destroy();
    });
    broker.#server.listen(0, "127.0.0.1");
    await once(broker.#server, "listening");
    test.after(() => { broker.#server.closeAllConnections(); broker.#server.close(); });
    return broker;
  }

  get url() { return `ws://127.0.0.1:${this.#server.address().port}`; }

  /** The topics of the streams so far, and the ids from which they resumed. */
  get asked() { return this.streams.map(({ topics, resume }) => [String(topics), resume]); }

  /** The open streams. */
  get open() { return this.streams.filter(({ response }) => !response.destroyed); }

  /** The newest open stream of exactly these topics. */
  of(topics) { return this.open.findLast((stream) => String(stream.topics) === String(topics)); }

  /** Sends to the newest stream; a part of a text is a part of a message. */
  write(text, stream = this.streams.at(-1)) { stream.response.write(text); }
  send(...messages) { this.to(this.streams.at(-1), ...messages); }
  to(stream, ...messages) {
    for (const message of messages) this.write(`${this.id === null ? "" : `id: ${this.id}\n`}data: ${JSON.stringify(message)}\n\n`, stream);
  }

  /** Waits for the stream of exactly these topics, begins them all, and returns the stream. */
  async begin(topics, row) {
    const stream = await until(() => this.of(topics), `a stream of ${topics}`);
    const isPattern = (text) => /[*>]/.test(text), conflate_ms = Number(stream.conflate_ms ?? 0);
    const rows = topics.filter((text) => !isPattern(text)).map((topic) => ({ topic, oldest: 1, conflate_ms, ...row }));
    this.to(stream, { op: "subscribed", topics: rows, patterns: topics.filter(isPattern).map((pattern) => ({ pattern, matched: 1, conflate_ms })), errors: [] });
    return stream;
  }
}
