/** A real broker: the binary in the environment variable BROKER, on ports of its own. */
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { start } from "./child.js";
import { until, within } from "./wait.js";

if (!process.env.BROKER) throw new Error("the environment variable BROKER names the broker's binary");

/** The platform's WebSocket or, if there is none, that of the package ws. */
export const WebSocket = globalThis.WebSocket ?? createRequire(import.meta.url)("ws").WebSocket;

export class Broker {
  #process = null;
  #flags; #command;
  /** HOST:PORT of its client listener, which stays the same after a restart. */
  address = "127.0.0.1:0";
  /** HOST:PORT of its admin listener, which gets another port each time. */
  admin = null;
  /** The token of what is published over HTTP. */
  token;
  /** What it has printed. */
  said = "";

  constructor(flags = [], command = "serve") {
    this.#flags = flags;
    this.#command = command;
  }

  /** Starts a broker with these flags; it ends with the test. */
  static async start(test, flags = [], command = "serve") {
    const broker = new Broker(flags, command);
    test.after(() => broker.kill());
    await broker.start();
    return broker;
  }

  async start() {
    const args = [this.#command, "--listen", this.address, "--admin-listen", "127.0.0.1:0", ...this.#flags];
    const started = start(process.env.BROKER, args, { stdio: ["ignore", "pipe", "pipe"] });
    this.#process = started;
    this.said = "";
    const serving = new Promise((resolve, reject) => {
      for (const stream of [started.stdout, started.stderr])
        stream.on("data", (text) => {
          const found = / listen=(\S+) admin_listen=(\S+)/.exec((this.said += text));
          if (found) resolve(found.slice(1));
        });
      started.on("exit", () => reject(new Error(`the broker ended: ${this.said}`)));
    });
    [this.address, this.admin] = await within(serving, "broker that serves");
  }

  get url() {
    return `ws://${this.address}`;
  }

  get pid() {
    return this.#process.pid;
  }

  /** Kills it at once, as a crash would. */
  async kill(signal = "SIGKILL") {
    const ending = this.#process;
    this.#process = null;
    if (!ending || ending.exitCode !== null) return;
    const ended = new Promise((resolve) => ending.on("exit", resolve));
    ending.kill(signal);
    await within(ended, "end of the broker");
  }

  /** Stops the process, with all its connections open, until `goOn`. */
  async standStill() {
    const { pid } = this;
    this.#process.kill("SIGSTOP");
    const isStopped = () => readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].startsWith("T");
    await until(isStopped, "broker that stands still");
  }

  goOn() {
    this.#process.kill("SIGCONT");
  }

  async restart() {
    await this.kill();
    await this.start();
  }

  /** Publishes over HTTP, so that it does not depend on any client. */
  publish(topic, kind, data, { written = false } = {}) {
    return this.#http("POST", `/v1/topics/${encodeURIComponent(topic)}?kind=${kind}`, written ? data : JSON.stringify(data));
  }

  delete(topic) {
    return this.#http("DELETE", `/v1/topics/${encodeURIComponent(topic)}`);
  }

  async #http(method, path, body) {
    // A connection of its own: the broker may close a kept one at the very moment at which it is reused.
    const headers = { Connection: "close", ...(body === undefined ? {} : { "Content-Type": "application/json" }), ...(this.token && { Authorization: `Bearer ${this.token}` }) };
    const answer = await fetch(`http://${this.address}${path}`, { method, headers, body })
      .catch((error) => { throw new Error(`${method} ${path}: ${error.message}`, { cause: error.cause }); });
    const said = await answer.json();
    if (!answer.ok) throw new Error(`${method} ${path}: ${said.error.message}`);
    return said;
  }
}
