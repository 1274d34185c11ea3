/** A network between client and broker that can be cut, stopped and blocked. */
import { connect, createServer } from "node:net";
import { once } from "node:events";

export class Proxy {
  #server; #target; #pairs = new Set();
  #refuses = false;
  #silent = false;
  /** What happens to WebSockets: null, `refused` with an HTTP answer, or `cut` as soon as the broker has sent something. */
  upgrades = null;
  upgradesStopped = 0;
  /** The delay of new connections, each way. */
  lag_ms = 0;
  /** The number of connections so far. */
  connections = 0;

  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => this.#pair(client));
  }

  /** Starts one in front of a broker; it ends with the test. */
  static async start(test, broker) {
    const proxy = new Proxy(broker);
    proxy.#server.listen(0, "127.0.0.1");
    await once(proxy.#server, "listening");
    test.after(() => {
      proxy.cut();
      proxy.#server.close();
    });
    return proxy;
  }

  get url() {
    return `ws://127.0.0.1:${this.#server.address().port}`;
  }

  /** Ends all connections, as a lost network would. */
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** Ends new connections at once, until `allow`. */
  refuse() {
    this.#refuses = true;
    this.cut();
  }

  allow() {
    this.#refuses = false;
  }

  /** Lets nothing through to the client any more, without a sign. */
  stall() {
    for (const [client, server] of this.#pairs) server.unpipe(client).pause();
  }

  /** The same for new connections too. */
  silence() {
    this.#silent = true;
    this.stall();
  }

  /** Continues with what has piled up. */
  resume() {
    for (const [client, server] of this.#pairs) server.pipe(client);
  }

  #pair(client) {
    this.connections += 1;
    if (this.#refuses) return client.destroy();
    const [host, port] = this.#target.address.split(":");
    const server = connect(Number(port), host);
    const pair = [client, server];
    this.#pairs.add(pair);
    if (this.lag_ms > 0) delayed(server, client, this.lag_ms);
    else if (!this.#silent) server.pipe(client);
    const toServer = this.lag_ms > 0 ? (data) => setTimeout(() => server.write(data), this.lag_ms) : (data) => server.write(data);
    let cuts = false;
    client.on("data", (data) => {
      // Not only at the beginning of a connection: Node may upgrade one that has served requests.
      if (this.upgrades !== null && /^upgrade: *websocket/im.test(data)) {
        this.upgradesStopped += 1;
        if (this.upgrades === "refused")
          return client.end("HTTP/1.1 403 Forbidden\r\nContent-Type: text/html\r\nContent-Length: 2\r\nConnection: close\r\n\r\nno");
        cuts = true;
      }
      toServer(data);
    });
    // The greeting comes with the answer to the upgrade, or right after it.
    server.on("data", (data) => cuts && data.includes("hello") && setImmediate(() => client.destroy()));
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        for (const other of pair) other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}

/** Copies what one socket sends to another one, later and in the same order. */
function delayed(from, to, lag_ms) {
  from.on("data", (data) => setTimeout(() => to.write(data), lag_ms));
  from.on("end", () => setTimeout(() => to.end(), lag_ms));
}
