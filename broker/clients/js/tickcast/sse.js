/**
 * Server-Sent Events and plain HTTP requests, for networks that let no WebSocket through: a transport like the one over
 * WebSocket (transport.js), which answers requests in the protocol's own words.
 *
 * One stream brings everything that is subscribed. What can be said of it is said when it is opened, so it is opened anew
 * when something changes, and goes on from the last id that came. An id stands for all of its topics; what is subscribed
 * newly has to begin with its image. So that comes by a stream of its own first, and as soon as each has an id, one stream
 * for all goes on from the smallest one. Then some updates come twice: a topic's `Stream` drops what it has.
 *
 * `fetch` and not `EventSource`, which shows neither heartbeats, nor an id that comes alone, nor why it was refused.
 *
 * @module
 */
import { mostDemanding } from "./entry.js";
import { BEFORE_ALL, Feed } from "./feed.js";
import { publish, refusal } from "./http.js";
import { isPattern, matcher } from "./stream.js";
import { ABNORMAL } from "./transport.js";

/** What a broker greets with unless told otherwise: a stream's own greeting takes its place. */
const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "", session: "", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 1_024, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 1_024, stall_ms: 60_000 },
};
const CODE_FORBIDDEN = 4003, CODE_LATER = 4029;
/** Streams at a time: a browser opens six connections to a server over HTTP/1.1, for all of its tabs. */
const FEEDS_MAX = 3;
/** With that many streams of which some have no id, something new waits so long before these begin anew to make room. */
const GATHER_MS = 2_000;

export class SseTransport {
  /** What came may come again, and what a connection had is resumed by itself, patterns too. */
  static repeats = true;
  #base; #listener; #fetch;
  /** By topic or pattern: the options that it is wanted with. */
  #wanted = new Map();
  /** Of those the ones that have begun, and that no stream brings: up to where, `{id, conflated}`, or null for the image alone. */
  #places;
  /** The oldest first: what several cover comes by the first of them. */
  #feeds = [];
  /** The streams bring more than is wanted. */
  #hasMore = false;
  #settling = false;
  #gathering = null;
  /** Whether the broker knows `ready` and `on_slow`. */
  #isNew = true;
  #abort = new AbortController();
  #publishing = Promise.resolve();
  /** Of publishes that wait for their turn. */
  unsentBytes = 0;

