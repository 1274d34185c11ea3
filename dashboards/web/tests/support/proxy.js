/** A network between client and broker that can be cut, stopped and blocked. */
import { connect, createServer } from "node:net";
import { once } from "node:events";

export class Proxy {
  #server; #target; #pairs = new Set();
  #refuses = false;
  /** Connections that came so far. */
  connections = 0;

  constructor(target) {
    this.#target = target;
    this.#server = createServer((client) => this.#pair(client));
  }

  /** In front of a broker; it ends with the test. */
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

  /** Ends all connections, as by a lost network. */
  cut() {
    for (const pair of this.#pairs) for (const socket of pair) socket.destroy();
  }

  /** New connections are ended at once, until `allow`. */
  refuse() {
    this.#refuses = true;
    this.cut();
  }

  allow() {
    this.#refuses = false;
  }

  /** The client gets nothing any more, and does not learn why. */
  stall() {
    for (const [client, server] of this.#pairs) server.unpipe(client).pause();
  }

  /** It goes on with what had piled up. */
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
    client.pipe(server).pipe(client);
    for (const socket of pair) {
      socket.on("error", () => {});
      socket.on("close", () => {
        for (const other of pair) other.destroy();
        this.#pairs.delete(pair);
      });
    }
  }
}
