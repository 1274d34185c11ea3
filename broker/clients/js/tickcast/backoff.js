/**
 * When the next attempt to connect follows, at which address, and over which transport. Nothing here does I/O.
 *
 * @module
 */
import { ABNORMAL } from "./transport.js";

const CODE_LATER = 4029;
/** A connection that lasted this long was good: the next wait is short again. */
const STABLE_MS = 5_000;
/** After this many WebSockets in a row to each address that did not open or were cut at once, perhaps the network changed, even if earlier ones were good. */
const BLOCKED_MIN = 3;
/** The longest wait of the broker's that is respected. With a longer one, the client would look dead. */
export const ASKED_MS_MAX = 60_000;

/** Counts failed attempts. */
export class Backoff {
  #options; #addresses;
  /** The index of the present transport. */
  #transportAt = 0;
  /** Whether a WebSocket has ever opened, and how many in a row failed since. */
  #websocketWorked = false;
  #websocketsFailed = 0;
  /** Waits since the last good connection. */
  #attempts = 0;
  /** How many addresses have failed since the last wait or good connection. */
  #failed = 0;
  /** The wait that the broker asked for, or null. */
  #goawayMs = null;
  /** It asked for that because it stops, which concerns no other broker. */
  #isStopping = false;
  /** Whether the last wait was at least as long as the broker asked for. */
  isAsked = false;

  /** After a failure it goes on to the next of the `addresses`. */
  constructor(options, addresses) {
    [this.#options, this.#addresses] = [options, addresses];
  }

  /** The name of the transport in use, or for the next attempt. */
  get transport() { return this.#options.transports[this.#transportAt]; }

  /** Records that a WebSocket took the place of another transport. */
  switched() {
    this.#transportAt = this.#options.transports.indexOf("websocket");
  }

  /** Records that a connection is open over the transport. */
  opened() {
    this.#goawayMs = null;
    if (this.transport === "websocket") this.#websocketWorked = true;
  }

  /** Records that the broker is about to close, perhaps because it stops, and asks for a wait. Returns the wait in ms. */
  goaway(after_ms, isStopping = false) {
    this.#isStopping = isStopping;
    return (this.#goawayMs = Number(after_ms) || 0);
  }

  /**
   * Records that a connection, or an attempt at one, ended with a close code. Chooses the address and the transport, and
   * returns the wait in ms before the next attempt. Unless the broker asked for one, there is none before every address
   * has failed; then it is a random time up to a bound that doubles, so that many clients do not come at once.
   * `lived_ms` is how long the connection was open, or null if it never was. If it was the `token` and not the
   * transport, it says whether the next attempt is to be made `again` at once, at the same address, or `later`.
   */
  next(code, lived_ms, token = null) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random, transports } = this.#options, { size } = this.#addresses;
    if (token !== null) {
      [this.isAsked, this.#goawayMs] = [false, null];
      return token === "again" ? 0 : random() * Math.min(max, first * 2 ** this.#attempts++);
    }
    const stable = lived_ms !== null && lived_ms >= STABLE_MS;
    if (stable) [this.#attempts, this.#failed] = [0, 0];
    let failed = lived_ms === null;
    if (this.transport === "websocket") {
      const cut = !failed && !stable && code === ABNORMAL;
      this.#websocketsFailed = failed || cut ? this.#websocketsFailed + 1 : 0;
      failed = this.#websocketsFailed >= size * (this.#websocketWorked ? BLOCKED_MIN : 1);
    }
    this.#transportAt = failed ? (this.#transportAt + 1) % transports.length : 0;
    this.isAsked = false;
    // After one transport the other is tried at once: together they are one attempt.
    if (this.#transportAt > 0) return 0;
    this.#addresses.advance();
    this.#failed += 1;
    const isLast = this.#failed >= size;
    this.isAsked = code === CODE_LATER || (this.#goawayMs > 0 && (isLast || !this.#isStopping));
    if (!isLast && !this.isAsked) return 0;
    this.#failed = 0;
    const bound = Math.min(max, first * 2 ** this.#attempts++);
    if (this.#goawayMs !== null) {
      const asked = Math.min(this.#goawayMs, ASKED_MS_MAX);
      this.#goawayMs = null;
      return asked + random() * Math.max(asked / 2, first);
    }
    return code === CODE_LATER ? max + random() * max : random() * bound;
  }
}
