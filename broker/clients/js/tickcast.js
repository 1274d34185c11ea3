/**
 * Tickcast's client for browsers and Node: subscribe, publish, keep the state of topics, reconnect, resume, and prove
 * by sequence numbers that nothing was missed silently.
 *
 *     import { connect } from "http://127.0.0.1:9000/tickcast.js";
 *     const client = connect();
 *     client.subscribe("stocks.*.quote", ({ topic, state }) => console.log(topic, state));
 *
 * An ES module without dependencies. README.md explains how to use it, tickcast.d.ts lists every option and message,
 * and broker/docs/protocol.md describes the protocol.
 *
 * The life of a message: the Connection's transport receives it, and it goes to Topics. There the Stream of its topic
 * checks that it follows what came before, and applies it to the state; then the Subscriptions that cover the topic get
 * it, and it is dispatched as an event. When a connection is lost, Asking resumes every Stream on the next one, and
 * Answers handles what the broker answers; Backoff decides how soon that is, at
 * which address, and over which transport. Elsewhere looks for a better broker while there is a connection.
 *
 * @module
 */
import { Answers } from "./tickcast/answers.js";
import { Asking } from "./tickcast/asking.js";
import { Connection } from "./tickcast/connection.js";
import { Entries, checkOptions, parseEntry } from "./tickcast/entry.js";
import { TickcastError } from "./tickcast/error.js";
import { withDefaults } from "./tickcast/options.js";
import { Requests } from "./tickcast/requests.js";
import { Subscription, join } from "./tickcast/subscription.js";
import { Topics } from "./tickcast/topics.js";

export { TickcastError } from "./tickcast/error.js";
export { mergePatch } from "./tickcast/merge_patch.js";

/** The default options; `tickcast.d.ts` says what each means. Options without a default are undefined. */
const CLIENT_OPTIONS = {
  token: undefined, WebSocket: undefined, fetch: undefined, transports: ["websocket", "sse"], random: Math.random,
  websocket_again_ms: 5_000, connect_timeout_ms: 5_000, answer_timeout_ms: 30_000, reconnect_first_ms: 250, reconnect_max_ms: 10_000, requests_max: 1_000,
};
const SUBSCRIBE_OPTIONS = { from: "image", conflate_ms: 0, on_slow: "conflate", buffer_max: 1_024 };

/**
 * Connects, and stays connected until `close()`.
 * @param {string | URL | (string | URL)[]} [url] the broker, or several that serve the same topics from one journal; by
 * default the one that served this module
 */
export function connect(url, options = {}) {
  return new Client(url, options);
}

/** An event of the client, with fields of its own besides those of every event. */
class ClientEvent extends Event {
  constructor(type, fields) {
    super(type);
    Object.assign(this, fields);
  }
}

/** A connection to a broker that replaces itself when it is lost, and everything that goes over it. */
export class Client extends EventTarget {
  #connection; #requests; #asking; #answers; #topics;
  #entries = new Entries();

