/**
 * A connection to a broker that comes back: one transport after the other, from the attempt to the broker's greeting, the
 * watch for silence, the loss and the wait for the next.
 *
 * @module
 */
import { Backoff } from "./backoff.js";
import { Candidate } from "./candidate.js";
import { TickcastError } from "./error.js";
import { endpoint } from "./options.js";
import { Outage } from "./outage.js";
import { SseTransport } from "./sse.js";
import { ABNORMAL, WebSocketTransport } from "./transport.js";
import { Wake } from "./wake.js";

/** Close codes after which the same client would only be closed again. */
const FINAL_CODES = [1002, 1003, 1007, 1009, 4003];
const CODE_TOKEN = 4001;
const TRANSPORTS = { websocket: WebSocketTransport, sse: SseTransport };
/** A silent connection is given up after so many of the broker's `heartbeat_ms`, and at least one and the slack. */
const SILENCE_HEARTBEATS = 1.5, SILENCE_SLACK_MS = 1_000;
/** A broker that is asked whether it is still there has so long to answer, or to say anything else. */
const PROBE_MS = 3_000;
/** How often is asked whether a broker is there of which nothing is followed, in parts of its patience. */
const CHECKS = 3;

/**
 * The connection. Its listener hears `message(message)` for what the broker sends of topics and as answers; `opened()` on
 * each new connection, to ask for everything again; `away()` when one is left, by loss or for another, and no more answers
 * come over it; `lost()` when another attempt follows; `ended(error)` once, after which nothing follows; and
 * `emit(type, fields)`, the client's events. `places()`, `reached(id, texts)`, `answer(message)` and
 * `settled(covers, mentioned)` are as for a transport.
 */
export class Connection {
  #url; #options; #listener; #backoff; #outage; #wake;
  #state = "connecting";
  #hello = null;
  /** The present connection, or attempt at one; null between them. */
  #transport = null;
  /** A WebSocket that is tried beside Server-Sent Events. */
  #candidate;
  #openedAt = 0;
  #heardAt = 0;
  /** The id of the question whether the broker is still there, until it is answered; and when it was asked. */
  #probe = null;
  #probedAt = 0;
  /** Waits for `hello`, watches for silence, or waits for the next attempt: one of these at a time. */
  #timer;
  #lastId = 0;

