/** A broker that says whatever a test wants: for what a real one never does. */
import { createRequire } from "node:module";
import { once } from "node:events";
import { until } from "./wait.js";

const { WebSocketServer } = createRequire(import.meta.url)("ws");

const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "fake", session: "s", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 100, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 10, stall_ms: 60_000 },
};

export class Fake {
  #server; #sockets = [];
  /** Everything that clients sent, parsed. */
  received = [];

  /** One that greets with these fields changed; it ends with the test. */
  static async start(test, { greets = true, ...hello } = {}) {
    const fake = new Fake();
    fake.#server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
    fake.#server.on("connection", (socket) => {
      fake.#sockets.push(socket);
      socket.on("message", (text) => fake.received.push(JSON.parse(text)));
      if (greets) socket.send(JSON.stringify({ ...HELLO, ...hello }));
    });
    await once(fake.#server, "listening");
    test.after(() => {
      for (const socket of fake.#sockets) socket.terminate();
      fake.#server.close();
    });
    return fake;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  /** Connections that came so far. */
  get connections() {
    return this.#sockets.length;
  }

  /** To the newest connection. */
  send(...messages) {
    for (const message of messages) this.#sockets.at(-1).send(typeof message === "string" ? message : JSON.stringify(message));
  }

  close(code, reason) {
    this.#sockets.at(-1).close(code, reason);
  }

  /** The next request of this operation that no test has taken yet. */
  async next(op) {
    const at = await until(() => 1 + this.received.findIndex((message) => message.op === op), `a request ${op}`);
    return this.received.splice(at - 1, 1)[0];
  }

  /** Answers the next `subscribe`: each topic begins as `row` says. */
  async begin(row) {
    const { id, topics } = await this.next("subscribe");
    const names = topics.map((entry) => entry.topic ?? entry);
    this.send({ op: "subscribed", id, topics: names.map((topic) => ({ topic, oldest: 1, conflate_ms: 0, ...row })), patterns: [], errors: [] });
    return topics;
  }
}
