/**
 * How messages come and go. A transport is one connection: `open` begins it, then its listener hears `message(text)` for
 * each message of the broker, `alive()` for other signs of life and, once, `close({code, reason})`; `current()` says
 * whether anybody still listens. What only Server-Sent Events need of their listener: `places`, of the entries that had
 * begun up to where they have everything; `reached(id, texts)`: these have everything up to there; `answer(message)` for
 * what they answer themselves; `settled(covers, mentioned)`: of the topics that are covered, those that were not mentioned
 * have ended.
 *
 * `probe(id)` asks whether the broker is still there: what comes from then on says so. It returns false where that cannot
 * be asked without losing the connection.
 *
 * @module
 */

const SUBPROTOCOL = "tickcast.v1.json";
/** The code that stands for a connection that ended without one (RFC 6455, §7.1.5). */
export const ABNORMAL = 1006;
/** A WebSocket: the platform's, or the one that was given, or in Node before 22 that of the package `ws`. */
export class WebSocketTransport {
  /** Nothing comes twice: single topics are asked for from where they were. */
  static repeats = false;
  #socket = null;

  async open(url, options, listener) {
    const Socket = options.WebSocket ?? globalThis.WebSocket ?? (await wsPackage());
    if (!listener.current()) return;
    const socket = (this.#socket = new Socket(url, SUBPROTOCOL));
    let failure = "", ended = false;
    const end = (code, reason) => {
      if (!ended) listener.close({ code, reason: reason || failure });
      ended = true;
    };
    socket.onmessage = ({ data }) => listener.message(data);
    socket.onerror = ({ message }) => {
      // Browsers do not say why; `ws` does.
      failure = message ?? "";
      // What was refused closes at once, but in Node 22 never does.
      setTimeout(() => end(ABNORMAL, ""));
    };
    socket.onclose = ({ code, reason }) => end(code, reason);
  }

  send(_, text) {
    this.#socket.send(text);
  }

  get unsentBytes() {
    return this.#socket.bufferedAmount;
  }

  /** Asks the broker whether it is there. Its answer, like everything else, is a message. */
  probe(id) {
    this.send(null, JSON.stringify({ op: "ping", id }));
    return true;
  }

  /** `abrupt` where the other side is not expected to answer. */
  close(abrupt) {
    if (abrupt && this.#socket?.terminate) this.#socket.terminate();
    else this.#socket?.close(1000);
  }
}

async function wsPackage() {
  // Not a literal, so that no bundler looks for a package that browsers do not need.
  const name = "ws";
  try {
    return (await import(name)).WebSocket;
  } catch (error) {
    throw new TypeError(`there is no WebSocket here: take Node 22 or later, install the package ws, or give one as an option (${error.message})`);
  }
}
