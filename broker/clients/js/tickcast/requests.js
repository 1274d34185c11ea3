/**
 * Publishes and pings that wait for their answer.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { utf8Length } from "./entry.js";

/** With more than this unsent, nothing more is published. */
const UNSENT_BYTES_MAX = 1 << 20;

/** By id: those without an answer, sent or waiting for a connection. */
export class Requests {
  #waiting = new Map();
  #options;

  constructor(options) {
    this.#options = options;
  }

  /** Adds one, to be sent with `send`; `again` where it may be sent twice. `{ request, answer }`. */
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

  /** Sends one over a connection to a broker that takes messages up to so many bytes. */
  send(request, connection, bytes_max) {
    const { id, message, text } = request;
    const refuse = (code, why) => this.#take(id).reject(new TickcastError(code, why));
    // The broker closes the connection after such a message.
    if (utf8Length(text) > bytes_max) return refuse("too_large", `a message is at most ${bytes_max} bytes`);
    if (connection.unsentBytes > UNSENT_BYTES_MAX) return refuse("unavailable", "the connection does not take more now");
    request.sent = true;
    connection.send(message, text);
  }

  /** On a new connection: those that are not on their way. */
  sendAll(connection, bytes_max) {
    for (const request of [...this.#waiting.values()]) if (!request.sent) this.send(request, connection, bytes_max);
  }

  /** Gives a request its answer. Returns whether it was one of these. */
  settle(message) {
    const { op, id, code, message: text, retry } = message, request = this.#take(id);
    if (op === "error") request?.reject(new TickcastError(code, text, { retry }));
    else request?.resolve(message);
    return request !== undefined;
  }

  /** The connection is lost: what may come twice waits for the next one. */
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

  /** The request that an id belongs to, which waits no longer. */
  #take(id) {
    const request = this.#waiting.get(id);
    this.#waiting.delete(id);
    clearTimeout(request?.timer);
    return request;
  }
}
