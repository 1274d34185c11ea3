/**
 * One stream of Server-Sent Events: what it brings, up to which id it has brought it, and how it is read.
 *
 * @module
 */
import { events } from "./events.js";
import { isPattern, matcher } from "./patterns.js";
import { ABNORMAL } from "./transport.js";

/** An id before all others: from it, everything that is retained comes. */
export const BEFORE_ALL = "0";
/** A query of this length fits into a URL: servers and proxies take 8 KB and more of a request's first line. */
const QUERY_LENGTH_MAX = 4_000;
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
/** How the messages begin with which a broker greets, and the one with which it says that it is cut off from its journal. */
export const OF_GREETING = /^\{"op":"(hello|authenticated)"/, STALE = '{"op":"stale"';
const FRESH = '{"op":"fresh"}';
/** How a message about a topic begins. No name has a character that JSON escapes. */
const OF_TOPIC = /^\{"op":"(\w+)","topic":"([^"]+)"/;

export class SseStream {
  #abort = new AbortController();
  #listener;
  /** The last id, or the one from which it resumes; null if no stream can resume from here yet. */
  id;
  /** The entries that it brings. */
  entries;
  /** Dropped entries that it still brings, because other entries cover the same topics. */
  dropped = new Set();
  /** The patterns among both: by text, a function of a topic. */
  #patterns = new Map();
  /** The entries whose beginning the stream has sent. */
  begun = new Set();
  /** The topics that were mentioned, until everything has begun. */
  mentioned = new Set();
  /** Everything has begun. */
  isReady = false;
  /** The broker greets: what comes next shows whether it is cut off from its journal. */
  #isGreeting = true;
  /** It was asked for with parameters that older brokers do not know. */
  isNew = false;
  conflate_ms; on_slow;
  /** Whether it was opened from an id. Its topics that are not mentioned until everything has begun have then ended. */
  resumed;

  /**
   * Brings entries from an id on or, if that is null, from their images. Its listener gets `alive(stream)`,
   * `message(stream, text, topic)`, `ready(stream)`, `reached(stream)`, and at the end `refused(stream, answer)` or
   * `ended(stream, {code, reason})`.
   */
  constructor(entries, id, { conflate_ms, on_slow }, listener) {
    this.entries = new Set(entries);
    for (const text of entries) if (isPattern(text)) this.#patterns.set(text, matcher(text));
    [this.id, this.resumed, this.conflate_ms, this.on_slow, this.#listener] = [id, id !== null, conflate_ms, on_slow, listener];
  }

  get signal() { return this.#abort.signal; }
  get ended() { return this.signal.aborted; }
  /** Whether another stream can resume from here. */
  get canResume() { return this.id !== null && this.id !== BEFORE_ALL; }

  covers(topic) {
    if (this.entries.has(topic) || this.dropped.has(topic)) return true;
    for (const matches of this.#patterns.values()) if (matches(topic)) return true;
    return false;
  }

  /**
   * Drops an entry. If `isShared`, other entries cover some of its topics, and these continue on this stream, because
   * another one may be ahead of it. Returns whether the stream had the entry.
   */
  delete(text, isShared) {
    if (!this.entries.delete(text)) return false;
    if (isShared) this.dropped.add(text);
    else this.#patterns.delete(text);
    return true;
  }

  /** Takes a dropped entry back. Returns whether the stream still brings it. */
  takeBack(text) {
    if (!this.dropped.delete(text)) return false;
    this.entries.add(text);
    return true;
  }

  end() {
    this.#abort.abort();
  }

  /** Opens the stream with `get(path, signal, options, headers)`, and reads it to its end. `isNew`: the broker knows `ready` and `on_slow`. */
  async run(get, isNew) {
    this.isNew = isNew;
    // It does not bring what was dropped before it is opened.
    for (const text of this.dropped) this.#patterns.delete(text);
    this.dropped.clear();
    const query = this.#query(isNew);
    let end = { code: ABNORMAL, reason: "the broker ended the stream" };
    try {
      const answer = await (query.length > QUERY_LENGTH_MAX
        ? get("/v1/sse", this.signal, { method: "POST", body: query }, FORM)
        : get(`/v1/sse?${query}`, this.signal));
      if (!answer.ok) return await this.#listener.refused(this, answer);
      for await (const { data, id, comment } of events(answer.body)) {
        if (this.ended) return;
        this.#listener.alive(this);
        const closed = /^closed (\d+) (.*)/.exec(comment);
        if (closed) end = { code: Number(closed[1]), reason: closed[2] };
        if (data !== null) this.#receive(data);
        if (id !== null) this.#reached(id);
      }
    } catch (error) {
      end.reason = error.message;
    }
    if (!this.ended) this.#listener.ended(this, end);
  }

  #query(isNew) {
    const query = [...this.entries].map((text) => `topic=${encodeURIComponent(text)}`);
    if (this.conflate_ms > 0) query.push(`conflate_ms=${this.conflate_ms}`);
    if (isNew && this.on_slow !== "conflate") query.push(`on_slow=${this.on_slow}`);
    if (isNew) query.push("ready=true");
    if (this.id !== null) query.push(`resume=${this.id}`);
    return query.join("&");
  }

  #receive(data) {
    if (this.#isGreeting && !OF_GREETING.test(data)) {
      this.#isGreeting = false;
      // An earlier stream may have said that it is, and ended before it was over.
      if (!data.startsWith(STALE)) this.#listener.message(this, FRESH, undefined);
    }
    if (data.startsWith('{"op":"ready"')) return this.#ready();
    const [, op, topic] = OF_TOPIC.exec(data) ?? [];
    if (op === "topic") this.mentioned.add(topic);
    this.#listener.message(this, data, topic);
  }

  #reached(id) {
    this.id = id;
    this.#listener.reached(this);
    // The broker sends no id before everything has begun, and an older broker shows it in no other way.
    this.#ready();
  }

  #ready() {
    if (this.isReady) return;
    this.isReady = true;
    this.#listener.ready(this);
    this.mentioned.clear();
  }
}
