/** A broker that sends whatever a test wants, for what a real one never does. */
import { createRequire } from "node:module";
import { once } from "node:events";
import { until } from "./wait.js";

const { WebSocketServer } = createRequire(import.meta.url)("ws");

const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "fake", session: "s", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 100, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 10, stall_ms: 60_000 },
};

/** Fields of `subscribe` that an older broker refuses. */
const NEW_FIELDS = ["ready", "positions", "resume"];

export class Fake {
  #server; #sockets = [];
  #isOld; #tokens;
  /** Everything that clients sent, parsed, except requests that only switch positions on: these are answered at once. */
  received = [];
  /** The tokens that it has answered by itself, in order. */
  authenticated = [];
  hello = null;
  /** Since when it is cut off from its journal, which it then says right after each greeting; null if it is not. */
  stale = null;
  /** Whether it answers each ping by itself. */
  pongs = false;

  constructor(isOld, tokens) {
    [this.#isOld, this.#tokens] = [isOld, tokens];
  }

  /**
   * Starts one whose `hello` has these fields changed; `isOld` if it knows no positions; `within` an `SseBroker`. With
   * `auth` (`required` or `optional`) it knows tokens: of `tokens`, by token, `{sub, allow, expires_ts}`, it accepts each
   * by itself and refuses others; without `tokens` the test answers. It ends with the test.
   */
  static async start(test, { greets = true, isOld = false, within = null, tokens = null, ...hello } = {}) {
    const fake = new Fake(isOld, tokens);
    fake.hello = hello;
    if (hello.auth) hello.features = ["auth"];
    fake.#server = new WebSocketServer(within ? { noServer: true } : { port: 0, host: "127.0.0.1" });
    fake.#server.on("connection", (socket) => {
      fake.#sockets.push(socket);
      socket.who = null;
      socket.on("message", (text) => fake.#take(socket, JSON.parse(text)));
      if (greets) socket.send(JSON.stringify({ ...HELLO, ...hello }));
      if (fake.stale !== null) socket.send(JSON.stringify({ op: "stale", since: fake.stale }));
    });
    if (within) within.fake = fake;
    else await once(fake.#server, "listening");
    test.after(() => {
      for (const socket of fake.#sockets) socket.terminate();
      fake.#server.close();
    });
    return fake;
  }

  #take(socket, message) {
    const { op, id, topics, positions } = message, say = (answer) => socket.send(JSON.stringify(answer));
    if (op === "auth" && this.#tokens) return this.#authenticate(socket, message);
    // As a broker does where a token is required.
    if (this.#tokens && socket.who === null && this.hello?.auth === "required" && op !== "ping") return say({ op: "error", id, code: "bad_token", message: "authenticate first", retry: false });
    const unknown = this.#isOld && NEW_FIELDS.find((field) => Object.hasOwn(message, field));
    if (unknown) return say({ op: "error", id, code: "bad_request", message: `"${unknown}" is not a field of ${op}`, retry: false });
    if (op === "ping" && this.pongs) return say({ op: "pong", id, ts: 1 });
    if (positions && topics.length === 0) return say({ op: "subscribed", id, topics: [], patterns: [], errors: [] });
    this.received.push(message);
  }

  #authenticate(socket, { id, token }) {
    const who = this.#tokens[token];
    this.authenticated.push(token);
    if (!who) return socket.send(JSON.stringify({ op: "error", id, code: "bad_token", message: "the signature is wrong", retry: false }));
    socket.who = who;
    socket.send(JSON.stringify({ op: "authenticated", id, expires_ts: null, allow: { sub: [">"], pub: [], deny: [] }, ...who }));
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  /** Takes over a WebSocket that another server accepted. */
  upgrade(request, socket, head) {
    this.#server.handleUpgrade(request, socket, head, (upgraded) => this.#server.emit("connection", upgraded, request));
  }

  /** The number of connections so far. */
  get connections() {
    return this.#sockets.length;
  }

  /** The number of connections that are open. */
  get open() {
    return this.#sockets.filter((socket) => socket.readyState === socket.OPEN).length;
  }

  /** Sends to the newest connection. */
  send(...messages) {
    for (const message of messages) this.#sockets.at(-1).send(typeof message === "string" ? message : JSON.stringify(message));
  }

  close(code, reason) {
    this.#sockets.at(-1).close(code, reason);
  }

  /** Returns the next request with this `op` that the test has not taken yet. */
  async next(op) {
    const at = await until(() => 1 + this.received.findIndex((message) => message.op === op), `a request ${op}`);
    return this.received.splice(at - 1, 1)[0];
  }

  /** Waits until a client has received everything that was sent to it. */
  async heard(client) {
    const answered = client.ping(), { id } = await this.next("ping");
    this.send({ op: "pong", id, ts: 1 });
    await answered;
  }

  /** Answers the next `subscribe`: each topic begins as in `row`, each pattern matches `matched` topics. Returns the topics as asked for. */
  async begin(row, matched = 0) {
    const request = await this.next("subscribe");
    this.answer(request, row, matched);
    return request.topics;
  }

  /** Answers a `subscribe` in the same way. */
  answer({ id, topics, conflate_ms }, row, matched = 0) {
    const texts = topics.map((entry) => entry.topic ?? entry), isPattern = (text) => /[*>]/.test(text);
    const rows = texts.filter((text) => !isPattern(text)).map((topic) => ({ topic, oldest: 1, conflate_ms, ...row }));
    this.send({ op: "subscribed", id, topics: rows, patterns: texts.filter(isPattern).map((pattern) => ({ pattern, matched, conflate_ms })), errors: [] });
  }
}
