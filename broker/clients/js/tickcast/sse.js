/**
 * Server-Sent Events and plain HTTP requests, for networks that block WebSockets: a transport like the one over
 * WebSocket (transport.js), which answers requests in the protocol's own words. What is subscribed comes by streams
 * (sse_streams.js).
 *
 * @module
 */
import { publish, refusal } from "./http.js";
import { SseStreams } from "./sse_streams.js";
import { ABNORMAL } from "./transport.js";

/** The greeting until a stream brings the broker's own. */
const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "", session: "", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 1_024, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 1_024, stall_ms: 60_000 },
};
const CODE_FORBIDDEN = 4003, CODE_LATER = 4029;

export class SseTransport {
  /** Updates may come twice, and everything a connection had resumes by itself, patterns too. */
  static repeats = true;
  #base; #listener; #fetch; #streams;
  #abort = new AbortController();
  #publishing = Promise.resolve();
  /** How often it was asked whether the broker is there. */
  #probes = 0;
  /** The length of the publishes that wait for their turn. */
  unsentBytes = 0;

  async open(url, options, listener) {
    this.#base = url.replace(/^ws/, "http");
    this.#listener = listener;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    this.#streams = new SseStreams(listener, {
      get: (...request) => this.#get(...request),
      say: (message) => this.#say(message),
      refused: (reason) => this.#refused(reason),
    });
    // Shows whether requests get through at all, and whether the broker allows this page.
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal);
    if (!answer.ok) return this.#refused(await refusal(answer));
    await answer.arrayBuffer();
    listener.message(JSON.stringify(HELLO));
  }

  send(request, text) {
    const { op, id, topics } = request;
    if (op === "subscribe") {
      const { conflate_ms, on_slow } = request;
      const texts = topics.map((entry) => entry.topic ?? entry);
      this.#streams.want(texts, { conflate_ms, on_slow }, () => this.#say({ op: "subscribed", id }));
    } else if (op === "unsubscribe") {
      this.#streams.drop(topics);
    } else if (op === "publish") {
      const post = (path, options) => this.#fetch(new URL(path, this.#base), { ...options, signal: this.#abort.signal });
      // One after the other: two requests in flight may overtake each other.
      this.unsentBytes += text.length;
      this.#publishing = this.#publishing.then(async () => {
        const answer = await publish(post, request);
        this.unsentBytes -= text.length;
        this.#listener.answer(answer);
      });
    } else {
      this.#say({ op: "error", id, code: "unavailable", message: `there is no ${op} over Server-Sent Events`, retry: false });
    }
  }

  /** Ends the streams. Publishes in flight still get their answer. */
  retire() {
    this.#streams?.end();
  }

  close() {
    this.#abort.abort();
    this.retire();
  }

  /** Called regularly: asks whether the broker is there, if no stream shows it. */
  async check() {
    if (!this.#streams.isEmpty) return;
    const asked = this.#probes;
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal).catch(() => null);
    await answer?.arrayBuffer().catch(() => {});
    // The answer to an earlier question may have been on its way since before the broker was asked.
    if (answer?.ok && asked === this.#probes) this.#listener.alive();
  }

  /** Opens the streams anew: what comes from then on shows that the broker is there. */
  probe() {
    if (!this.#streams.canMerge) return false;
    this.#probes += 1;
    if (this.#streams.isEmpty) this.check();
    else this.#streams.merge();
    return true;
  }

  #get(path, signal, more = {}, headers = {}) {
    return this.#fetch(new URL(path, this.#base), { ...more, signal, headers: { Accept: "text/event-stream, application/json", ...headers } });
  }

  /** Gives the client a message as if the broker had sent it. */
  #say(message) {
    this.#listener.message(JSON.stringify(message));
  }

  /** The broker's own refusal is final, unless it is only overloaded. Anything else may come from a server in between. */
  #refused({ status, isOurs, error }) {
    const code = !isOurs ? ABNORMAL : status === 429 ? CODE_LATER : CODE_FORBIDDEN;
    this.#listener.close({ code, reason: error.message });
  }
}
