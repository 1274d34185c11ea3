/**
 * Server-Sent Events and plain HTTP requests, for networks that block WebSockets: a transport like the one over
 * WebSocket (transport.js), which answers requests in the protocol's own words. What is subscribed comes by streams
 * (sse_streams.js).
 *
 * @module
 */
import { events } from "./events.js";
import { publish, refusal } from "./http.js";
import { isPattern } from "./patterns.js";
import { OF_GREETING, STALE } from "./sse_stream.js";
import { SseStreams } from "./sse_streams.js";
import { ABNORMAL } from "./transport.js";

/** The greeting until a stream brings the broker's own. */
const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "", session: "", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 1_024, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 1_024, stall_ms: 60_000 },
};
const CODE_TOKEN = 4001, CODE_FORBIDDEN = 4003, CODE_LATER = 4029;
/** The close code for the status of a refusal by the broker itself. */
const CODES = { 401: CODE_TOKEN, 429: CODE_LATER };

export class SseTransport {
  /** Updates may come twice, and everything a connection had resumes by itself, patterns too. */
  static repeats = true;
  /** Every request has the token in its head. */
  authenticates = true;
  #base; #listener; #fetch; #streams; #token;
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
    this.#token = options.token;
    this.#streams = new SseStreams(listener, {
      get: (...request) => this.#get(...request),
      say: (message) => this.#say(message),
      refused: (reason) => this.#refused(reason),
    });
    // Shows whether requests get through at all, and whether the broker allows this page.
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal);
    if (!answer.ok) return this.#refused(await refusal(answer));
    await answer.arrayBuffer();
    listener.alive();
    this.#say(HELLO);
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
      const post = (path, options) => this.#ask(path, { ...options, signal: this.#abort.signal }, options.headers);
      // One after the other: two requests in flight may overtake each other.
      this.unsentBytes += text.length;
      this.#publishing = this.#publishing.then(async () => {
        const answer = await publish(post, request);
        this.unsentBytes -= text.length;
        // On another connection the same request may be on its way again: this is no answer to that.
        if (this.#abort.signal.aborted) return;
        this.#listener.answer(answer);
        if (answer.code === "bad_token") this.#listener.close({ code: CODE_TOKEN, reason: answer.message });
      });
    } else {
      this.#say({ op: "error", id, code: "unavailable", message: `there is no ${op} over Server-Sent Events`, retry: false });
    }
  }

  /** Whether a topic comes, perhaps only by an entry that was unsubscribed. */
  brings(topic) {
    return this.#streams?.bring(topic) ?? false;
  }

  /** Ends the streams. Publishes in flight still get their answer. */
  retire() {
    this.#streams?.end();
  }

  close() {
    this.#abort.abort();
    this.retire();
  }

  /** Takes another token. The streams are opened anew with it, where they are. */
  renew(token) {
    this.#token = token;
    this.#streams.renew();
    return true;
  }

  /** Called regularly: asks whether the broker is there, if no stream shows it. */
  async check() {
    if (!this.#streams.isEmpty) return;
    const asked = this.#probes;
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal).catch(() => null);
    if (answer?.status === 401) return this.#refused(await refusal(answer));
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

  /** Only a stream says whether its broker is stale: so one is opened, for an entry that the client has, and left after its beginning. */
  async look(id) {
    const oneOf = (texts) => texts.find((text) => !isPattern(text)) ?? texts[0];
    // A stream says it before anything of it has begun. But the broker may refuse what has not begun yet.
    const entry = oneOf([...this.#listener.resumePoints().keys()]) ?? oneOf(this.#listener.wanted());
    // Without a stream nobody is told that a broker is stale.
    if (entry === undefined) return this.#say({ op: "pong", id });
    const stream = new AbortController(), { signal } = stream;
    this.#abort.signal.addEventListener("abort", () => stream.abort(), { once: true });
    try {
      const answer = await this.#get(`/v1/sse?topic=${encodeURIComponent(entry)}`, signal);
      if (!answer.ok) return this.#refused(await refusal(answer));
      for await (const { data } of events(answer.body)) {
        if (data === null || OF_GREETING.test(data)) continue;
        stream.abort();
        return this.#say(data.startsWith(STALE) ? JSON.parse(data) : { op: "pong", id });
      }
      throw new Error("the broker ended the stream");
    } catch (error) {
      this.#listener.close({ code: ABNORMAL, reason: error.message });
    }
  }

  #get(path, signal, more = {}, headers = {}) {
    return this.#ask(path, { ...more, signal }, { Accept: "text/event-stream, application/json", ...headers });
  }

  #ask(path, options, headers) {
    const withToken = this.#token === undefined ? headers : { ...headers, Authorization: `Bearer ${this.#token}` };
    return this.#fetch(new URL(path, this.#base), { ...options, headers: withToken });
  }

  /** Gives the client a message as if the broker had sent it. */
  #say(message) {
    this.#listener.message(JSON.stringify(message), true);
  }

  /** The broker's own refusal is final, unless it wants another token or is only overloaded. Anything else may come from a server in between. */
  #refused({ status, isOurs, error }) {
    const code = isOurs ? (CODES[status] ?? CODE_FORBIDDEN) : ABNORMAL;
    const reason = code === CODE_TOKEN ? `${error.code}: ${error.message}` : error.message;
    this.#listener.close({ code, reason, retry_ms: error.retry_ms });
  }
}
