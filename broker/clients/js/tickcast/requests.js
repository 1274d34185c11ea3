/**
 * Publishes and pings that wait for their answer.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { utf8Length } from "./messages.js";

/** While more than this is unsent, publishes are refused. */
const UNSENT_BYTES_MAX = 1 << 20;

/** The requests without an answer, by id: sent, or waiting for a connection. */
export class Requests {
  #waiting = new Map();
  #options;

  constructor(options) {
    this.#options = options;
  }

  /** Adds a request, to be sent with `send`; `again` says that it may be sent twice. Returns `{ request, answer }`. */
  add(message, again) {
    const { requests_max, answer_timeout_ms } = this.#options, { id } = message;
    if (this.#waiting.size >= requests_max) {
      const error = new TickcastError("unavailable", `${this.#waiting.size} requests wait for their answer (requests_max)`);
      return { request: null, answer: Promise.reject(error) };
    }
    const request = { id, message, text: JSON.stringify(message), again, sent: false };
    const answer = new Promise((resolve, reject) => {
      [request.resolve, request.reject] = [resolve, reject];
      const late = () => this.#take(id).reject(new TickcastError("timeout", `no answer within ${answer_timeout_ms} ms`));
      request.timer = setTimeout(late, answer_timeout_ms);
    });
    this.#waiting.set(id, request);
    return { request, answer };
  }

  /** Sends a request over a connection to a broker that takes messages up to `bytes_max`. */
  send(request, connection, bytes_max) {
    const { id, message, text } = request;
    const refuse = (code, why) => this.#take(id).reject(new TickcastError(code, why));
    // The broker closes the connection after such a message.
    if (utf8Length(text) > bytes_max) return refuse("too_large", `the broker accepts messages of at most ${bytes_max} bytes`);
    if (connection.unsentBytes > UNSENT_BYTES_MAX) return refuse("unavailable", "too much is waiting to be sent already");
    request.sent = true;
    connection.send(message, text);
  }

  /** Sends, on a new connection, the requests that are not in flight. */
  sendAll(connection, bytes_max) {
    for (const request of [...this.#waiting.values()]) if (!request.sent) this.send(request, connection, bytes_max);
  }

  /** Settles the request that a message answers. Returns whether there was one. */
  settle(message) {
    const { op, id, code, message: text, retry, retry_ms } = message, request = this.#take(id);
    if (op === "error") request?.reject(new TickcastError(code, text, { retry, retry_ms }));
    else request?.resolve(message);
    return request !== undefined;
  }

  /** Records that the connection is lost: requests that may be sent twice wait for the next one. */
  lost() {
    for (const [id, request] of [...this.#waiting]) {
      if (request.sent && !request.again)
        this.#take(id).reject(new TickcastError("unanswered", "the connection was lost before the answer: it may have been published"));
      request.sent = false;
    }
  }

  end(error) {
    for (const id of [...this.#waiting.keys()]) this.#take(id).reject(error);
  }

  /** Takes out the request of an id. */
  #take(id) {
    const request = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(request?.timer);
    return request;
  }
}
