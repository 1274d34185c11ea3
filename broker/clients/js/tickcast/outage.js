/**
 * The error that a program gets when no connection can be made, and when it gets it. Nothing here does I/O.
 *
 * A browser hides from a page why a connection failed: a refused origin, a wrong port and a broker that is not running
 * look the same. So the error names the address and the possible reasons.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { withoutToken } from "./options.js";

/** A client that was connected reports the outage after this time. A broker that restarts is back sooner. */
const LOST_MS = 10_000;

/** Collects what failed since there was a connection, and makes one error of it per outage. */
export class Outage {
  #url; #transports;
  /** By transport: why its last attempt failed. */
  #reasons = new Map();
  #wasOpen = false;
  #since = null;
  #reported = false;

  /** `transports` are the names of the transports that are tried. */
  constructor(url, transports) {
    [this.#url, this.#transports] = [withoutToken(url), transports];
  }

  /** Records that there is a connection. */
  opened() {
    [this.#wasOpen, this.#since, this.#reported] = [true, null, false];
    this.#reasons.clear();
  }

  /** Records that an attempt failed at the time `now`, in ms. Returns the error to report, or null. */
  failed(transport, reason, now) {
    this.#since ??= now;
    this.#reasons.set(transport, reason || "it did not open");
    const isDue = this.#wasOpen ? now - this.#since >= LOST_MS : this.#transports.every((name) => this.#reasons.has(name));
    if (!isDue || this.#reported) return null;
    this.#reported = true;
    return this.#error();
  }

  #error() {
    const reasons = Object.fromEntries(this.#reasons);
    const tried = Object.entries(reasons).map(([transport, reason]) => `${transport}: ${reason}`).join("; ");
    const perhaps = ["no broker is listening there", "the address or the port is wrong", ...ofPage(this.#url), "the network blocks it"];
    const message = `the broker at ${this.#url} cannot be reached (${tried}). Perhaps ${perhaps.slice(0, -1).join(", ")}, or ${perhaps.at(-1)}. The client keeps trying.`;
    return new TickcastError("unreachable", message, { url: this.#url, reasons });
  }
}

/** Reasons that concern pages, and no other programs. */
function ofPage(url) {
  const page = globalThis.location, broker = new URL(url);
  if (page?.origin === undefined) return [];
  const reasons = [];
  if (page.host !== broker.host) reasons.push(`the broker does not allow pages of ${page.origin} (see its setting allow_origin)`);
  if (page.protocol === "https:" && broker.protocol === "ws:") reasons.push("the browser only lets a page loaded over https connect to wss");
  return reasons;
}
