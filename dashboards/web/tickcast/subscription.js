/**
 * What a program holds of a subscription, and the bounded buffer of who iterates over one.
 *
 * @module
 */
import { lastOf, matcher } from "./stream.js";

/** Hands a message to a subscription, unless it had it already. For the client only. */
export let deliver;
/** Begins a subscription with what is known already of its topics. For the client only. */
export let join;
/** Tells a subscription that nothing follows, because of an error where there is one. For the client only. */
export let finish;

/** Topics and patterns that somebody wants. `client.subscribe` makes them. */
export class Subscription {
  /** The topics and patterns, as they were subscribed. */
  entries;
  #buffer_max; #handler; #client; #covers;
  /** By topic: `{epoch, seq}` of what came last. Who joins late, or after a reconnect, gets nothing twice. */
  #seen = new Map();
  #readers = new Set();
  #joined = false;
  #ended = false;

  constructor(entries, options, handler, client) {
    this.entries = Object.freeze(entries);
    this.#buffer_max = options.buffer_max;
    this.#handler = handler;
    this.#client = client;
    this.#covers = entries.map(matcher);
  }

  static {
    join = (subscription) => subscription.#join();
    deliver = (subscription, message) => subscription.#deliver(message);
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
    if (this.#joined) for (const message of this.#client.known()) reader.push(message);
    return reader;
  }

  #join() {
    if (this.#ended) return;
    this.#joined = true;
    for (const message of this.#client.known()) this.#deliver(message);
  }

  #deliver(message) {
    if (this.#ended || !this.#isNew(message)) return;
    for (const reader of this.#readers) reader.push(message);
    try {
      this.#handler?.(message, this);
    } catch (error) {
      // As with an event's listener: the program is told, and everybody else goes on.
      queueMicrotask(() => { throw error; });
    }
  }

  #isNew(message) {
    const { op, topic, epoch } = message;
    const seen = this.#seen.get(topic);
    if (op === "error") return true;
    if (op === "closed") return this.#seen.delete(topic) || true;
    if (op === "topic") {
      if (seen?.epoch === epoch) return false;
      // What was before a live start does not come, even if another subscription asks for it later.
      this.#seen.set(topic, { epoch, seq: message.start === "live" ? message.seq : 0 });
    } else if (seen?.epoch === epoch) {
      if (lastOf(message) <= seen.seq) return false;
      seen.seq = lastOf(message);
    } else {
      this.#seen.set(topic, { epoch, seq: lastOf(message) });
    }
    return true;
  }

  #finish(error) {
    this.#ended = true;
    this.#seen.clear();
    for (const reader of this.#readers) reader.end(error);
  }
}

/** An async iterator with a bounded buffer. */
class Reader {
  #queue = [];
  #waiting = [];
  #ended = false;
  #error = null;
  #leave; #max; #limit;

  constructor(max, leave) {
    this.#max = this.#limit = Math.max(2, max);
    this.#leave = leave;
  }

  push(message) {
    const waiting = this.#waiting.shift();
    if (waiting) return waiting.resolve({ value: message, done: false });
    this.#queue.push(message);
    if (this.#queue.length <= this.#limit) return;
    this.#queue = condense(this.#queue, this.#max);
    // With more topics than the buffer has places, one or two messages of each remain.
    this.#limit = Math.max(this.#max, 2 * this.#queue.length);
  }

  end(error) {
    this.#ended = true;
    this.#error = error;
    // What a program left, it does not want to read; after an error it may read what had come.
    if (error === null) this.#queue = [];
    for (const waiting of this.#waiting.splice(0)) this.#finish(waiting);
  }

  next() {
    return new Promise((resolve, reject) => {
      if (this.#queue.length > 0) resolve({ value: this.#queue.shift(), done: false });
      else if (this.#ended) this.#finish({ resolve, reject });
      else this.#waiting.push({ resolve, reject });
    });
  }

  /** `break` ends the iteration, not the subscription. */
  async return(value) {
    this.#leave();
    this.end(null);
    return { value, done: true };
  }

  [Symbol.asyncIterator]() {
    return this;
  }

  #finish({ resolve, reject }) {
    const error = this.#error;
    this.#error = null;
    if (error) reject(error);
    else resolve({ value: undefined, done: true });
  }
}

/**
 * What stands for a full buffer, as the broker does it for slow clients: of a topic's states the newest, as an image; of
 * events the newest half of the buffer, and gaps that name the others.
 */
function condense(queue, max) {
  const cut = queue.length - Math.floor(max / 2);
  const newest = new Map();
  const isState = (message) => message.state !== undefined;
  const isSign = ({ op }) => op === "topic" || op === "closed" || op === "error";
  const what = (message) => `${isSign(message) ? "sign" : isState(message) ? "state" : "event"} ${message.topic}`;
  queue.forEach((message, at) => newest.set(what(message), at));
  const gaps = new Map(), condensed = [];
  queue.forEach((message, at) => {
    const { topic, epoch, ts, state } = message;
    if (isSign(message)) {
      if (newest.get(what(message)) === at) condensed.push(message);
    } else if (isState(message)) {
      if (newest.get(what(message)) === at) condensed.push({ op: "image", topic, epoch, seq: message.seq, ts, data: state, state });
    } else if (at >= cut) {
      condensed.push(message);
    } else {
      const key = `${topic} ${epoch}`;
      let gap = gaps.get(key);
      if (!gap) {
        gap = { op: "gap", topic, epoch, from: message.from ?? message.seq, to: 0, reason: "reader" };
        gaps.set(key, gap);
        condensed.push(gap);
      }
      gap.to = lastOf(message);
    }
  });
  return condensed;
}
