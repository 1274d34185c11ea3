/** Clients of all kinds that the metrics distinguish: some that read, one that does not, some that leave. */
import { randomBytes } from "node:crypto";
import { connect } from "node:net";

const TOPICS = 20;
const PAD = "x".repeat(1000);

/** A minimal WebSocket client: a handshake and text frames. Its reading can be stopped. */
export class Client {
  constructor(address, entries) {
    const [host, port] = address.split(":");
    this.socket = connect(Number(port), host);
    this.socket.on("error", () => {});
    const key = randomBytes(16).toString("base64");
    this.socket.write(
      `GET /v1/ws HTTP/1.1\r\nHost: ${address}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n` +
        `Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n\r\n`,
    );
    // The broker reads what is sent before its answer after the handshake.
    this.socket.write(frame(1, JSON.stringify({ op: "subscribe", topics: entries })));
    this.socket.resume();
  }

  stopReading() {
    this.socket.pause();
  }

  say(text) {
    this.socket.write(frame(1, text));
  }

  /** Leaves with a close frame. */
  leave() {
    this.socket.end(frame(8, "\x03\xe8"));
  }

  vanish() {
    this.socket.resetAndDestroy();
  }
}

/** A client's frame, masked with zeros. */
function frame(opcode, text) {
  const payload = Buffer.from(text, "latin1");
  const head = payload.length < 126 ? [payload.length | 0x80] : [126 | 0x80, payload.length >> 8, payload.length & 255];
  return Buffer.concat([Buffer.from([0x80 | opcode, ...head, 0, 0, 0, 0]), payload]);
}

/** Publishes over a client's WebSocket, twice a second, until stopped. */
export class Talker {
  published = 0;

  constructor(client) {
    this.timer = setInterval(() => {
      client.say('{"op":"publish","topic":"test.said","kind":"state","data":1}');
      this.published += 1;
    }, 500);
  }

  stop() {
    clearInterval(this.timer);
  }
}

/** Publishes over HTTP, twenty updates of 1 KB at a time, until stopped. */
export class Publisher {
  published = 0;
  refused = 0;
  #stopped = false;

  constructor(address) {
    this.address = address;
    this.running = this.#run();
  }

  async stop() {
    this.#stopped = true;
    await this.running;
  }

  /** Publishes so many updates of 50 KB, a hundred at a time. */
  async burst(updates) {
    const data = { pad: PAD.repeat(50) };
    for (let sent = 0; sent < updates; sent += 100) {
      const line = (_, index) => JSON.stringify({ topic: `burst.topic.${index}`, kind: "state", data });
      await this.#publish(Array.from({ length: 100 }, line));
    }
  }

  async #run() {
    while (!this.#stopped) {
      const lines = Array.from({ length: TOPICS }, (_, index) =>
        JSON.stringify({ topic: `test.topic.${index}`, kind: "state", data: { pad: PAD, number: this.published + index } }),
      );
      lines.push(JSON.stringify({ topic: "test..wrong", data: 1 }));
      await this.#publish(lines);
      await new Promise((next) => setTimeout(next, 20));
    }
  }

  async #publish(lines) {
    const answer = await fetch(`http://${this.address}/v1/publish`, {
      method: "POST",
      headers: { "Content-Type": "application/x-ndjson" },
      body: lines.join("\n"),
    });
    const said = await answer.json();
    this.published += said.accepted;
    this.refused += said.rejected.length;
  }
}
