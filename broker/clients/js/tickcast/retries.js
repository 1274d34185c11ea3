/**
 * What the broker has refused for now, and when it is asked for again. Nothing here does I/O.
 *
 * @module
 */
import { ASKED_MS_MAX } from "./backoff.js";

/** Topics and patterns that the broker has refused for now. All that wait are asked for again together. */
export class Retries {
  #options; #askAgain;
  /** By text: `{code, count}`, the last reason for its refusal, and how often in a row it was refused. */
  #refused = new Map();
  #waiting = new Set();
  #timer = null;
  /** When the timer ends. */
  #due = 0;

  /** `askAgain(texts)` asks for those that have waited long enough. */
  constructor(options, askAgain) {
    [this.#options, this.#askAgain] = [options, askAgain];
  }

  /** How many wait. */
  get size() { return this.#waiting.size; }

  /** Handles a refusal with a code, and perhaps a wait that the broker asks for. Returns whether the code is another than before. */
  refused(text, code, retry_ms = 0) {
    const before = this.#refused.get(text), count = (before?.count ?? 0) + 1;
    this.#refused.set(text, { code, count });
    this.#waiting.add(text);
    const delay = this.#delay(count, retry_ms), due = performance.now() + delay;
    // A wait that the broker asks for holds for everything that is asked for again.
    if (this.#timer === null || (retry_ms > 0 && due > this.#due)) {
      clearTimeout(this.#timer);
      [this.#timer, this.#due] = [setTimeout(() => this.#retry(), delay), due];
    }
    return before?.code !== code;
  }

  /** Records that one is asked for. Returns whether it was waiting. */
  asked(text) {
    const waited = this.#waiting.delete(text);
    if (this.#waiting.size === 0) this.#stop();
    return waited;
  }

  /** Records that one is answered or not wanted any more. Returns whether it was waiting. */
  over(text) {
    this.#refused.delete(text);
    return this.asked(text);
  }

  /** Records that the connection is left. */
  away() {
    this.#refused.clear();
    this.#waiting.clear();
    this.#stop();
  }

  #retry() {
    this.#timer = null;
    const texts = [...this.#waiting];
    this.#waiting.clear();
    this.#askAgain(texts);
  }

  #stop() {
    clearTimeout(this.#timer);
    this.#timer = null;
  }

  /** The waits double up to the longest wait between connections. Half of each is random. */
  #delay(count, retry_ms) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random } = this.#options;
    const wait = (Math.min(max, first * 2 ** (count - 1)) * (1 + random())) / 2;
    const asked = Math.min(Number(retry_ms) || 0, ASKED_MS_MAX);
    return asked > 0 ? asked + wait : wait;
  }
}
