/**
 * A WebSocket that is tried beside Server-Sent Events: a network that blocks WebSockets may let one through later.
 *
 * @module
 */
import { WebSocketTransport } from "./transport.js";

/** The longest wait before another attempt. */
const AGAIN_MS_MAX = 600_000;
/** How many messages about its token and its journal are kept. */
const MESSAGES_MAX = 8;

/** Tries one WebSocket after the other, after waits that double, until one has proved good. */
export class Candidate {
  #options; #open; #request; #takeOver;
  #transport = null;
  #timer;
  #attempts = 0;

  /** Its greeting, the request for authentication, and what the broker said about that. */
  #hello = null;
  #sent = null;
  #messages = [];

  /**
   * `open(transport)` opens one, whose listener calls `heard` and `failed`; `request(hello, token)` makes the request for
   * authentication, or null; `takeOver(transport, hello, request, messages)` gets a good one.
   */
  constructor(options, { open, request, takeOver }) {
    [this.#options, this.#open, this.#request, this.#takeOver] = [options, open, request, takeOver];
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

  /**
   * Handles a message: the greeting, after which it is authenticated, since the broker closes a connection that is not.
   * Until it is taken over, only heartbeats follow, and what the broker says about the token and its journal.
   */
  heard(transport, text, token) {
    if (!this.is(transport)) return;
    if (this.#hello === null) return text.startsWith('{"op":"hello"') ? this.#greeted(transport, JSON.parse(text), token) : undefined;
    if (text.startsWith('{"op":"error"')) return this.failed(transport);
    if (/^\{"op":"(authenticated|reauth|stale|fresh)"/.test(text) && this.#messages.length < MESSAGES_MAX) this.#messages.push(text);
  }

  #greeted(transport, hello, token) {
    [this.#hello, this.#sent, this.#messages] = [hello, this.#request(hello, token), []];
    if (this.#sent) transport.send(this.#sent, JSON.stringify(this.#sent));
    const good = () => {
      const messages = this.#messages;
      this.#attempts = 0;
      [this.#transport, this.#hello, this.#messages] = [null, null, []];
      this.#takeOver(transport, hello, this.#sent, messages);
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
    [this.#transport, this.#hello, this.#messages] = [null, null, []];
    transport?.close(true);
  }
}
