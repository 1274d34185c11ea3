/**
 * Notices that an open connection has gone silent.
 *
 * @module
 */

/** A silent connection is given up after this many of the broker's `heartbeat_ms`, and at least after one plus the slack. */
const SILENCE_HEARTBEATS = 1.5, SILENCE_SLACK_MS = 1_000;
/** How long a broker that is asked whether it is still there may take to answer, or to send anything else. */
const PROBE_MS = 3_000;
/** How many times within that limit a transport may check that the broker is there. */
const CHECKS = 3;

export class Silence {
  #check; #woke; #silent;
  #heartbeat_ms = 0;
  #heardAt = 0;
  /** The id of the question whether the broker is still there, until it is answered; and when it was asked. */
  #probe = null;
  #probedAt = 0;
  #timer;

  /**
   * `check()` is called regularly. `woke()` returns whether the machine slept since the last look, and then asks the
   * broker. `silent(reason)` is called when the connection is to be given up.
   */
  constructor({ check, woke, silent }) {
    [this.#check, this.#woke, this.#silent] = [check, woke, silent];
  }

  /** Whether the broker was asked and has not answered. */
  get isProbing() { return this.#probe !== null; }

  /** Begins to watch a connection whose broker sends something at least every `heartbeat_ms`. */
  start(heartbeat_ms) {
    this.#heartbeat_ms = heartbeat_ms;
    this.#watch();
  }

  stop() {
    clearTimeout(this.#timer);
    this.#probe = null;
  }

  /** Records that a message came. */
  heard() {
    this.#heardAt = performance.now();
  }

  /** Records a sign of life that also answers the question whether the broker is there. */
  alive() {
    this.heard();
    this.#probe = null;
  }

  /** Records that the broker was asked. */
  probed(id) {
    [this.#probe, this.#probedAt] = [id, performance.now()];
    this.#watch();
  }

  /** Handles an answer. */
  answered(id) {
    if (id === this.#probe) this.#probe = null;
  }

  /** Looks how long nothing came. One timer that looks again, rather than one that is reset with every message. */
  #watch() {
    const heartbeat_ms = this.#heartbeat_ms, { isProbing } = this;
    const limit = isProbing ? PROBE_MS : Math.max(SILENCE_HEARTBEATS * heartbeat_ms, heartbeat_ms + SILENCE_SLACK_MS);
    const left = Math.max(this.#heardAt, isProbing ? this.#probedAt : 0) + limit - performance.now();
    clearTimeout(this.#timer);
    if (left <= 0) {
      // Silence during a sleep of the machine is not the broker's: it is asked first.
      if (!isProbing && this.#woke()) return;
      return this.#silent(`nothing came for ${limit} ms`);
    }
    this.#check();
    this.#timer = setTimeout(() => this.#watch(), Math.min(left, limit / CHECKS));
  }
}
