/**
 * When no connection comes to be: what a program is told of it, and when. Nothing here does I/O.
 *
 * A browser hides from a page why a connection failed: a refused origin, a wrong port and a broker that does not run look
 * the same. So the error names the address, and what may be the reason.
 *
 * @module
 */
import { TickcastError } from "./error.js";

/** A client that was connected says so when it could not come back for so long; a broker that restarts is back sooner. */
const LOST_MS = 10_000;

/** Counts what failed since there was a connection, and makes one error of it: the first of an outage, and no other. */
export class Outage {
  #url; #transports;
  /** By transport: why its last attempt failed. */
  #reasons = new Map();
  #wasOpen = false;
  #since = null;
  #told = false;

  /** `transports` are the names of those that are tried. */
  constructor(url, transports) {
    [this.#url, this.#transports] = [url, transports];
  }

  /** There is a connection. */
  opened() {
    [this.#wasOpen, this.#since, this.#told] = [true, null, false];
    this.#reasons.clear();
  }

  /** An attempt failed at a time in ms. Returns the error to tell, or null. */
  failed(transport, reason, now) {
    this.#since ??= now;
    this.#reasons.set(transport, reason || "it did not open");
    const isDue = this.#wasOpen ? now - this.#since >= LOST_MS : this.#transports.every((name) => this.#reasons.has(name));
    if (!isDue || this.#told) return null;
    this.#told = true;
    return this.#error();
  }

  #error() {
    const reasons = Object.fromEntries(this.#reasons);
    const tried = Object.entries(reasons).map(([transport, reason]) => `${transport}: ${reason}`).join("; ");
    const perhaps = ["no broker listens there", "the address or the port is wrong", ...ofPage(this.#url), "the network stops it"];
    const message = `the broker at ${this.#url} cannot be reached (${tried}). Perhaps ${perhaps.slice(0, -1).join(", ")}, or ${perhaps.at(-1)}. The client goes on trying.`;
    return new TickcastError("unreachable", message, { url: this.#url, reasons });
  }
}

/** What stops a page, and no other program. */
function ofPage(url) {
  const page = globalThis.location, broker = new URL(url);
  if (page?.origin === undefined) return [];
  const reasons = [];
  if (page.host !== broker.host) reasons.push(`the broker does not allow pages of ${page.origin} (its setting allow_origin)`);
  if (page.protocol === "https:" && broker.protocol === "ws:") reasons.push("the browser lets a page that came by https connect to wss only");
  return reasons;
}
