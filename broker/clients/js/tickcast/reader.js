/**
 * The bounded buffer of a loop that iterates over a subscription.
 *
 * @module
 */
import { lastOf } from "./stream.js";

/** An async iterator with a bounded buffer. */
export class Reader {
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
    // With more topics than the buffer has room for, one or two messages of each remain.
    this.#limit = Math.max(this.#max, 2 * this.#queue.length);
  }

  end(error) {
    this.#ended = true;
    this.#error = error;
    // A program that unsubscribed does not want to read the rest. After an error it may read what had come.
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
 * Condenses a full buffer, as the broker does it for slow clients. It keeps the newest of a topic's states, as an
 * image, and the newest half of the buffer's events, with gaps that name the others.
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
