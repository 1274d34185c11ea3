/**
 * A connection to a broker that replaces itself when it is lost: one transport after the other, each from the attempt
 * to connect over the broker's greeting to the loss, and the wait for the next.
 *
 * @module
 */
import { Addresses } from "./addresses.js";
import { Authentication } from "./authentication.js";
import { Backoff } from "./backoff.js";
import { Candidate } from "./candidate.js";
import { Elsewhere } from "./elsewhere.js";
import { TickcastError } from "./error.js";
import { Outage } from "./outage.js";
import { Silence } from "./silence.js";
import { SseTransport } from "./sse.js";
import { ABNORMAL, WebSocketTransport } from "./transport.js";
import { Wake } from "./wake.js";

/** Close codes after which another connection of this client would be closed again. */
const FINAL_CODES = [1002, 1003, 1007, 1009, 4003];
const CODE_TOKEN = 4001;
/** The reason of a `goaway` that concerns only this broker, and no other one. */
const SHUTDOWN = "shutdown";
const TRANSPORTS = { websocket: WebSocketTransport, sse: SseTransport };

/**
 * The connection. Its listener gets `message(message)` for the broker's messages of topics and its answers; `opened()`
 * on each new connection, to ask for everything again; `ready()` whenever it may take requests again; `away()` when one is left, because it is lost or for another
 * one, and no more answers come over it; `lost()` when another attempt follows; `ended(error)` once, after which
 * nothing follows; and `emit(type, fields)` for the client's events. `resumePoints()`, `wanted()`,
 * `freed()`, `reached(id, texts)`, `answer(message)` and `settled(covers, mentioned)` are as for a transport.
 */
export class Connection {
  #addresses; #options; #listener; #backoff; #outage; #wake; #silence; #authentication;
  #state = "connecting";
  #hello = null;
  /** The present connection, or attempt at one; null between them. */
  #transport = null;
  /** A WebSocket that is tried beside Server-Sent Events. */
  #candidate;
  /** Looks for a better broker at the other addresses. */
  #elsewhere;
  #openedAt = 0;
  /** Limits the wait for `hello`, or waits for the next attempt. */
  #timer;
  #lastId = 0;

