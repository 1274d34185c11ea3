/**
 * Who the client is for the broker: it sends the token, renews it before it ends, and decides what follows when the
 * broker refuses it.
 *
 * A refused token is asked for once more, at once. If that one is refused as well, there is no third: neither the broker
 * nor whoever issues the tokens is asked in a loop.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { Token } from "./token.js";

/** A connection that was authenticated and then refused before this time is not replaced at once. */
const STABLE_MS = 5_000;

export class Authentication {
  #token; #options; #nextId; #send; #emit;
  /** The id of the `auth` without an answer, or null; and whether it renews. */
  #asked = null;
  #renews = false;
  /** Refusals in a row: since the broker last accepted a token. */
  #refusals = 0;
  /** Whether a failure of the function was reported. */
  #failureReported = false;
  /** `{sub, allow, expires_ts}`, or null if the broker has not said. */
  who = null;
  /** When the broker accepted the token of this connection. */
  #acceptedAt = null;
  /** Counts renewals, so that the token of an earlier one is not used. */
  #renewal = 0;
  /** The function is being asked for a renewal. */
  #isAsking = false;
  #timer;

  /** `send(message)` sends a message, or gives the transport its new token; `emit` dispatches the client's events. */
  constructor(options, { nextId, send, emit }) {
    [this.#options, this.#nextId, this.#send, this.#emit] = [options, nextId, send, emit];
    this.#token = new Token(options.token);
  }

  /** Whether the first token of the connection has no answer. */
  get isPending() { return this.#asked !== null && !this.#renews; }

  /** Asks the program for the token of another attempt to connect. Undefined if it has none. */
  async ask() {
    try {
      const token = await this.#token.ask();
      this.#failureReported = false;
      return token;
    } catch (error) {
      this.#reportFailure(error);
      throw error;
    }
  }

  /** A reason without the token. */
  hide(reason) {
    return this.#token.hide(reason);
  }

  /** The message that authenticates a connection, if the broker of this `hello` knows tokens and there is one; else null. */
  request(hello, token) {
    return token !== undefined && hello.features?.includes("auth") ? { op: "auth", id: this.#nextId(), token } : null;
  }

  /** Records that a connection is open, and that this request was sent over it. */
  opened(request) {
    this.stop();
    [this.who, this.#acceptedAt] = [null, null];
    [this.#asked, this.#renews] = [request?.id ?? null, false];
  }

  /** Handles `authenticated`. Over Server-Sent Events each stream begins with one. */
  accepted({ id, sub, allow, expires_ts }) {
    if (id !== undefined && id === this.#asked) this.#asked = null;
    this.#refusals = 0;
    this.#acceptedAt ??= performance.now();
    const who = { sub, allow, expires_ts };
    if (JSON.stringify(who) === JSON.stringify(this.who)) return;
    this.who = who;
    this.#emit("authenticated", who);
  }

  /**
   * Handles an error. Returns `mine` if it answers a renewal and is dealt with, `refused` if the broker takes no request
   * of this connection without another token, `later` if it cannot tell at present, or null if it is no matter of tokens.
   */
  error({ id, code, message, retry_ms }) {
    const isAnswer = id !== undefined && id === this.#asked;
    if (!isAnswer) return code === "bad_token" && this.who === null ? "refused" : null;
    this.#asked = null;
    if (!this.#renews) return code === "bad_token" || code === "forbidden" ? "refused" : "later";
    // The connection stays as it is, with the token that it has, until that one ends.
    if (code === "bad_token" && this.#refusals === 0) {
      this.#refusals = 1;
      this.#renew();
    } else if (code === "bad_token" || code === "forbidden") {
      this.#refusals = 0;
      this.#emit("error", { error: new TickcastError(code, `the new token was refused: ${this.hide(String(message))}`, { retry: false }) });
    } else {
      this.#renewLater(1, Number(retry_ms) || 0);
    }
    return "mine";
  }

  /** The broker says that the token ends soon: over Server-Sent Events on every stream, and one token is for all. */
  renew() {
    if (this.#token.canChange && !this.#isAsking) this.#renew();
  }

  /** Records that the broker refused the token. Returns what follows: `again` at once, `later`, or `never`. */
  refused() {
    const isStable = this.#acceptedAt === null || performance.now() - this.#acceptedAt >= STABLE_MS;
    this.#refusals += 1;
    return !this.#token.canChange || this.#refusals > 1 ? "never" : isStable ? "again" : "later";
  }

  /** Records that the connection is left. */
  stop() {
    clearTimeout(this.#timer);
    this.#renewal += 1;
    [this.#asked, this.#renews, this.#isAsking] = [null, false, false];
  }

  async #renew(attempts = 0) {
    clearTimeout(this.#timer);
    const number = ++this.#renewal;
    this.#isAsking = true;
    try {
      const token = await this.ask();
      if (number !== this.#renewal) return;
      this.#isAsking = false;
      if (token === undefined) return;
      const request = { op: "auth", id: this.#nextId(), token };
      [this.#asked, this.#renews] = [request.id, true];
      // A transport that renews by itself shows how it went: by its streams, or their end.
      if (!this.#send(request)) this.#asked = null;
    } catch {
      if (number === this.#renewal) this.#renewLater(attempts + 1, 0);
    }
  }

  #renewLater(attempts, asked_ms) {
    const { reconnect_first_ms: first, reconnect_max_ms: max, random } = this.#options;
    const wait_ms = (Math.min(max, first * 2 ** (attempts - 1)) * (1 + random())) / 2;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(attempts), asked_ms + wait_ms);
  }

  /** Once, until the function works again. */
  #reportFailure(error) {
    if (!this.#failureReported) this.#emit("error", { error });
    this.#failureReported = true;
  }
}
