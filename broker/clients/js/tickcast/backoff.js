/**
 * When something is tried again: after a connection the next attempt, and over which transport; and what the broker has
 * refused for now. Nothing here does I/O.
 *
 * @module
 */
import { ABNORMAL } from "./transport.js";

const CODE_LATER = 4029;
/** A connection that lived for so long was a good one: the next wait is a short one again. */
const STABLE_MS = 5_000;
/** So many WebSockets in a row that did not open, or were cut at once, where others were fine before: perhaps the network changed. */
const BLOCKED_MIN = 3;
/** A broker may ask for any wait; beyond this a client would look dead. */
const ASKED_MS_MAX = 60_000;

/** Counts what failed. */
export class Backoff {
  #options;
  /** Which of the transports it is. */
  #transportAt = 0;
  /** A WebSocket was good once. Those in a row that were not since. */
  #websocketWorked = false;
  #websocketsFailed = 0;
  /** Attempts since the last good connection. */
  #attempts = 0;
  /** The wait that the broker asked for, or null. */
  #goawayMs = null;
  /** Whether the last wait was at least as long as the broker asked for. */
  isAsked = false;

  constructor(options) {
    this.#options = options;
  }

  /** The name of the transport to take, or that is taken. */
  get transport() { return this.#options.transports[this.#transportAt]; }

  /** A WebSocket took the place of another transport. */
  wentOver() {
    this.#transportAt = this.#options.transports.indexOf("websocket");
  }

  /** A connection is open over the transport. */
  opened() {
    this.#goawayMs = null;
    if (this.transport === "websocket") this.#websocketWorked = true;
  }

  /** The broker is about to close, and asks for a wait. Returns it, as a number of ms. */
  goaway(after_ms) {
    return (this.#goawayMs = Number(after_ms) || 0);
  }

  /**
   * A connection, or an attempt at one, ended with a close code: chooses the transport, and returns the wait in ms before
   * the next attempt. It is any time up to a bound that doubles, so that many clients do not come at once. `lived_ms` is how
   * long the connection was open, null where it never was.
   */
  next(code, lived_ms) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random, transports } = this.#options;
    const stable = lived_ms !== null && lived_ms >= STABLE_MS;
    if (stable) this.#attempts = 0;
    let failed = lived_ms === null;
    if (this.transport === "websocket") {
      const cut = !failed && !stable && code === ABNORMAL;
      this.#websocketsFailed = failed || cut ? this.#websocketsFailed + 1 : 0;
      failed = this.#websocketsFailed >= (this.#websocketWorked ? BLOCKED_MIN : 1);
    }
    this.#transportAt = failed ? (this.#transportAt + 1) % transports.length : 0;
    this.isAsked = false;
    // After one transport the other is tried at once: together they are one attempt.
    if (this.#transportAt > 0) return 0;
    this.isAsked = this.#goawayMs > 0 || code === CODE_LATER;
    const bound = Math.min(max, first * 2 ** this.#attempts++);
    if (this.#goawayMs !== null) {
      const asked = Math.min(this.#goawayMs, ASKED_MS_MAX);
      this.#goawayMs = null;
      return asked + random() * Math.max(asked / 2, first);
    }
    return code === CODE_LATER ? max + random() * max : random() * bound;
  }
}

/** Topics and patterns that the broker has refused for now. All that wait are asked for again together. */
export class Retries {
  #options; #askAgain;
  /** By text: `{code, count}`, why it was refused last and how often in a row. */
  #refused = new Map();
  #waiting = new Set();
  #timer = null;

  /** `askAgain(texts)` asks for what has waited long enough. */
  constructor(options, askAgain) {
    [this.#options, this.#askAgain] = [options, askAgain];
  }

  /** How many wait. */
  get size() { return this.#waiting.size; }

  /** One was refused with a code, perhaps with a wait that the broker asks for. Returns whether that is news. */
  refused(text, code, retry_ms = 0) {
    const before = this.#refused.get(text), count = (before?.count ?? 0) + 1;
    this.#refused.set(text, { code, count });
    this.#waiting.add(text);
    this.#timer ??= setTimeout(() => this.#due(), this.#delay(count, retry_ms));
    return before?.code !== code;
  }

  /** One is asked for. Returns whether it waited. */
  asked(text) {
    const waited = this.#waiting.delete(text);
    if (this.#waiting.size === 0) this.#stop();
    return waited;
  }

  /** One is answered, or nobody wants it any more. Returns whether it waited. */
  over(text) {
    this.#refused.delete(text);
    return this.asked(text);
  }

  /** The connection is left. */
  away() {
    this.#refused.clear();
    this.#waiting.clear();
    this.#stop();
  }

  #due() {
    this.#timer = null;
    const texts = [...this.#waiting];
    this.#waiting.clear();
    this.#askAgain(texts);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The waits double up to the bound of those between connections. Half of each is left to chance. */
  #delay(count, retry_ms) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random } = this.#options;
    const wait = (Math.min(max, first * 2 ** (count - 1)) * (1 + random())) / 2;
    const asked = Math.min(Number(retry_ms) || 0, ASKED_MS_MAX);
    return asked > 0 ? asked + wait : wait;
  }
}
