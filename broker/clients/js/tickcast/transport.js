/**
 * The interface of transports, and the one over WebSocket.
 *
 * A transport is one connection. `open` begins it; then its listener gets `message(text)` for each message of the
 * broker, `alive()` for other signs of life and, once, `close({code, reason})`; `current()` returns whether the
 * transport is still in use. Only Server-Sent Events need the rest of the listener: `wanted()`, all entries;
 * `resumePoints()`, where those that had begun can resume; `reached(id, texts)`, these entries are complete up to that
 * id; `answer(message)`, for answers that the transport makes itself; `settled(covers, mentioned)`, the covered topics
 * that were not mentioned have ended; and `freed()`, topics that nobody wants may not come any more (`brings(topic)`
 * returns whether one does).
 *
 * `probe(id)` asks whether the broker is still there: what comes from then on shows it. It returns false if the broker
 * cannot be asked without losing the connection. `look(id)` asks a new connection whether its broker is cut off from its
 * journal: then `stale` comes, else a pong. `retire()` closes a connection that another one has replaced.
 *
 * @module
 */

const SUBPROTOCOL = "tickcast.v1.json";
/** The code of a connection that ended without one (RFC 6455, §7.1.5). */
export const ABNORMAL = 1006;

/** A WebSocket: the one in the options, else the platform's, else (in Node before 22) that of the package `ws`. */
export class WebSocketTransport {
  /** No update comes twice: single topics resume from their last update. */
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
      // Browsers do not give a reason; `ws` does.
      failure = message ?? "";
      // A refused WebSocket closes at once, but in Node 22 it never does.
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

  /** Asks the broker whether it is there. The answer is a message like every other. */
  probe(id) {
    this.send(null, JSON.stringify({ op: "ping", id }));
    return true;
  }

  look(id) {
    this.probe(id);
  }

  retire() {
    this.close(false);
  }

  /** `abrupt`: the other side is not expected to answer. */
  close(abrupt) {
    if (abrupt && this.#socket?.terminate) this.#socket.terminate();
    else this.#socket?.close(1000);
  }
}

async function wsPackage() {
  // Not a literal, so that bundlers do not look for a package that browsers do not need.
  const name = "ws";
  try {
    return (await import(name)).WebSocket;
  } catch (error) {
    throw new TypeError(`there is no WebSocket here: use Node 22 or later, install the package ws, or pass a WebSocket class as an option (${error.message})`);
  }
}
