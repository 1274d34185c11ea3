/**
 * A subscription as a program holds it.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { matcher } from "./patterns.js";
import { Reader } from "./reader.js";
import { lastOf } from "./stream.js";

/** Gives a message to a subscription. Returns its new part, or null if the subscription had all of it. For the client only. */
export let deliver;
/** Begins a subscription with what is already known of its topics. For the client only. */
export let join;
/**
 * Holds an entry: until `release` of the entry or for a topic, the subscription gets nothing of it, because what comes
 * before the answer belongs to an earlier request. It still gets what comes by other entries, unless the hold `isFirm`:
 * then it asked for earlier updates, which come with the answer. `isHeld` returns whether an entry is held, firmly or
 * not. For the client only.
 */
export let hold;
export let release;
export let isHeld;
/** Settles the promises of `ready()` if all of a subscription has begun, or nothing of it is left. For the client only. */
export let settle;
/** Ends a subscription, perhaps because of an error. For the client only. */
export let finish;

/** The topics and patterns that a program wants. Made by `client.subscribe`. */
export class Subscription {
  /** The topics and patterns, as they were subscribed. */
  entries;
  #buffer_max; #handler; #client; #covers;
  /** By topic: `{epoch, seq}` of the last message, so that nothing comes twice after a late join or a reconnect. */
  #seen = new Map();
  /** By text: held entries, `{matches, isFirm}`; and the topics that are released although an entry that covers them is held. */
  #held = new Map();
  #released = new Set();
  #readers = new Set();
  #joined = false;
  #ended = false;
  /** How many retained updates of each existing topic were asked for, until all have begun. Of a topic that is new then, all come. */
  #last;
  /** The pending promises of `ready()`: `{resolve, reject}`. */
  #waiting = [];
  /** The last refusal for good of an entry. */
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

  /** Whether one of the entries is this topic or a pattern that matches it. */
  covers(topic) {
    return this.#covers.some((matches) => matches(topic));
  }

  /** The state of a topic; undefined if it has none or it is not known yet, and for topics of events. */
  state(topic) {
    return this.#ended || !this.covers(topic) ? undefined : this.#client.state(topic);
  }

  /**
   * Resolves when everything has begun: each existing topic, by name or by pattern, has been delivered with its image
   * or the earlier updates that were asked for. After a lost connection, when everything continues. Rejects if the
   * subscription ends before that, or if all of its entries are refused.
   */
  ready() {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#settle();
    });
  }

  /** Ends the subscription. Entries that no other subscription has are unsubscribed at the broker. */
  unsubscribe() {
    if (this.#ended) return;
    this.#client.leave();
    this.#finish(null);
  }

  /** Iterates over the messages from here on, beginning with the images of what is known. Several loops may iterate: each gets all. */
  [Symbol.asyncIterator]() {
    const reader = new Reader(this.#buffer_max, () => this.#readers.delete(reader));
    if (this.#ended) reader.end(null);
    else this.#readers.add(reader);
    // If it has not joined yet, what is known comes when it joins.
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
    // The topic had begun for other subscriptions before, by the entry that brings it.
    if (op !== "topic" && op !== "closed" && op !== "error" && !this.#seen.has(topic)) this.#give(this.#client.begun(message));
    return this.#give(message);
  }

  #give(message) {
    message = this.#lacking(message);
    if (message === null) return null;
    for (const reader of this.#readers) reader.push(message);
    try {
      this.#handler?.(message, this);
    } catch (error) {
      // As in an event's listener: the error is reported, and the others still get the message.
      queueMicrotask(() => { throw error; });
    }
    return message;
  }

  #release(text) {
    if (this.#held.size === 0) return;
    this.#held.delete(text);
    // Another held entry that covers it does not hold it any more.
    if (this.#held.size > 0) this.#released.add(text);
    else this.#released.clear();
  }

  #isHeld({ op, topic }) {
    if (this.#held.size === 0 || op === "error" || this.#released.has(topic)) return false;
    const holding = [...this.#held.values()].filter(({ matches }) => matches(topic));
    if (holding.some(({ isFirm }) => isFirm)) return true;
    // A topic that it has begun to get continues, even if the entry that brought it is left in the meantime.
    return holding.length > 0 && !this.#seen.has(topic) && !this.#client.isAnswered(topic);
  }

  /** The new part of a message: all of it, none (null), or a part of a gap. */
  #lacking(message) {
    const { op, topic, epoch } = message;
    const seen = this.#seen.get(topic);
    if (op === "error") {
      if (!message.retry) {
        this.#refusal = message;
        // If it is allowed again, it begins anew.
        this.#seen.delete(topic);
      }
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

  /** The number of the update before the first that is wanted of a topic that begins. */
  #before({ kind, start, seq, oldest }) {
    // Updates from before a live start are not delivered, even if another subscription asks for them later.
    if (start === "live") return seq;
    if (kind !== "event" || this.#last === null) return 0;
    // Other subscriptions may have asked for more, so more may come, and more may be reported as lost.
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
