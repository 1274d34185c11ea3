/**
 * One stream of Server-Sent Events: what it brings, up to where it has brought it, and how it is read.
 *
 * @module
 */
import { events } from "./events.js";
import { isPattern, matcher } from "./stream.js";
import { ABNORMAL } from "./transport.js";

/** An id before all others: everything that is retained comes. */
export const BEFORE_ALL = "0";
/** What fits into an address, on the way too: servers and proxies take 8 KB and more of a request's first line. */
const QUERY_LENGTH_MAX = 4_000;
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
/** How a message about a topic begins. No name has a character that JSON escapes. */
const OF_TOPIC = /^\{"op":"(\w+)","topic":"([^"]+)"/;

/** A stream. */
export class Feed {
  #abort = new AbortController();
  #listener;
  /** The last id, or the one that it goes on from; null where nothing can go on from here yet. */
  id;
  /** What it brings; and what it brings although it was left, as others cover the same. */
  entries;
  given = new Set();
  /** Of both the patterns, with whether they cover a topic. */
  #patterns = new Map();
  /** Those of which the stream has said how they begin. */
  begun = new Set();
  /** Topics that were mentioned, until everything has begun. */
  mentioned = new Set();
  /** Everything has begun. */
  isReady = false;
  /** It was asked for with what a broker of before does not know. */
  isNew = false;
  conflate_ms; on_slow;
  /** Opened from an id: what of its topics is not mentioned until everything has begun, has ended meanwhile. */
  resumed;

  /**
   * Brings entries, from an id on or, where that is null, from their images. Its listener hears `alive(feed)`,
   * `message(feed, text, op, topic)`, `ready(feed)`, `reached(feed)`, and at the end `refused(feed, answer)` or
   * `ended(feed, {code, reason})`.
   */
  constructor(entries, id, { conflate_ms, on_slow }, listener) {
    this.entries = new Set(entries);
    for (const text of entries) if (isPattern(text)) this.#patterns.set(text, matcher(text));
    [this.id, this.resumed, this.conflate_ms, this.on_slow, this.#listener] = [id, id !== null, conflate_ms, on_slow, listener];
  }

  get signal() { return this.#abort.signal; }
  get ended() { return this.signal.aborted; }
  /** Another stream can go on from here, and need not begin before everything. */
  get canGoOn() { return this.id !== null && this.id !== BEFORE_ALL; }

  covers(topic) {
    if (this.entries.has(topic) || this.given.has(topic)) return true;
    for (const matches of this.#patterns.values()) if (matches(topic)) return true;
    return false;
  }

  /**
   * An entry is not wanted any more. `isShared`: other entries cover some of its topics, which go on by this stream, as
   * another one may be ahead of it. Returns whether it was one of these.
   */
  delete(text, isShared) {
    if (!this.entries.delete(text)) return false;
    if (isShared) this.given.add(text);
    else this.#patterns.delete(text);
    return true;
  }

  /** An entry that was left is wanted again. Returns whether it is one that still comes. */
  takeBack(text) {
    if (!this.given.delete(text)) return false;
    this.entries.add(text);
    return true;
  }

  end() {
    this.#abort.abort();
  }

  /** Opens it with `get(path, signal, options, headers)`, and reads it to its end. `isNew`: the broker knows `ready` and `on_slow`. */
  async run(get, isNew) {
    this.isNew = isNew;
    // What was left before it is opened, it does not bring.
    for (const text of this.given) this.#patterns.delete(text);
    this.given.clear();
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
        if (data !== null) this.#hear(data);
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

  #hear(data) {
    if (data.startsWith('{"op":"ready"')) return this.#begun();
    const [, op, topic] = OF_TOPIC.exec(data) ?? [];
    if (op === "topic") this.mentioned.add(topic);
    this.#listener.message(this, data, topic);
  }

  #reached(id) {
    this.id = id;
    this.#listener.reached(this);
    // The broker gives none before that, and one of before says it in no other way.
    this.#begun();
  }

  #begun() {
    if (this.isReady) return;
    this.isReady = true;
    this.#listener.ready(this);
    this.mentioned.clear();
  }
}