  /** `addresses` is the address of a broker, or a list of them. */
  constructor(addresses, options, listener) {
    [this.#addresses, this.#options, this.#listener] = [new Addresses(addresses, options.random), options, listener];
    const { transports } = options;
    if (transports.length === 0 || !transports.every((name) => Object.hasOwn(TRANSPORTS, name)))
      throw new TypeError(`transports are some of ${Object.keys(TRANSPORTS).join(", ")}, not ${JSON.stringify(transports)}`);
    this.#backoff = new Backoff(options, this.#addresses);
    this.#outage = new Outage(this.#addresses.all, transports);
    this.#authentication = new Authentication(options, {
      nextId: () => this.nextId(),
      send: (request) => this.#renew(request),
      emit: listener.emit,
    });
    const beside = { open: (...which) => this.#openOne(...which), request: (hello, token) => this.#authentication.request(hello, token) };
    this.#candidate = new Candidate(options, {
      ...beside,
      takeOver: (...found) => {
        this.#backoff.switched();
        this.#switch(...found);
      },
    });
    this.#elsewhere = new Elsewhere(options, this.#addresses, {
      ...beside,
      make: () => new TRANSPORTS[this.#backoff.transport](),
      nextId: () => this.nextId(),
      takeOver: (url, ...found) => {
        this.#addresses.move(url);
        this.#switch(...found);
      },
      emit: listener.emit,
    });
    this.#wake = new Wake(() => this.#woke());
    this.#silence = new Silence({
      check: () => this.#transport.check?.(),
      woke: () => this.#wake.look(),
      silent: (reason) => this.drop(reason),
    });
  }

  get state() { return this.#state; }
  get isOpen() { return this.#state === "open"; }
  /** Whether publishes may be sent: behind a token that the broker may refuse, they would be lost. */
  get takesRequests() { return this.isOpen && !this.#authentication.isPending; }
  get isStale() { return this.#elsewhere.isStale; }
  get url() { return this.#addresses.url; }
  get hello() { return this.#hello; }
  get authenticated() { return this.#authentication.who; }
  /** The broker's limits. Only after its first greeting. */
  get limits() { return this.#hello.limits; }
  /** The name of the transport while open, else null. */
  get transport() { return this.isOpen ? this.#backoff.transport : null; }
  /** Whether updates may come twice over this transport. */
  get repeats() { return this.#transport?.constructor.repeats ?? false; }
  /** Whether a topic comes over this connection, although its entries may have been unsubscribed. */
  brings(topic) { return this.#transport?.brings?.(topic) ?? false; }
  get unsentBytes() { return this.#transport.unsentBytes; }

  /** Returns an id for a message to the broker. */
  nextId() {
    return ++this.#lastId;
  }

  /** Sends a message; `text` is its JSON. Without a transport it is dropped: what matters is asked for again. */
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

  /** Ends the present connection, and continues as if it had been lost. */
  drop(reason, code = ABNORMAL, retry_ms = undefined) {
    const transport = this.#transport;
    this.#lost({ code, reason, retry_ms });
    transport.close(true);
  }

  /** Ends the client's connection for good. */
  close() {
    if (this.#state !== "closed") this.#end(null, { code: 1000, reason: "" });
  }

  async #openOne(transport, url = this.url) {
    const current = () => this.#transport === transport, beside = () => [this.#candidate, this.#elsewhere].find((each) => each.is(transport));
    const isUsed = () => current() || beside() !== undefined;
    const fail = (end) => {
      if (!current()) return beside()?.failed(transport, end);
      this.#lost(end);
      transport.close(true);
    };
    let token;
    try {
      token = await this.#authentication.ask();
    } catch (error) {
      return fail({ code: ABNORMAL, reason: error.message, token: "later" });
    }
    // The attempt may be over: then the token is not that of the one after it.
    if (!isUsed()) return;
    try {
      await transport.open(url, { ...this.#options, token }, {
        current: isUsed,
        message: (text, isOwn) => (current() ? this.#receive(text, token, isOwn) : beside()?.heard(transport, text, token)),
        close: fail,
        alive: () => { if (current()) this.#silence.alive(); },
        answer: (message) => this.#listener.answer(message),
        settled: (covers, mentioned) => current() && this.#listener.settled(covers, mentioned),
        reached: (id, texts) => current() && this.#listener.reached(id, texts),
        resumePoints: this.#listener.resumePoints,
        wanted: this.#listener.wanted,
        freed: () => current() && this.#listener.freed(),
      });
    } catch (error) {
      fail({ code: ABNORMAL, reason: error.message });
    }
  }

  /** Switches to a connection that has proved good beside the present one. It has been sent this request for authentication, and these messages came. */
  #switch(transport, hello, request, messages) {
    const before = this.#transport, wasStale = this.isStale;
    this.#candidate.stop();
    this.#elsewhere.stop();
    this.#transport = transport;
    this.#listener.away();
    // Over Server-Sent Events each request is by itself, and still gets its answer.
    if (!before.constructor.repeats) this.#listener.lost();
    this.#silence.alive();
    before.retire();
    this.#opened(hello, request);
    for (const text of messages) if (this.#transport === transport) this.#receive(text, undefined, true);
    if (wasStale && this.isOpen && !this.isStale) this.#listener.emit("fresh", {});
  }

  /** Handles a message; `isOwn` if the transport made it, so that it is no sign of life. */
  #receive(text, token, isOwn = false) {
    if (!isOwn) this.#silence.heard();
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return this.drop(`the broker sent a message that is not JSON: ${error.message}`);
    }
    if (this.#state !== "open") return message.op === "hello" ? this.#greeted(message, token) : undefined;
    switch (message.op) {
      case "hello":
        this.#hello = message;
        return this.#silence.start(message.heartbeat_ms);
      case "pong":
        this.#silence.answered(message.id);
        return this.#listener.message(message);
      case "goaway":
        return this.#going(message);
      case "stale":
        return this.#elsewhere.stale(message.since);
      case "fresh":
        return this.#elsewhere.fresh();
      case "authenticated":
        this.#authentication.accepted(message);
        return this.#listener.ready();
      case "reauth":
        return this.#authentication.renew();
      case "error":
        return this.#failed(message);
      default: return this.#listener.message(message);
    }
  }

  /** Handles the greeting of a new connection. The token goes first, in one flight with what is asked for. */
  #greeted(hello, token) {
    const request = this.#transport.authenticates ? null : this.#authentication.request(hello, token);
    if (request) this.send(request);
    this.#opened(hello, request);
  }

  #opened(hello, request) {
    const before = this.#state;
    this.#hello = hello;
    this.#state = "open";
    this.#openedAt = performance.now();
    this.#backoff.opened();
    this.#outage.opened();
    this.#authentication.opened(request);
    clearTimeout(this.#timer);
    this.#silence.start(hello.heartbeat_ms);
    this.#listener.opened();
    if (before !== "open") this.#listener.emit("statechange", { state: "open" });
    this.#listener.emit("open", { hello, transport: this.transport });
    if (this.transport === "sse" && this.#options.transports.includes("websocket")) this.#candidate.tryLater();
  }

  /** Sends a new token over this connection. Returns whether an answer to it follows. */
  #renew(request) {
    if (this.#transport?.renew?.(request.token)) return false;
    this.send(request);
    return true;
  }

  /** The broker is about to close the connection. If it stops, another one may be better already. */
  #going({ reason, after_ms }) {
    const isStopping = reason === SHUTDOWN, asked_ms = this.#backoff.goaway(after_ms, isStopping);
    if (isStopping) this.#elsewhere.leaving(asked_ms);
    this.#listener.emit("goaway", { reason, after_ms: asked_ms });
  }

  /** Handles an error. One about the token concerns the connection, and not what was asked for over it. */
  #failed(message) {
    const what = this.#authentication.error(message), reason = `${message.code}: ${message.message}`;
    if (what === "refused") return this.drop(reason, CODE_TOKEN);
    if (what === "later") return this.drop(reason, ABNORMAL, message.retry_ms);
    if (what === null) this.#listener.message(message);
  }

  /** The machine slept, the network changed, or the page became visible again. */
  #woke() {
    // There is no reason to wait longer, unless the broker asked for it.
    if (this.#transport === null) return this.#backoff.isAsked ? undefined : this.connect();
    if (this.#state !== "open" || this.#silence.isProbing) return;
    const id = this.nextId();
    if (this.#transport.probe(id)) this.#silence.probed(id);
    else this.drop("the network may have changed");
  }

  /** `retry_ms` is the wait that the broker asked for; `token` is set if the token is missing, and not the connection. */
  #lost({ code, reason, retry_ms, token = null }) {
    clearTimeout(this.#timer);
    this.#silence.stop();
    this.#candidate.stop();
    this.#elsewhere.stop();
    this.#authentication.stop();
    reason = this.#authentication.hide(reason);
    const wasOpen = this.#state === "open", isRefused = code === CODE_TOKEN;
    if (isRefused) token = this.#authentication.refused();
    const unreachable = wasOpen || token ? null : this.#outage.failed(this.url, this.#backoff.transport, reason, performance.now());
    this.#transport = null;
    this.#listener.away();
    if (FINAL_CODES.includes(code) || token === "never") return this.#end(this.#final(code, reason), { code, reason });
    if (retry_ms > 0) this.#backoff.goaway(retry_ms);
    this.#listener.lost();
    const lived_ms = wasOpen ? performance.now() - this.#openedAt : null;
    const delay_ms = this.#backoff.next(code, lived_ms, token);
    this.#timer = setTimeout(() => this.connect(), delay_ms);
    if (wasOpen) {
      this.#state = "stale";
      this.#listener.emit("statechange", { state: "stale" });
    }
    this.#listener.emit("close", { code, reason, reconnect: true, delay_ms });
    if (unreachable) this.#listener.emit("error", { error: unreachable });
  }

  /** The error of a client that is closed for good. */
  #final(code, reason) {
    const isByMessage = reason.startsWith("bad_token: ");
    return isByMessage ? new TickcastError("bad_token", `the broker refused the token: ${reason.slice("bad_token: ".length)}`, { retry: false })
      : new TickcastError("closed", `the broker closed the connection with ${code}: ${reason}`);
  }

  #end(error, { code, reason }) {
    clearTimeout(this.#timer);
    this.#authentication.stop();
    this.#silence.stop();
    this.#candidate.stop();
    this.#elsewhere.stop();
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