  constructor(url, options) {
    super();
    options = withDefaults(options, CLIENT_OPTIONS, "connect");
    const emit = (type, fields) => this.dispatchEvent(new ClientEvent(type, fields));
    const connection = (this.#connection = new Connection(url, options, {
      emit,
      message: (message) => this.#receive(message),
      opened: () => {
        this.#asking.restore();
        this.#sendAll();
      },
      ready: () => this.#sendAll(),
      away: () => {
        this.#asking.away();
        this.#topics.away();
      },
      answer: (message) => this.#requests.settle(message),
      lost: () => this.#requests.lost(),
      ended: (error) => this.#ended(error),
      resumePoints: () => this.#entries.resumePoints,
      wanted: () => [...this.#entries.keys()],
      freed: () => this.#topics.freed(),
      reached: (id, texts) => this.#answers.reached(id, texts),
      settled: (covers, mentioned) => this.#topics.settled(covers, mentioned),
    }));
    this.#requests = new Requests(options);
    this.#topics = new Topics(connection, this.#entries, (topic) => this.#asking.pending.isLent(topic) || connection.brings(topic),
      (topic, resume) => this.#asking.again(topic, resume), emit);
    this.#asking = new Asking(connection, this.#entries, this.#topics, options, emit);
    this.#answers = new Answers(connection, this.#entries, this.#topics, this.#asking);
    connection.connect();
  }

  /** `connecting`, `open`, `stale` (lost and being reconnected: the data shown is old) or `closed`. */
  get state() { return this.#connection.state; }
  /**
   * Whether the broker of the present connection has said that it is cut off from its journal, so that what it sends may be
   * old. (If there is no connection, `state` says so.)
   */
  get isStale() { return this.#connection.isStale; }
  /** The address of the WebSocket endpoint: of several, the one that is used or tried. */
  get url() { return this.#connection.url; }
  /** The broker's greeting on the current or last connection; null before the first. */
  get hello() { return this.#connection.hello; }
  /** Who this client is for the broker, and what it may: `{sub, allow, expires_ts}`. Null if the broker has not said on this connection. */
  get authenticated() { return this.#connection.authenticated; }
  /** `websocket` or `sse` while open, else null. */
  get transport() { return this.#connection.transport; }

  /** Subscribes to topics and patterns. `handler` gets their messages; without a handler, iterate over the result. */
  subscribe(topics, options = {}, handler = undefined) {
    if (typeof options === "function") [options, handler] = [{}, options];
    if (this.state === "closed") throw new TickcastError("closed", "the client is closed");
    options = withDefaults(options, SUBSCRIBE_OPTIONS, "subscribe");
    checkOptions(options);
    const wanted = (Array.isArray(topics) ? topics : [topics]).map(parseEntry);
    const subscription = new Subscription(wanted.map((entry) => entry.text), options, handler, {
      leave: () => this.#asking.leave(subscription),
      state: (topic) => this.#topics.get(topic)?.state,
      begun: (message) => this.#topics.begun(message),
      known: () => this.#topics.known(subscription, options.from),
      isReady: () => this.#asking.isReady(subscription),
      isAnswered: (topic) => this.#entries.isAnswered(topic),
    });
    this.#topics.join(subscription);
    this.#asking.join(subscription, wanted, options);
    queueMicrotask(() => join(subscription));
    return subscription;
  }

  /** Publishes one update. `data` is any JSON value; a number with more digits than a double is only exact as a string. */
  publish(topic, data, { kind, source, source_seq, source_ts } = {}) {
    if (data === undefined) throw new TypeError("data must be a JSON value, not undefined");
    // With a source the broker recognizes a duplicate, so the update may be sent again.
    return this.#request({ op: "publish", topic, kind, data, source, source_seq, source_ts }, source !== undefined);
  }

  /** Returns the broker's clock, in microseconds since 1970, and the round-trip time in milliseconds. */
  async ping() {
    const asked = performance.now();
    const { ts } = await this.#request({ op: "ping" }, true);
    return { ts, rtt_ms: performance.now() - asked };
  }

  /** Ends the connection and every subscription, for good. */
  close() {
    this.#connection.close();
  }

  async #request(message, again) {
    if (this.state === "closed") throw new TickcastError("closed", "the client is closed");
    const connection = this.#connection;
    const { request, answer } = this.#requests.add({ ...message, id: connection.nextId() }, again);
    if (request && connection.takesRequests) this.#requests.send(request, connection, connection.limits.message_bytes);
    return answer;
  }

  #sendAll() {
    const connection = this.#connection;
    if (connection.takesRequests) this.#requests.sendAll(connection, connection.limits.message_bytes);
  }

  #receive(message) {
    switch (message.op) {
      case "image": case "update": case "patch": case "gap": case "closed": return this.#topics.take(message);
      case "topic": return this.#topics.begin(message);
      case "subscribed": return this.#answers.subscribed(message);
      case "unsubscribed": return this.#answers.unsubscribed(message);
      case "ready": return this.#answers.ready(message);
      case "position": return this.#answers.reached(message.id);
      case "error": return this.#refused(message);
      case "published": case "pong": return this.#requests.settle(message);
      // Other messages are of later versions of the protocol.
    }
  }

  #refused(message) {
    if (this.#requests.settle(message) || this.#answers.refused(message) || this.#answers.revoked(message)) return;
    const { code, message: text, retry, retry_ms } = message;
    this.dispatchEvent(new ClientEvent("error", { error: new TickcastError(code, text, { retry, retry_ms }) }));
  }

  #ended(error) {
    this.#requests.end(error ?? new TickcastError("closed", "the client was closed"));
    this.#asking.away();
    this.#topics.end(error);
    this.#entries.clear();
  }
}
