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
 * The life of a message: the Connection's transport hands it over, and it comes to Topics. There the Stream of its topic
 * checks that it follows what came before and applies it to the state; then the Subscriptions that cover the topic get
 * it, and it is dispatched as an event. When a connection is lost, Asking asks on the next one for every Stream from where
 * it was; how soon that is, and over which transport, is Backoff's.
 *
 * @module
 */
import { Asking } from "./tickcast/asking.js";
import { Connection } from "./tickcast/connection.js";
import { Entries, checkOptions, parseEntry } from "./tickcast/entry.js";
import { TickcastError } from "./tickcast/error.js";
import { withDefaults } from "./tickcast/options.js";
import { Requests } from "./tickcast/requests.js";
import { Subscription, join } from "./tickcast/subscription.js";
import { Topics } from "./tickcast/topics.js";

export { TickcastError } from "./tickcast/error.js";
export { mergePatch } from "./tickcast/stream.js";

/** What a client does unless told otherwise; `tickcast.d.ts` says what each means. Options without a default are undefined. */
const CLIENT_OPTIONS = {
  token: undefined, WebSocket: undefined, fetch: undefined, transports: ["websocket", "sse"], random: Math.random,
  websocket_again_ms: 5_000, connect_timeout_ms: 5_000, answer_timeout_ms: 30_000, reconnect_first_ms: 250, reconnect_max_ms: 10_000, requests_max: 1_000,
};
const SUBSCRIBE_OPTIONS = { from: "image", conflate_ms: 0, on_slow: "conflate", buffer_max: 1_024 };

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
  #connection; #requests; #asking; #topics;
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
        this.#requests.sendAll(connection, connection.limits.message_bytes);
      },
      away: () => {
        this.#asking.away();
        this.#topics.away();
      },
      answer: (message) => this.#requests.settle(message),
      lost: () => this.#requests.lost(),
      ended: (error) => this.#ended(error),
      places: () => this.#entries.places,
      reached: (id, texts) => this.#asking.reached(id, texts),
      settled: (covers, mentioned) => this.#topics.settled(covers, mentioned),
    }));
    this.#requests = new Requests(options);
    this.#topics = new Topics(connection, this.#entries, (topic, resume) => this.#asking.again(topic, resume), emit);
    this.#asking = new Asking(connection, this.#entries, this.#topics, options, emit);
    connection.connect();
  }

  /** `connecting`, `open`, `stale` (was open, and is being brought back: what you show is old) or `closed`. */
  get state() { return this.#connection.state; }
  /** The address of the WebSocket endpoint. */
  get url() { return this.#connection.url; }
  /** The broker's greeting on the present or last connection; null before the first. */
  get hello() { return this.#connection.hello; }
  /** `websocket` or `sse` while open, else null. */
  get transport() { return this.#connection.transport; }

  /** Subscribes to topics and patterns. `handler` gets their messages; without one, iterate over what this returns. */
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
    this.#connection.close();
  }

  async #request(message, again) {
    if (this.state === "closed") throw new TickcastError("closed", "the client is closed");
    const connection = this.#connection;
    const { request, answer } = this.#requests.add({ ...message, id: connection.nextId() }, again);
    if (request && connection.isOpen) this.#requests.send(request, connection, connection.limits.message_bytes);
    return answer;
  }

  #receive(message) {
    switch (message.op) {
      case "image": case "update": case "patch": case "gap": case "closed": return this.#topics.take(message);
      case "topic": return this.#topics.begin(message);
      case "subscribed": return this.#asking.subscribed(message);
      case "unsubscribed": return this.#asking.unsubscribed(message);
      case "ready": return this.#asking.ready(message);
      case "position": return this.#asking.reached(message.id);
      case "error": return this.#refused(message);
      case "published": case "pong": return this.#requests.settle(message);
      // Others are later versions'.
    }
  }

  #refused(message) {
    if (this.#requests.settle(message) || this.#asking.refused(message)) return;
    const { code, message: text, retry } = message;
    this.dispatchEvent(new ClientEvent("error", { error: new TickcastError(code, text, { retry }) }));
  }

  #ended(error) {
    this.#requests.end(error ?? new TickcastError("closed", "the client was closed"));
    this.#asking.away();
    this.#topics.end(error);
    this.#entries.clear();
  }
}
