/**
 * Looks for a better broker at the other addresses, beside the present connection: when the broker says that it is cut
 * off from its journal, so that what it sends may be old, and when it is about to stop.
 *
 * Each other address is tried once, over the transport in use, until a broker is not stale itself: it takes over. If
 * there is none, the present connection stays.
 *
 * @module
 */

/**
 * Clients begin to look at a random moment within this time, because a journal that is away concerns all brokers and all
 * clients at once, and is mostly back soon.
 */
const SPREAD_MS = 2_000;
/** How many messages about its token are kept. */
const MESSAGES_MAX = 8;
const CODE_TOKEN = 4001;

export class Elsewhere {
  #options; #addresses; #listener;
  /** The broker of the present connection has said that what it sends may be old. */
  isStale = false;
  /** The addresses that are still to be tried. Null if it does not look. */
  #left = null;
  /** The connection that is tried, and its address. */
  #transport = null;
  #url = null;
  /** Its greeting, the request for authentication, and what the broker said about that. */
  #hello = null;
  #sent = null;
  #messages = [];
  /** The id of the question whether the broker is stale. */
  #asked = null;
  #timer;

  /**
   * `listener` has `make()`, which returns a transport; `open(transport, url)`, which opens it, so that `heard` and
   * `failed` are called; `request(hello, token)`, which makes the request for authentication, or null; `nextId()`;
   * `takeOver(url, transport, hello, request, messages)`, which gets a better one; and `emit(type, fields)`.
   */
  constructor(options, addresses, listener) {
    [this.#options, this.#addresses, this.#listener] = [options, addresses, listener];
  }

  is(transport) {
    return this.#transport === transport;
  }

  /** The broker is cut off from its journal since then. */
  stale(since) {
    // Over Server-Sent Events every stream says so.
    if (this.isStale) return;
    this.isStale = true;
    this.#listener.emit("stale", { since });
    this.#look(SPREAD_MS);
  }

  /** The broker is not cut off any more. */
  fresh() {
    if (!this.isStale) return;
    this.stop();
    this.#listener.emit("fresh", {});
  }

  /** The broker is going to close the connection after this time. */
  leaving(after_ms) {
    this.#look(Math.min(SPREAD_MS, after_ms / 2));
  }

  /** Records that the connection is left. */
  stop() {
    this.isStale = false;
    this.#left = null;
    this.#drop();
  }

  /** Handles a message of the connection that is tried. */
  heard(transport, text, token) {
    if (!this.is(transport)) return;
    let message;
    try {
      message = JSON.parse(text);
    } catch {
      return this.#next();
    }
    switch (message.op) {
      case "hello": return this.#hello === null ? this.#greeted(message, token) : undefined;
      case "stale": return this.#next();
      case "pong": return message.id === this.#asked ? this.#found() : undefined;
      case "error": return this.failed(transport, { code: this.#sent !== null && message.id === this.#sent.id ? CODE_TOKEN : null });
      case "authenticated": case "reauth": if (this.#messages.length < MESSAGES_MAX) this.#messages.push(text);
    }
  }

  /** Handles the end of the connection that is tried. A token that is refused or missing is so everywhere. */
  failed(transport, { code, token = null }) {
    if (!this.is(transport)) return;
    if (code === CODE_TOKEN || token !== null) this.#left = [];
    this.#next();
  }

  #look(within_ms) {
    if (this.#left !== null) return;
    this.#left = this.#addresses.others;
    this.#timer = setTimeout(() => this.#next(), this.#options.random() * within_ms);
  }

  #next() {
    this.#drop();
    if (this.#left.length === 0) return (this.#left = null);
    this.#url = this.#left.shift();
    const transport = (this.#transport = this.#listener.make());
    this.#timer = setTimeout(() => this.#next(), this.#options.connect_timeout_ms);
    this.#listener.open(transport, this.#url);
  }

  #greeted(hello, token) {
    const transport = this.#transport;
    this.#hello = hello;
    this.#sent = transport.authenticates ? null : this.#listener.request(hello, token);
    if (this.#sent) transport.send(this.#sent, JSON.stringify(this.#sent));
    // A broker that is stale says so right after its greeting, so before it answers.
    this.#asked = this.#listener.nextId();
    transport.look(this.#asked);
  }

  #found() {
    const found = [this.#url, this.#transport, this.#hello, this.#sent, this.#messages];
    this.#transport = null;
    this.#left = null;
    this.#drop();
    this.#listener.takeOver(...found);
  }

  /** Gives up the connection that is tried. */
  #drop() {
    clearTimeout(this.#timer);
    const transport = this.#transport;
    [this.#transport, this.#hello, this.#sent, this.#messages, this.#asked] = [null, null, null, [], null];
    transport?.close(true);
  }
}
