/**
 * A WebSocket that is tried beside Server-Sent Events: a network that blocks WebSockets may let one through later.
 *
 * @module
 */
import { WebSocketTransport } from "./transport.js";

/** The longest wait before another attempt. */
const AGAIN_MS_MAX = 600_000;

/** Tries one WebSocket after the other, after waits that double, until one has proved good. */
export class Candidate {
  #options; #open; #takeOver;
  #transport = null;
  #timer;
  #attempts = 0;

  /** `open(transport)` opens one, whose listener calls `heard` and `failed`; `takeOver(transport, hello, token)` gets a good one. */
  constructor(options, open, takeOver) {
    this.#options = options;
    this.#open = open;
    this.#takeOver = takeOver;
  }

  is(transport) {
    return this.#transport === transport;
  }

  tryLater() {
    const { websocket_again_ms, connect_timeout_ms, random } = this.#options;
    const wait_ms = Math.min(AGAIN_MS_MAX, websocket_again_ms * 2 ** this.#attempts++) * (1 + random() / 4);
    this.stop();
    this.#timer = setTimeout(() => {
      const transport = (this.#transport = new WebSocketTransport());
      this.#timer = setTimeout(() => this.failed(transport), connect_timeout_ms);
      this.#open(transport);
    }, wait_ms);
  }

  /** Handles a message: the greeting. Until it is taken over, only heartbeats follow. */
  heard(transport, text, token) {
    if (!this.is(transport) || !text.startsWith('{"op":"hello"')) return;
    const good = () => {
      [this.#transport, this.#attempts] = [null, 0];
      this.#takeOver(transport, JSON.parse(text), token);
    };
    clearTimeout(this.#timer);
    // Some networks let WebSockets through and cut them soon after.
    this.#timer = setTimeout(good, this.#options.websocket_again_ms);
  }

  failed(transport) {
    if (this.is(transport)) this.tryLater();
  }

  stop() {
    clearTimeout(this.#timer);
    const transport = this.#transport;
    this.#transport = null;
    transport?.close(true);
  }
}
