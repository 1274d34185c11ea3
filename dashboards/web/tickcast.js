/**
 * Tickcast's client for browsers and Node: subscribe, publish, keep the state of topics, reconnect, resume, and prove by
 * sequence numbers that nothing was missed silently.
 *
 *     import { connect } from "http://127.0.0.1:9000/tickcast.js";
 *     const client = connect();
 *     client.subscribe("stocks.*.quote", ({ topic, state }) => console.log(topic, state));
 *
 * An ES module without dependencies. How to use it: README.md beside it; every option and message: tickcast.d.ts; the
 * protocol that it speaks: broker/docs/protocol.md.
 *
 * The life of a message: a transport hands it over; the Client finds the Stream of its topic, which checks that it follows
 * what came before and applies it to the state; the Client hands it to the Subscriptions that cover the topic, and
 * dispatches it as an event. When a connection is lost, the next one asks for every Stream from where it was.
 *
 * @module
 */
import { Candidate } from "./tickcast/candidate.js";
import { Entry, checkOptions, inMessagesOf, parseEntry } from "./tickcast/entry.js";
import { TickcastError } from "./tickcast/error.js";
import { endpoint, withDefaults } from "./tickcast/options.js";
import { Requests } from "./tickcast/requests.js";
import { SseTransport } from "./tickcast/sse.js";
import { Stream } from "./tickcast/stream.js";
import { Subscription, deliver, finish, join } from "./tickcast/subscription.js";
import { WebSocketTransport } from "./tickcast/transport.js";

export { TickcastError } from "./tickcast/error.js";
export { mergePatch } from "./tickcast/stream.js";

/** What a client does unless told otherwise; `tickcast.d.ts` says what each means. Options without a default are undefined. */
const CLIENT_OPTIONS = {
  token: undefined, WebSocket: undefined, fetch: undefined, transports: ["websocket", "sse"], random: Math.random,
  websocket_again_ms: 5_000, connect_timeout_ms: 5_000, answer_timeout_ms: 30_000, reconnect_first_ms: 250, reconnect_max_ms: 10_000, requests_max: 1_000,
};
const SUBSCRIBE_OPTIONS = { from: "image", conflate_ms: 0, on_slow: "conflate", buffer_max: 1_024 };

/** Close codes after which the same client would only be closed again. */
const FINAL_CODES = [1002, 1003, 1007, 1009, 4003];
const CODE_TOKEN = 4001, CODE_LATER = 4029;
/** The code that stands for a connection that ended without one. */
const ABNORMAL = 1006;
const TRANSPORTS = { websocket: WebSocketTransport, sse: SseTransport };
/** A silent connection is given up after twice the broker's `heartbeat_ms` and this. */
const SILENCE_SLACK_MS = 1_000;
/** A connection that lived for so long was a good one: the next wait is a short one again. */
const STABLE_MS = 5_000;
/** So many WebSockets in a row that did not open, or were cut at once, where others were fine before: perhaps the network changed. */
const BLOCKED_MIN = 3;
/** How often is asked whether a broker is there of which nothing is followed, in parts of its patience. */
const CHECKS = 3;
/** A broker may ask for any `after_ms`; beyond this a client would look dead. */
const GOAWAY_MS_MAX = 60_000;
/** More breaches of continuity on one connection, and it is given up. */
const VIOLATIONS_MAX = 5;
/** Larger than any number of retained updates. */
const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
/** Of a name that was waited for: the broker answers a resume from an epoch that never was with all it has. */
const BEFORE_ALL = { epoch: "none", seq: 0 };

/**
 * Connects, and stays connected until `close()`.
 * @param {string | URL} [url] the broker; by default the one that served this module
 */
export function connect(url, options = {}) {
  return new Client(url, options);
}

/** An event of the client, with its fields beside those of every event. */
class ClientEvent extends Event {
  constructor(type, fields) {
    super(type);
    Object.assign(this, fields);
  }
}

