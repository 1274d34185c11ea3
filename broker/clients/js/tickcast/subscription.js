/**
 * What a program holds of a subscription, and the bounded buffer of who iterates over one.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { Reader } from "./reader.js";
import { lastOf, matcher } from "./stream.js";

/** Hands a message to a subscription, and returns what was new of it: null where it had all. For the client only. */
export let deliver;
/** Begins a subscription with what is known already of its topics. For the client only. */
export let join;
/**
 * A subscription gets nothing of an entry until `release`, of the entry or for a topic: what comes before the answer is of
 * an earlier request. But what comes by other entries it gets, unless `isFirm`: then it wants something of before, and that
 * comes with the answer. `isHeld` says whether an entry still is, firmly or not. For the client only.
 */
export let hold;
export let release;
export let isHeld;
/** Tells who waits for it where all of a subscription has begun, or nothing of it is left. For the client only. */
export let settle;
/** Tells a subscription that nothing follows, because of an error where there is one. For the client only. */
export let finish;

/** Topics and patterns that somebody wants. `client.subscribe` makes them. */
export class Subscription {
  /** The topics and patterns, as they were subscribed. */
  entries;
  #buffer_max; #handler; #client; #covers;
  /** By topic: `{epoch, seq}` of what came last. Who joins late, or after a reconnect, gets nothing twice. */
  #seen = new Map();
  /** By text: entries of which nothing is delivered yet, `{matches, isFirm}`; but topics of which something is. */
  #held = new Map();
  #released = new Set();
  #readers = new Set();
  #joined = false;
  #ended = false;
  /** Retained updates that were asked for of each topic that there is, until all have begun; then a new topic's come all. */
  #last;
  /** Those who wait until everything has begun: `{resolve, reject}`. */
  #waiting = [];
  /** Why the broker refused an entry for good, the last one. */
  #refusal = null;

  constructor(entries, options, handler, client) {
    this.entries = Object.freeze(entries);
    this.#buffer_max = options.buffer_max;
    this.#handler = handler;
    this.#client = client;
    this.#covers = entries.map(matcher);
    this.#last = options.from?.last ?? null;
  }

  static {
    join = (subscription) => subscription.#join();
    deliver = (subscription, message) => subscription.#deliver(message);
    hold = (subscription, text, isFirm) => subscription.#held.set(text, { matches: matcher(text), isFirm });
    release = (subscription, text) => subscription.#release(text);
    isHeld = (subscription, text, isFirm) => subscription.#held.get(text)?.isFirm === isFirm;
    settle = (subscription) => subscription.#settle();
    finish = (subscription, error) => subscription.#finish(error);
  }

  /** Whether a topic is one of these, or matched by a pattern of these. */
  covers(topic) {
    return this.#covers.some((matches) => matches(topic));
  }

  /** The state of a topic: undefined where there is none, or none is known yet, or the topic is of events. */
  state(topic) {
    return this.#ended || !this.covers(topic) ? undefined : this.#client.state(topic);
  }

  /**
   * Resolves when everything has begun: each topic that there was, by name or pattern, was told, with its image or what was
   * asked for of before. After a lost connection: when everything goes on. Rejects where the subscription ends before, or
   * all of its entries are refused.
   */
  ready() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#settle();
    });
  }

  /** Nothing is delivered any more; the broker is told where nobody else wants the same. */
  unsubscribe() {
    if (this.#ended) return;
    this.#client.leave();
    this.#finish(null);
  }

  /** The messages from here on, the images of what is known first. Several may iterate: each gets all. */
  [Symbol.asyncIterator]() {
    const reader = new Reader(this.#buffer_max, () => this.#readers.delete(reader));
    if (this.#ended) reader.end(null);
    else this.#readers.add(reader);
    // Before that, what is known comes by way of joining.
    if (this.#joined) for (const message of this.#client.known()) if (!this.#isHeld(message)) reader.push(message);
    return reader;
  }

  #join() {
    if (this.#ended) return;
    this.#joined = true;
    for (const message of this.#client.known()) this.#deliver(message);
  }

  #deliver(message) {
    if (this.#ended || this.#isHeld(message)) return null;
    const { op, topic } = message;
    // By the entry that brings it, it began for others before.
    if (op !== "topic" && op !== "closed" && op !== "error" && !this.#seen.has(topic)) this.#hand(this.#client.begun(message));
    return this.#hand(message);
  }

  #hand(message) {
    message = this.#lacking(message);
    if (message === null) return null;
    for (const reader of this.#readers) reader.push(message);
    try {
      this.#handler?.(message, this);
    } catch (error) {
      // As with an event's listener: the program is told, and everybody else goes on.
      queueMicrotask(() => { throw error; });
    }
    return message;
  }

  #release(text) {
    if (this.#held.size === 0) return;
    this.#held.delete(text);
    // By another entry, which still is held, it is not any more.
    if (this.#held.size > 0) this.#released.add(text);
    else this.#released.clear();
  }

  #isHeld({ op, topic }) {
    if (this.#held.size === 0 || op === "error" || this.#released.has(topic)) return false;
    const holding = [...this.#held.values()].filter(({ matches }) => matches(topic));
    if (holding.some(({ isFirm }) => isFirm)) return true;
    // What it has begun to get it goes on getting, even where what brought it is left meanwhile.
    return holding.length > 0 && !this.#seen.has(topic) && !this.#client.isAnswered(topic);
  }

  /** What is new of a message: all, nothing (null), or of a gap a part. */
  #lacking(message) {
    const { op, topic, epoch } = message;
    const seen = this.#seen.get(topic);
    if (op === "error") {
      if (!message.retry) this.#refusal = message;
    } else if (op === "closed") {
      if (!this.#seen.delete(topic)) return null;
    } else if (op === "topic") {
      if (seen?.epoch === epoch) return null;
      this.#seen.set(topic, { epoch, seq: this.#before(message) });
    } else if (seen?.epoch === epoch) {
      if (lastOf(message) <= seen.seq) return null;
      if (op === "gap" && message.from <= seen.seq) message = { ...message, from: seen.seq + 1 };
      seen.seq = lastOf(message);
    } else {
      this.#seen.set(topic, { epoch, seq: lastOf(message) });
    }
    return message;
  }

  /** The update before the first that is wanted of a topic that begins. */
  #before({ kind, start, seq, oldest }) {
    // What was before a live start does not come, even if another subscription asks for it later.
    if (start === "live") return seq;
    if (kind !== "event" || this.#last === null) return 0;
    // Others' wishes may bring more than was asked for here, and tell of more as lost.
    return Math.max(0, seq - this.#last, start === "reset" ? oldest - 1 : 0);
  }

  #settle() {
    const isReady = this.#ended ? null : this.#client.isReady(this);
    if (isReady === false) return;
    if (isReady) this.#last = null;
    for (const { resolve, reject } of this.#waiting.splice(0)) {
      if (isReady) resolve();
      else reject(this.#whyNot());
    }
  }

  #whyNot() {
    if (this.#refusal === null) return new TickcastError("closed", "the subscription ended before everything had begun");
    const { topic, code, message, retry } = this.#refusal;
    return new TickcastError(code, `${topic}: ${message}`, { topic, retry });
  }

  #finish(error) {
    this.#ended = true;
    this.#seen.clear();
    this.#settle();
    for (const reader of this.#readers) reader.end(error);
  }
}