  constructor(url, options, listener) {
    [this.#url, this.#options, this.#listener] = [endpoint(url), options, listener];
    const { transports } = options;
    if (transports.length === 0 || !transports.every((name) => Object.hasOwn(TRANSPORTS, name)))
      throw new TypeError(`transports are of ${Object.keys(TRANSPORTS).join(", ")}, not ${JSON.stringify(transports)}`);
    this.#backoff = new Backoff(options);
    this.#outage = new Outage(this.#url, transports);
    const takeOver = (transport, hello, token) => this.#goOver(transport, hello, token);
    this.#candidate = new Candidate(options, (transport) => this.#openOne(transport), takeOver);
    this.#wake = new Wake(() => this.#woke());
  }

  get state() { return this.#state; }
  get isOpen() { return this.#state === "open"; }
  get url() { return this.#url; }
  get hello() { return this.#hello; }
  /** Of the broker: only after its first greeting. */
  get limits() { return this.#hello.limits; }
  /** The name of the transport while open, else null. */
  get transport() { return this.isOpen ? this.#backoff.transport : null; }
  /** Whether what we have may come again over this transport. */
  get repeats() { return this.#transport?.constructor.repeats ?? false; }
  get unsentBytes() { return this.#transport.unsentBytes; }

  /** An id for a message to the broker. */
  nextId() {
    return ++this.#lastId;
  }

  /** Sends a message, of which `text` is the JSON. Without a transport it is dropped: what matters is asked for again. */
  send(message, text = JSON.stringify(message)) {
    this.#transport?.send(message, text);
  }

  /** Makes the first attempt; the others follow by themselves. */
  async connect() {
    clearTimeout(this.#timer);
    const transport = (this.#transport = new TRANSPORTS[this.#backoff.transport]());
    const { connect_timeout_ms } = this.#options;
    this.#timer = setTimeout(() => this.drop(`no hello within ${connect_timeout_ms} ms`), connect_timeout_ms);
    await this.#openOne(transport);
  }

  /** Ends the connection from here, and goes on as if it had been lost. */
  drop(reason) {
    const transport = this.#transport;
    this.#lost({ code: ABNORMAL, reason });
    transport.close(true);
  }

  /** Ends it for good. */
  close() {
    if (this.#state !== "closed") this.#end(null, { code: 1000, reason: "" });
  }

  async #openOne(transport) {
    const { token } = this.#options, current = () => this.#transport === transport;
    const fail = (end) => (current() ? this.#lost(end) : this.#candidate.failed(transport));
    try {
      const said = typeof token === "function" ? await token() : token;
      await transport.open(this.#url, this.#options, {
        current: () => current() || this.#candidate.is(transport),
        message: (text) => (current() ? this.#receive(text, said) : this.#candidate.heard(transport, text, said)),
        close: fail,
        alive: () => { if (current()) [this.#heardAt, this.#probe] = [performance.now(), null]; },
        answer: (message) => this.#listener.answer(message),
        settled: (covers, mentioned) => current() && this.#listener.settled(covers, mentioned),
        reached: (id, texts) => current() && this.#listener.reached(id, texts),
        places: this.#listener.places(),
      });
    } catch (error) {
      fail({ code: ABNORMAL, reason: error.message });
    }
  }

  /** From Server-Sent Events to a WebSocket that has proved good. */
  #goOver(transport, hello, token) {
    const before = this.#transport;
    this.#transport = transport;
    this.#backoff.wentOver();
    this.#listener.away();
    this.#heardAt = performance.now();
    this.#probe = null;
    before.retire();
    this.#opened(hello, token);
  }

  #receive(text, token) {
    this.#heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return this.drop(`the broker sent what is no JSON: ${error.message}`);
    }
    if (this.#state !== "open") return message.op === "hello" ? this.#opened(message, token) : undefined;
    switch (message.op) {
      case "hello":
        this.#hello = message;
        return this.#watch();
      case "pong":
        if (message.id === this.#probe) this.#probe = null;
        return this.#listener.message(message);
      case "goaway":
        return this.#listener.emit("goaway", { reason: message.reason, after_ms: this.#backoff.goaway(message.after_ms) });
      default: return this.#listener.message(message);
    }
  }

  #opened(hello, token) {
    const before = this.#state;
    this.#hello = hello;
    this.#state = "open";
    this.#openedAt = performance.now();
    this.#backoff.opened();
    this.#outage.opened();
    this.#watch();
    // As no broker takes tokens yet, a refused one is told as an error and changes nothing.
    if (token !== undefined) this.send({ op: "auth", id: this.nextId(), token });
    this.#listener.opened();
    if (before !== "open") this.#listener.emit("statechange", { state: "open" });
    this.#listener.emit("open", { hello, transport: this.transport });
    if (this.transport === "sse" && this.#options.transports.includes("websocket")) this.#candidate.tryLater();
  }

  /** The machine slept, or the network changed, or the page is looked at again. */
  #woke() {
    // There is no reason to wait longer, unless the broker asked for it.
    if (this.#transport === null) return this.#backoff.isAsked ? undefined : this.connect();
    if (this.#state !== "open" || this.#probe !== null) return;
    [this.#probe, this.#probedAt] = [this.nextId(), performance.now()];
    if (this.#transport.probe(this.#probe)) this.#watch();
    else this.drop("the network may have changed");
  }

  /** Gives up a connection that is silent. One timer that looks again, rather than one set anew with every message. */
  #watch() {
    const heartbeat_ms = this.#hello.heartbeat_ms, isProbed = this.#probe !== null;
    const patience = isProbed ? PROBE_MS : Math.max(SILENCE_HEARTBEATS * heartbeat_ms, heartbeat_ms + SILENCE_SLACK_MS);
    const left = Math.max(this.#heardAt, isProbed ? this.#probedAt : 0) + patience - performance.now();
    clearTimeout(this.#timer);
    if (left <= 0) {
      // After a sleep that is no silence of the broker's: it is asked first.
      if (!isProbed && this.#wake.look()) return;
      return this.drop(`nothing came for ${patience} ms`);
    }
    this.#transport.check?.();
    this.#timer = setTimeout(() => this.#watch(), Math.min(left, patience / CHECKS));
  }

  #lost({ code, reason }) {
    clearTimeout(this.#timer);
    this.#candidate.stop();
    const wasOpen = this.#state === "open";
    const unreachable = wasOpen ? null : this.#outage.failed(this.#backoff.transport, reason, performance.now());
    [this.#transport, this.#probe] = [null, null];
    this.#listener.away();
    if (FINAL_CODES.includes(code) || (code === CODE_TOKEN && typeof this.#options.token !== "function"))
      return this.#end(new TickcastError("closed", `the broker closed the connection with ${code}: ${reason}`), { code, reason });
    this.#listener.lost();
    const lived_ms = wasOpen ? performance.now() - this.#openedAt : null;
    const delay_ms = this.#backoff.next(code, lived_ms);
    this.#timer = setTimeout(() => this.connect(), delay_ms);
    if (wasOpen) {
      this.#state = "stale";
      this.#listener.emit("statechange", { state: "stale" });
    }
    this.#listener.emit("close", { code, reason, reconnect: true, delay_ms });
    if (unreachable) this.#listener.emit("error", { error: unreachable });
  }

  #end(error, { code, reason }) {
    clearTimeout(this.#timer);
    this.#candidate.stop();
    this.#wake.stop();
    const transport = this.#transport;
    this.#transport = null;
    this.#state = "closed";
    this.#listener.ended(error);
    transport?.close(false);
    this.#listener.emit("statechange", { state: "closed" });
    if (error) this.#listener.emit("error", { error });
    this.#listener.emit("close", { code, reason, reconnect: false, delay_ms: null });
  }
}
