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
  #urls; #transports;
  /** By address, and there by transport: why its last attempt failed. */
  #reasons = new Map();
  #wasOpen = false;
  #since = null;
  #reported = false;

  /** `urls` are the addresses that are tried, `transports` the names of the transports. */
  constructor(urls, transports) {
    [this.#urls, this.#transports] = [urls, transports];
  }

  /** Records that there is a connection. */
  opened() {
    [this.#wasOpen, this.#since, this.#reported] = [true, null, false];
    this.#reasons.clear();
  }

  /** Records that an attempt at an address failed at the time `now`, in ms. Returns the error to report, or null. */
  failed(url, transport, reason, now) {
    this.#since ??= now;
    if (!this.#reasons.has(url)) this.#reasons.set(url, new Map());
    this.#reasons.get(url).set(transport, reason || "it did not open");
    const isDue = this.#wasOpen ? now - this.#since >= LOST_MS : this.#allFailed;
    if (!isDue || this.#reported) return null;
    this.#reported = true;
    return this.#error(url);
  }

  /** Every address has failed, and every transport. */
  get #allFailed() {
    const tried = [...this.#reasons.values()];
    return this.#urls.every((url) => this.#reasons.has(url)) && this.#transports.every((name) => tried.some((reasons) => reasons.has(name)));
  }

  /** The error; `last` is the address that failed last. */
  #error(last) {
    const url = withoutToken(last), reasons = Object.assign({}, ...[...this.#reasons.values()].map((each) => Object.fromEntries(each)));
    const tried = [...this.#reasons].map(([at, each]) => [withoutToken(at), [...each].map(([transport, reason]) => `${transport}: ${reason}`).join("; ")]);
    const isOne = this.#urls.length === 1;
    const what = isOne ? `the broker at ${url} cannot be reached (${tried[0][1]})`
      : `none of the brokers can be reached: ${tried.map(([at, why]) => `${at} (${why})`).join(", ")}`;
    const perhaps = [`no broker is listening ${isOne ? "there" : "at these addresses"}`, `${isOne ? "the address or the port is" : "the addresses or the ports are"} wrong`,
      ...new Set(this.#urls.flatMap(ofPage)), "the network blocks it"];
    const message = `${what}. Perhaps ${perhaps.slice(0, -1).join(", ")}, or ${perhaps.at(-1)}. The client keeps trying.`;
    return new TickcastError("unreachable", message, { url, reasons });
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