  async open(url, options, listener) {
    this.#base = url.replace(/^ws/, "http");
    this.#listener = listener;
    this.#places = new Map(listener.places);
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    // Whether anything gets through at all, and whether we may come here.
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
      for (const text of texts) this.#wanted.set(text, { conflate_ms, on_slow });
      this.#say({ op: "subscribed", id });
      this.#takeBack(texts);
      this.#change();
    } else if (op === "unsubscribe") {
      for (const text of topics) {
        this.#wanted.delete(text);
        this.#places.delete(text);
      }
      const texts = [...this.#wanted.keys()], patterns = texts.filter(isPattern).map(matcher);
      for (const text of topics) {
        // Other entries may cover some of its topics.
        const isShared = isPattern(text) ? patterns.length > 0 || texts.some(matcher(text)) : patterns.some((matches) => matches(text));
        for (const feed of this.#feeds) this.#hasMore = feed.delete(text, isShared) || this.#hasMore;
      }
      this.#change();
    } else if (op === "publish") {
      const post = (path, options) => this.#fetch(new URL(path, this.#base), { ...options, signal: this.#abort.signal });
      // One after the other: two requests on their way may overtake each other.
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

  /** Ends the streams. What is being published still gets its answer. */
  retire() {
    clearTimeout(this.#gathering);
    for (const feed of this.#feeds) feed.end();
  }

  close() {
    this.#abort.abort();
    this.retire();
  }

  /** Every so often, while there is no stream that would tell: whether the broker is there. */
  async check() {
    if (this.#feeds.length > 0) return;
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal).catch(() => null);
    await answer?.arrayBuffer().catch(() => {});
    if (answer?.ok) this.#listener.alive();
  }

  /** Opens the streams anew: what comes from then on says that the broker is there. */
  probe() {
    if (this.#feeds.some((feed) => !feed.canGoOn)) return false;
    if (this.#feeds.length === 0) this.check();
    else this.#merge();
    return true;
  }

  #get(path, signal, more = {}, headers = {}) {
    return this.#fetch(new URL(path, this.#base), { ...more, signal, headers: { Accept: "text/event-stream, application/json", ...headers } });
  }

  #say(message) {
    this.#listener.message(JSON.stringify(message));
  }

  // ---- Which streams there are ----

  /** What was left and still comes, as others cover the same, goes on where it is. */
  #takeBack(texts) {
    for (const feed of this.#feeds) {
      const back = texts.filter((text) => feed.takeBack(text)), { conflate_ms } = feed;
      if (back.length === 0) continue;
      const topics = back.filter((text) => !isPattern(text)).map((topic) => ({ topic, start: "joined", conflate_ms }));
      this.#say({ op: "subscribed", topics, patterns: back.filter(isPattern).map((pattern) => ({ pattern, matched: 0, conflate_ms })) });
      if (feed.isReady) this.#say({ op: "ready", entries: back });
    }
  }

  /** Does what is to be done about streams, once for all changes of this moment. */
  #change() {
    if (this.#settling) return;
    this.#settling = true;
    setTimeout(() => {
      this.#settling = false;
      if (this.#listener.current()) this.#settle();
    });
  }

  #settle() {
    for (const feed of this.#feeds) if (feed.entries.size === 0 && (feed.given.size === 0 || this.#wanted.size === 0)) feed.end();
    this.#feeds = this.#feeds.filter((feed) => !feed.ended);
    if (this.#feeds.length === 0) this.#hasMore = false;
    // Without an id nothing can go on elsewhere: then changes wait.
    if (this.#isOutdated && this.#feeds.every((feed) => feed.canGoOn)) this.#merge();
    else this.#openMore();
  }

  /** One stream should go on for all of these, or with less than it has, or with other options. */
  get #isOutdated() {
    const { conflate_ms, on_slow } = mostDemanding([...this.#wanted.values()]);
    const isOther = (feed) => feed.conflate_ms !== conflate_ms || feed.on_slow !== on_slow;
    return this.#feeds.length > 1 || this.#hasMore || this.#feeds.some(isOther);
  }

  /** Ends these streams: what had begun goes on by another one, from an id or, where that is null, from before everything. */
  #leave(feeds, id) {
    for (const feed of feeds) {
      feed.end();
      const place = id === null ? null : { id, conflated: feed.conflate_ms > 0 };
      for (const text of feed.entries) if (feed.resumed || place !== null || feed.begun.has(text)) this.#places.set(text, place);
    }
    this.#feeds = this.#feeds.filter((feed) => !feed.ended);
  }

  /** One stream goes on for all, from the earliest id: also of a stream that has only what was left. */
  #merge() {
    this.#leave(this.#feeds, String(Math.min(...this.#feeds.map(({ id }) => Number(id)))));
    this.#hasMore = false;
    this.#openMore();
  }

  /** Opens streams for what none brings, as far as there may be more of them. */
  #openMore() {
    // Of several options the most demanding count for all of a connection, as of all streams one is to be made.
    const options = mostDemanding([...this.#wanted.values()]);
    const open = new Set(this.#feeds.flatMap((feed) => [...feed.entries]));
    const waiting = [...this.#wanted.keys()].filter((text) => !open.has(text));
    const placed = [], begun = [], fresh = [];
    // What was conflated and is no longer may lack updates that an id stands for, and other entries may cover the same.
    const areWhole = options.conflate_ms > 0 || !waiting.some((text) => this.#places.get(text)?.conflated);
    for (const text of waiting) (areWhole && this.#places.get(text) ? placed : this.#places.has(text) ? begun : fresh).push(text);
    const earliest = () => String(Math.min(...placed.map((text) => Number(this.#places.get(text).id))));
    for (const [texts, id] of [[placed, earliest], [begun, () => BEFORE_ALL], [fresh, () => null]])
      if (texts.length > 0 && this.#feeds.length < FEEDS_MAX) this.#open(texts, id(), options);
    clearTimeout(this.#gathering);
    if (waiting.some((text) => !this.#feeds.some((feed) => feed.entries.has(text))))
      this.#gathering = setTimeout(() => this.#gather(), GATHER_MS);
  }

  /**
   * Ids are absent for a while, and something new waits: from the first stream on that has none they begin anew, as one. A
   * later one may have ignored what comes by an earlier one.
   */
  #gather() {
    const stuck = this.#feeds.findIndex((feed) => !feed.canGoOn);
    if (stuck >= 0) this.#leave(this.#feeds.slice(stuck), null);
    this.#settle();
  }

  /** Opens a stream, and reads it in the background. */
  #open(entries, id, options) {
    const feed = new Feed(entries, id, options, {
      alive: () => this.#listener.alive(),
      message: (from, text, topic) => this.#hear(from, text, topic),
      ready: (from) => this.#begun(from),
      reached: () => this.#reached(),
      refused: async (from, answer) => this.#refusedStream(from, await refusal(answer)),
      ended: (_, end) => this.#listener.close(end),
    });
    for (const text of entries) this.#places.delete(text);
    this.#feeds.push(feed);
    feed.run((...request) => this.#get(...request), this.#isNew);
  }

  // ---- What they bring ----

  #hear(feed, text, topic) {
    if (text.startsWith('{"op":"subscribed"')) return this.#subscribed(feed, JSON.parse(text));
    if (topic === undefined || this.#isOf(feed, topic)) this.#listener.message(text);
  }

  /** What a stream begins with. What was left since it was opened is none of it. */
  #subscribed(feed, answer) {
    // By a pattern it may come all the same.
    const topics = answer.topics.filter(({ topic }) => feed.covers(topic));
    const patterns = answer.patterns.filter(({ pattern }) => feed.entries.has(pattern));
    for (const { topic } of topics) feed.mentioned.add(topic);
    for (const text of [...topics.map(({ topic }) => topic), ...patterns.map(({ pattern }) => pattern)]) feed.begun.add(text);
    const rows = topics.map((row) => (this.#isOf(feed, row.topic) ? row : { ...row, start: "joined" }));
    this.#say({ ...answer, topics: rows, patterns });
    const { errors = [] } = answer;
    if (errors.length === 0) return;
    // It does not bring these, and they may be asked for again.
    for (const { topic } of errors) {
      this.#wanted.delete(topic);
      feed.delete(topic, false);
    }
    this.#change();
  }

  /** An id came: it stands for what a stream brings, but of what an earlier one brings as well, only that one's does. */
  #reached() {
    let earliest = Infinity;
    for (const feed of this.#feeds) {
      if (!feed.canGoOn) break;
      earliest = Math.min(earliest, Number(feed.id));
      this.#listener.reached(String(earliest), feed.entries);
    }
    if (this.#isOutdated) this.#change();
  }

  /** Whether a topic comes by this stream: what began stays where it is. */
  #isOf(feed, topic) {
    return this.#feeds.length === 1 && !this.#hasMore ? true : this.#feeds.find((each) => each.covers(topic)) === feed;
  }

  #begun(feed) {
    if (feed.resumed) this.#listener.settled((topic) => feed.covers(topic), feed.mentioned);
    this.#say({ op: "ready", entries: [...feed.entries] });
  }

  // ---- Refusals ----

  /** One wrong entry, and all are refused. So each is asked about; where none is wrong, it is something else. */
  async #refusedStream(feed, refused) {
    if (feed.ended) return;
    if (feed.entries.size === 0) {
      // What was left meanwhile is nobody's.
      feed.end();
      return this.#change();
    }
    if (feed.isNew && refused.status === 400 && refused.error.code === "bad_request") {
      // Perhaps for a parameter that a broker of before does not know.
      this.#isNew = false;
      return feed.run((...request) => this.#get(...request), false);
    }
    const errors = [];
    if (refused.isOurs && [400, 403].includes(refused.status)) {
      for (const topic of feed.entries) {
        const path = isPattern(topic) ? `/v1/topics?limit=1&match=${encodeURIComponent(topic)}` : `/v1/topics/${encodeURIComponent(topic)}`;
        const answer = await this.#get(path, feed.signal);
        if (answer.ok) await answer.arrayBuffer();
        // That there is no such topic yet, or that it has no image, is nothing wrong.
        else if (answer.status !== 404) errors.push({ topic, retry: false, ...(await refusal(answer)).error });
      }
    }
    if (feed.ended) return;
    if (errors.length === 0) return this.#refused(refused);
    for (const { topic } of errors) {
      this.#wanted.delete(topic);
      feed.delete(topic, false);
    }
    // As if it had not been tried.
    this.#leave([feed], feed.canGoOn ? feed.id : null);
    this.#say({ op: "subscribed", errors });
    this.#change();
  }

  /** The broker's own refusal is final, unless it has no room just now; anything else may be of something in between. */
  #refused({ status, isOurs, error }) {
    const code = !isOurs ? ABNORMAL : status === 429 ? CODE_LATER : CODE_FORBIDDEN;
    this.#listener.close({ code, reason: error.message });
  }
}
