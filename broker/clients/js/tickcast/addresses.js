/**
 * The addresses at which a client may connect, and the present one. Nothing here does I/O.
 *
 * @module
 */
import { endpoint } from "./options.js";

export class Addresses {
  #urls;
  #at = 0;

  /**
   * `given` is an address or a list of them. Each client goes through a list in a random order of its own, so that the
   * clients of a broker that ends do not all go to the same other one.
   */
  constructor(given, random) {
    this.#urls = Array.isArray(given) ? shuffled(parsed(given), random) : [endpoint(given)];
  }

  /** The address of the present connection, or of the next attempt. */
  get url() { return this.#urls[this.#at]; }
  get size() { return this.#urls.length; }
  get all() { return [...this.#urls]; }
  /** The others, the next one first. */
  get others() { return [...this.#urls.slice(this.#at + 1), ...this.#urls.slice(0, this.#at)]; }

  /** Goes on to the next address. */
  advance() {
    this.#at = (this.#at + 1) % this.#urls.length;
  }

  /** Goes to this one of the addresses. */
  move(url) {
    this.#at = this.#urls.indexOf(url);
  }
}

/** The endpoints of a list, each once. */
function parsed(given) {
  if (given.length === 0) throw new TypeError("the list of addresses is empty: connect needs at least one, such as ws://127.0.0.1:9000");
  for (const url of given)
    if (typeof url !== "string" && !(url instanceof URL)) throw new TypeError(`an address in a list is a string or a URL, not ${url === null ? null : typeof url}`);
  return [...new Set(given.map(endpoint))];
}

/** `random` may return 1. */
function shuffled(urls, random) {
  for (let last = urls.length - 1; last > 0; last -= 1) {
    const at = Math.min(last, Math.floor(random() * (last + 1)));
    [urls[last], urls[at]] = [urls[at], urls[last]];
  }
  return urls;
}