/** A connection to a broker that comes back, and everything that goes over it. */
export class Client extends EventTarget {
  #url; #options;
  #state = "connecting";
  #hello = null;
  /** The present connection, or attempt at one; null between them. */
  #transport = null;
  /** Which of the transports it is. */
  #transportAt = 0;
  /** A WebSocket was good once. Those in a row that were not since. */
  #websocketWorked = false;
  #websocketsFailed = 0;
  /** A WebSocket that is tried beside Server-Sent Events. */
  #candidate;
  /** Where Server-Sent Events ended: from there the next ones go on. Null: from before everything. */
  #place = null;
  /** Attempts since the last good connection. */
  #attempts = 0;
  #openedAt = 0;
  #heardAt = 0;
  #goawayMs = null;
  #violations = 0;
  /** Waits for `hello`, watches for silence, or waits for the next attempt: one of these at a time. */
  #timer;
  #lastId = 0;
  #requests;
  /** By id: the `subscribe` messages of this connection without an answer. */
  #asked = new Map();
  #subscriptions = new Set();
  /** By text: the entries that the broker is subscribed to, each for all subscriptions that have it. */
  #entries = new Map();
  /** By topic: what is known of it. */
  #streams = new Map();
  #retryNow = () => this.#transport || this.#connect();

  constructor(url, options) {
    super();
    this.#options = withDefaults(options, CLIENT_OPTIONS, "connect");
    this.#url = endpoint(url);
    const { transports } = this.#options;
    if (transports.length === 0 || !transports.every((name) => Object.hasOwn(TRANSPORTS, name)))
      throw new TypeError(`transports are of ${Object.keys(TRANSPORTS).join(", ")}, not ${JSON.stringify(transports)}`);
    this.#requests = new Requests(this.#options);
    const takeOver = (transport, hello, token) => this.#goOver(transport, hello, token);
    this.#candidate = new Candidate(this.#options, (transport) => this.#openOne(transport), takeOver);
    // The network is back: there is no reason to wait longer.
    globalThis.addEventListener?.("online", this.#retryNow);
    this.#connect();
  }

  /** `connecting`, `open`, `stale` (was open, and is being brought back: what you show is old) or `closed`. */
  get state() { return this.#state; }
  /** The address of the WebSocket endpoint. */
  get url() { return this.#url; }
  /** The broker's greeting on the present or last connection; null before the first. */
  get hello() { return this.#hello; }
  /** `websocket` or `sse` while open, else null. */
  get transport() { return this.#state === "open" ? this.#options.transports[this.#transportAt] : null; }

  /** Subscribes to topics and patterns. `handler` gets their messages; without one, iterate over what this returns. */
  subscribe(topics, options = {}, handler = undefined) {
    if (typeof options === "function") [options, handler] = [{}, options];
    if (this.#state === "closed") throw new TickcastError("closed", "the client is closed");
    options = withDefaults(options, SUBSCRIBE_OPTIONS, "subscribe");
    checkOptions(options);
    const wanted = (Array.isArray(topics) ? topics : [topics]).map(parseEntry);
    const subscription = new Subscription(wanted.map((entry) => entry.text), options, handler, {
      leave: () => this.#leave(subscription),
      state: (topic) => this.#streams.get(topic)?.state,
      known: () => this.#known(subscription, options.from),
    });
    this.#subscriptions.add(subscription);
    for (const stream of this.#streams.values())
      if (subscription.covers(stream.topic)) stream.subscribers = [...stream.subscribers, subscription];

    const items = [];
    for (const { text, resume } of wanted) {
      // What goes on already is joined where it is, unless this subscription wants something of before.
      const special = resume !== null || typeof options.from === "object";
      const known = this.#entries.get(text);
      const entry = known ?? new Entry(text);
      this.#entries.set(text, entry);
      if (!known || (special && !entry.begun)) [entry.from, entry.resume] = [options.from, resume];
      entry.subscribers.set(subscription, options);
      const changed = entry.combine();
      if (!known || special) items.push({ entry, text, resume, from: options.from });
      else if (changed) items.push(this.#continued(entry));
    }
    if (this.#state === "open") this.#ask(items);
    queueMicrotask(() => join(subscription));
    return subscription;
  }

  /** Publishes one update. `data` is any JSON value; beyond a double's digits only strings are exact. */
  publish(topic, data, { kind, source, source_seq, source_ts } = {}) {
    if (data === undefined) throw new TypeError("data is a JSON value, not undefined");
    // With a source the broker knows it when it comes twice, so it may be sent again.
    return this.#request({ op: "publish", topic, kind, data, source, source_seq, source_ts }, source !== undefined);
  }

  /** The broker's clock, in microseconds, and the time that the question took to go there and back. */
  async ping() {
    const asked = performance.now();
    const { ts } = await this.#request({ op: "ping" }, true);
    return { ts, rtt_ms: performance.now() - asked };
  }

  /** Ends the connection and every subscription, for good. */
  close() {
    if (this.#state !== "closed") this.#end(null, { code: 1000, reason: "" });
  }

  // ---- One connection after the other ----

  async #connect() {
    clearTimeout(this.#timer);
    const transport = (this.#transport = new TRANSPORTS[this.#options.transports[this.#transportAt]]());
    const { connect_timeout_ms } = this.#options;
    this.#timer = setTimeout(() => this.#drop(`no hello within ${connect_timeout_ms} ms`), connect_timeout_ms);
    await this.#openOne(transport);
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
        alive: () => { if (current()) this.#heardAt = performance.now(); },
        answer: (message) => this.#requests.settle(message),
        settled: (covers, mentioned) => current() && this.#endUnmentioned(covers, mentioned),
        begun: [...this.#entries.values()].filter((entry) => entry.begun).map((entry) => entry.text),
        place: this.#place,
      });
    } catch (error) {
      fail({ code: ABNORMAL, reason: error.message });
    }
  }

  /** From Server-Sent Events to a WebSocket that has proved good. */
  #goOver(transport, hello, token) {
    const before = this.#transport;
    this.#transport = transport;
    this.#transportAt = this.#options.transports.indexOf("websocket");
    this.#asked.clear();
    for (const stream of this.#streams.values()) stream.resyncing = false;
    this.#heardAt = performance.now();
    before.retire();
    this.#opened(hello, token);
  }

  #receive(text, token) {
    this.#heardAt = performance.now();
    let message;
    try {
      message = JSON.parse(text);
    } catch (error) {
      return this.#drop(`the broker sent what is no JSON: ${error.message}`);
    }
    if (this.#state !== "open") return message.op === "hello" ? this.#opened(message, token) : undefined;
    switch (message.op) {
      case "image": case "update": case "patch": case "gap": case "closed": return this.#take(message);
      case "topic": return this.#begin(message);
      case "subscribed": return this.#subscribed(message);
      case "error": return this.#refused(message);
      case "published": case "pong": return this.#requests.settle(message);
      case "hello":
        this.#hello = message;
        return this.#watch();
      case "goaway":
        this.#goawayMs = Number(message.after_ms) || 0;
        return this.#emit("goaway", { reason: message.reason, after_ms: this.#goawayMs });
      // Others are later versions'.
    }
  }

  #opened(hello, token) {
    const before = this.#state;
    this.#hello = hello;
    this.#state = "open";
    this.#violations = 0;
    this.#goawayMs = null;
    this.#openedAt = performance.now();
    if (this.transport === "websocket") [this.#websocketWorked, this.#place] = [true, null];
    this.#watch();
    // As no broker takes tokens yet, a refused one is told as an error and changes nothing.
    if (token !== undefined) this.#send({ op: "auth", id: ++this.#lastId, token });
    this.#restore();
    this.#requests.sendAll(this.#transport, hello.limits.message_bytes);
    if (before !== "open") this.#emit("statechange", { state: "open" });
    this.#emit("open", { hello, transport: this.transport });
    if (this.transport === "sse" && this.#options.transports.includes("websocket")) this.#candidate.tryLater();
  }

  /** Gives up a connection that is silent. One timer that looks again, rather than one set anew with every message. */
  #watch() {
    const patience = 2 * this.#hello.heartbeat_ms + SILENCE_SLACK_MS;
    const left = this.#heardAt + patience - performance.now();
    clearTimeout(this.#timer);
    if (left <= 0) return this.#drop(`nothing came for ${patience} ms`);
    this.#transport.check?.();
    this.#timer = setTimeout(() => this.#watch(), Math.min(left, patience / CHECKS));
  }

  #send(message) {
    this.#transport?.send(message, JSON.stringify(message));
  }

  /** Ends the connection from here, and goes on as if it had been lost. */
  #drop(reason) {
    const transport = this.#transport;
    this.#lost({ code: ABNORMAL, reason });
    transport.close(true);
  }

  #lost({ code, reason }) {
    clearTimeout(this.#timer);
    this.#candidate.stop();
    const wasOpen = this.#state === "open";
    if (wasOpen) this.#place = this.#transport.place ?? null;
    this.#transport = null;
    this.#asked.clear();
    for (const stream of this.#streams.values()) stream.resyncing = false;
    if (FINAL_CODES.includes(code) || (code === CODE_TOKEN && typeof this.#options.token !== "function"))
      return this.#end(new TickcastError("closed", `the broker closed the connection with ${code}: ${reason}`), { code, reason });
    this.#requests.lost();
    if (wasOpen && performance.now() - this.#openedAt >= STABLE_MS) this.#attempts = 0;
    const delay_ms = this.#delay(code, wasOpen);
    this.#timer = setTimeout(() => this.#connect(), delay_ms);
    if (wasOpen) {
      this.#state = "stale";
      this.#emit("statechange", { state: "stale" });
    }
    this.#emit("close", { code, reason, reconnect: true, delay_ms });
  }

  /** The wait before the next attempt: any time up to a bound that doubles, so that many clients do not come at once. */
  #delay(code, wasOpen) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random, transports } = this.#options;
    let failed = !wasOpen;
    if (transports[this.#transportAt] === "websocket") {
      const cut = wasOpen && code === ABNORMAL && performance.now() - this.#openedAt < STABLE_MS;
      this.#websocketsFailed = failed || cut ? this.#websocketsFailed + 1 : 0;
      failed = this.#websocketsFailed >= (this.#websocketWorked ? BLOCKED_MIN : 1);
    }
    this.#transportAt = failed ? (this.#transportAt + 1) % transports.length : 0;
    // After one transport the other is tried at once: together they are one attempt.
    if (this.#transportAt > 0) return 0;
    const bound = Math.min(max, first * 2 ** this.#attempts++);
    if (this.#goawayMs !== null) {
      const asked = Math.min(this.#goawayMs, GOAWAY_MS_MAX);
      this.#goawayMs = null;
      return asked + random() * Math.max(asked / 2, first);
    }
    return code === CODE_LATER ? max + random() * max : random() * bound;
  }

  #end(error, { code, reason }) {
    clearTimeout(this.#timer);
    this.#candidate.stop();
    globalThis.removeEventListener?.("online", this.#retryNow);
    const transport = this.#transport;
    this.#transport = null;
    this.#state = "closed";
    this.#requests.end(error ?? new TickcastError("closed", "the client was closed"));
    for (const subscription of this.#subscriptions) finish(subscription, error);
    for (const all of [this.#subscriptions, this.#entries, this.#streams]) all.clear();
    transport?.close(false);
    this.#emit("statechange", { state: "closed" });
    if (error) this.#emit("error", { error });
    this.#emit("close", { code, reason, reconnect: false, delay_ms: null });
  }

  #emit(type, fields) {
    this.dispatchEvent(new ClientEvent(type, fields));
  }

  // ---- Requests with an answer ----

  async #request(message, again) {
    if (this.#state === "closed") throw new TickcastError("closed", "the client is closed");
    const { request, answer } = this.#requests.add({ ...message, id: ++this.#lastId }, again);
    if (request && this.#state === "open") this.#requests.send(request, this.#transport, this.#hello.limits.message_bytes);
    return answer;
  }

  #refused(message) {
    if (this.#requests.settle(message)) return;
    const { id, code, message: text, retry } = message, asked = this.#asked.get(id);
    if (!asked) return this.#emit("error", { error: new TickcastError(code, text, { retry }) });
    // Of a `subscribe`: all of its entries.
    this.#subscribed({ id, errors: [...asked.resumes.keys()].map((topic) => ({ topic, code, message: text, retry })) });
  }

  // ---- What the broker is subscribed to ----

  /** Sends `subscribe` for items `{entry, text, resume, from}`: as many messages as their options and sizes need. */
  #ask(items, release = []) {
    const { message_bytes, subscriptions } = this.#hello.limits;
    const groups = new Map();
    for (const item of items) {
      const { entry, text, from } = item, { conflate_ms, on_slow } = entry;
      if (!entry.begun && this.#entries.size > subscriptions) {
        const message = `the broker takes ${subscriptions} topics and patterns of one connection`;
        this.#refuse({ topic: text, code: "limit", message, retry: true });
        continue;
      }
      const options = { from, conflate_ms, on_slow }, key = JSON.stringify(options);
      if (!groups.has(key)) groups.set(key, { options, items: [] });
      groups.get(key).items.push(item);
    }
    const written = ({ text, resume }) => (resume ? { topic: text, ...resume } : text);
    let last;
    for (const { options, items } of groups.values()) {
      for (const part of inMessagesOf(message_bytes, items, written)) {
        const id = ++this.#lastId;
        last = { resumes: new Map(part.map(({ text, resume }) => [text, resume])), release: [] };
        this.#asked.set(id, last);
        this.#send({ op: "subscribe", id, topics: part.map(written), ...options });
      }
    }
    // Answers come in the order of the requests: with the last one all have come.
    if (last) last.release = release;
  }

  #unsubscribe(topics) {
    for (const part of inMessagesOf(this.#hello.limits.message_bytes, topics))
      this.#send({ op: "unsubscribe", id: ++this.#lastId, topics: part });
  }

  /** What to ask for so that an entry goes on where it is. */
  #continued(entry) {
    const { text, from } = entry;
    if (!entry.begun) return { entry, text, resume: entry.resume, from };
    const stream = this.#streams.get(text);
    const resume = entry.pattern ? null : (stream?.position ?? (stream?.waits ? BEFORE_ALL : null));
    return { entry, text, resume, from: entry.pattern ? "image" : from };
  }

  /**
   * On a new connection: asks for everything from where it was. A pattern cannot resume, and topics that it brought in
   * would begin anew. So they are resumed by their names, as far as the broker's limit leaves room, then the pattern is
   * subscribed, and then the names are given up again: the pattern covers them, and their streams go on without a break.
   */
  #restore() {
    if (this.#transport.constructor.repeats) return this.#ask([...this.#entries.values()].map((entry) => this.#continued(entry)));
    const entries = [...this.#entries.values()], patterns = entries.filter((entry) => entry.pattern);
    const isBrought = ({ topic, position }) => position && !this.#entries.has(topic) && this.#patternOf(topic);
    const brought = [...this.#streams.values()].filter(isBrought);
    // Events first: of the others the image says everything.
    brought.sort((one, other) => (other.kind === "event") - (one.kind === "event"));
    const resumed = brought.splice(0, Math.max(0, this.#hello.limits.subscriptions - entries.length));
    // What cannot be resumed begins anew. Until then its state is unknown, as it may have ended meanwhile.
    for (const stream of brought) stream.state = undefined;
    const byName = entries.filter((entry) => !entry.pattern).map((entry) => this.#continued(entry));
    for (const stream of resumed) {
      const { topic, position } = stream;
      byName.push({ entry: this.#patternOf(topic), text: topic, resume: position, from: "image" });
    }
    // All names before all patterns, which would bring in what is about to be resumed.
    this.#ask(byName);
    this.#ask(patterns.map((entry) => {
      const item = this.#continued(entry);
      // A topic that a pattern finds for the first time now is a new one, and all of it belongs to the subscription; but
      // only if it had brought in all of its topics before, and all of those are resumed.
      const known = [...this.#streams.keys()].filter(entry.matches).length;
      if (entry.begun) item.from = brought.length === 0 && known >= entry.matched ? EVERYTHING : entry.from;
      return item;
    }), resumed.map((stream) => stream.topic));
  }

  /** A pattern that brings in a topic. */
  #patternOf(topic) {
    return [...this.#entries.values()].find((entry) => entry.pattern && entry.matches(topic));
  }

  #subscribed({ id, topics = [], patterns = [], errors = [] }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    for (const row of topics) this.#begin(row, asked?.resumes.get(row.topic), true);
    for (const { pattern, matched } of patterns) {
      const entry = this.#entries.get(pattern);
      if (entry) [entry.begun, entry.matched] = [true, matched];
    }
    for (const row of errors) this.#refuse(row);
    this.#unsubscribe((asked?.release ?? []).filter((topic) => !this.#entries.has(topic)));
  }

  /** An entry is refused: whoever has it is told, and it is forgotten. */
  #refuse({ topic, code, message, retry }) {
    const entry = this.#entries.get(topic);
    if (!entry) return;
    this.#entries.delete(topic);
    for (const subscription of entry.subscribers.keys()) deliver(subscription, { op: "error", topic, code, message, retry });
    this.#emit("error", { error: new TickcastError(code, `${topic}: ${message}`, { topic, retry }) });
  }

  #leave(subscription) {
    this.#subscriptions.delete(subscription);
    const given = [], items = [];
    for (const text of subscription.entries) {
      const entry = this.#entries.get(text);
      if (!entry?.subscribers.delete(subscription)) continue;
      if (entry.subscribers.size === 0) {
        this.#entries.delete(text);
        given.push(text);
      } else if (entry.combine()) {
        items.push(this.#continued(entry));
      }
    }
    for (const stream of this.#streams.values()) {
      stream.subscribers = stream.subscribers.filter((other) => other !== subscription);
      this.#forgetUnwanted(stream);
    }
    if (this.#state !== "open") return;
    this.#unsubscribe(given);
    this.#ask(items);
  }

  /** Forgets a topic that nobody wants, or that ended and that a pattern will bring in anew. */
  #forgetUnwanted(stream) {
    const { topic, subscribers, waits } = stream;
    if (subscribers.length === 0 || (waits && !this.#entries.has(topic))) this.#streams.delete(topic);
  }

  // ---- What comes of topics ----

  /** A topic's stream, made where somebody wants the topic. */
  #streamOf(topic) {
    const known = this.#streams.get(topic);
    if (known) return known;
    const subscribers = [...this.#subscriptions].filter((subscription) => subscription.covers(topic));
    // Of what was given up something may still be on its way.
    if (subscribers.length === 0) return undefined;
    const stream = new Stream(topic, subscribers);
    this.#streams.set(topic, stream);
    return stream;
  }

  /** A topic begins: by a row of an answer, or by a `topic` message. */
  #begin(row, asked = null, isAnswer = false) {
    const { topic, epoch } = row, stream = this.#streamOf(topic);
    if (!stream || (stream.resyncing && !isAnswer)) return;
    const entry = this.#entries.get(topic);
    asked ??= (isAnswer && !entry?.begun && entry?.resume) || null;
    if (entry && isAnswer) entry.begun = true;
    // By another entry it has begun, and goes on.
    if (row.start === "joined") return;
    stream.resyncing = false;
    const lived = !stream.waits;
    const wrong = stream.begin(row, asked, this.#transport.constructor.repeats);
    if (wrong !== null) return this.#violated(stream, wrong, row);
    // It ended while we were away.
    if (epoch === null && lived) this.#hand(stream, { op: "closed", topic });
    this.#hand(stream, { ...row, op: "topic" });
    const lost = stream.lostBefore();
    if (lost) this.#hand(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    this.#forgetUnwanted(stream);
  }

  #take(message) {
    const { op, topic } = message, stream = this.#streamOf(topic);
    if (!stream || stream.resyncing) return;
    if (this.#transport.constructor.repeats) message = stream.lacking(message);
    if (message === null) return;
    const lost = stream.lostBefore(message);
    const wrong = stream.take(message);
    if (wrong !== null) return this.#violated(stream, wrong, message);
    if (lost) this.#hand(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    this.#hand(stream, message);
    if (op === "closed") this.#ended(stream);
  }

  #ended(stream) {
    const { topic } = stream;
    for (const entry of this.#entries.values()) if (entry.pattern && entry.matches(topic)) entry.matched -= 1;
    this.#forgetUnwanted(stream);
  }

  /** Of a pattern's topics a stream that goes on mentions those that there are. */
  #endUnmentioned(covers, mentioned) {
    for (const stream of [...this.#streams.values()]) {
      const { topic } = stream;
      if (stream.waits || mentioned.has(topic) || !covers(topic)) continue;
      stream.end();
      this.#hand(stream, { op: "closed", topic });
      this.#ended(stream);
    }
  }

  #hand(stream, message) {
    if (message.op !== "topic") message.epoch = stream.epoch;
    if (stream.state !== undefined) message.state = stream.state;
    for (const subscription of stream.subscribers) deliver(subscription, message);
    this.#emit("message", { data: message });
    const { op, topic, epoch, from, to, reason } = message;
    if (op === "gap") this.#emit("gap", { topic, epoch, from, to, reason });
  }

  /** The broker broke its promise of continuity: the topic begins anew, events where they were, others with their image. */
  #violated(stream, wrong, message) {
    const { topic, kind, epoch, position } = stream;
    const fields = { topic, epoch, position, received: message };
    stream.resyncing = true;
    this.#emit("error", { error: new TickcastError("continuity", `${topic}: ${wrong}`, fields) });
    if (this.#state !== "open") return;
    if (++this.#violations > VIOLATIONS_MAX || this.#transport.constructor.repeats) return this.#drop(`${this.#violations} breaches of continuity`);
    const named = this.#entries.get(topic), entry = named ?? this.#patternOf(topic);
    const resume = kind === "event" ? position : null;
    if (entry) this.#ask([{ entry, text: topic, resume, from: "image" }], named ? [] : [topic]);
  }

  /** What is known of a subscription's topics, for who joins what goes on already. */
  #known(subscription, from) {
    if (typeof from === "object") return [];
    const known = [...this.#streams.values()].filter((stream) => subscription.covers(stream.topic));
    return known.flatMap((stream) => stream.joined()).filter(({ op }) => op === "topic" || from === "image");
  }
}
