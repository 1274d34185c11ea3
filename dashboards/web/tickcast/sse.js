/**
 * Server-Sent Events and plain HTTP requests, for networks that let no WebSocket through: a transport like the one over
 * WebSocket (transport.js), which answers requests in the protocol's own words.
 *
 * One stream brings everything that is subscribed. What can be said of it is said when it is opened, so it is opened anew
 * when something changes, and goes on from the last id that came. An id stands for all of its topics; what is subscribed
 * newly has to begin with its image. So that comes by a second stream first, and as soon as each has an id, one stream for
 * all goes on from the smaller one. Then some updates come twice: a Stream drops what it has.
 *
 * `fetch` and not `EventSource`, which shows neither heartbeats, nor an id that comes alone, nor why it was refused.
 *
 * @module
 */
import { events } from "./events.js";
import { isPattern, matcher } from "./stream.js";
import { ABNORMAL } from "./transport.js";

/** What a broker greets with unless told otherwise: a stream's own greeting takes its place. */
const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "", session: "", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 1_024, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 1_024, stall_ms: 60_000 },
};
const CODE_FORBIDDEN = 4003, CODE_LATER = 4029;
/** An id before all others: everything that is retained comes. */
const BEFORE_ALL = "0";
/** What fits into an address, on the way too: servers and proxies take 8 KB and more of a request's first line. */
const QUERY_LENGTH_MAX = 4_000;
const FORM = { "Content-Type": "application/x-www-form-urlencoded" };
/** How a message about a topic begins. No name has a character that JSON escapes. */
const OF_TOPIC = /^\{"op":"(\w+)","topic":"([^"]+)"/;

/** One stream of events. */
class Feed {
  #abort = new AbortController();
  /** The last id, or the one that it goes on from; null where nothing can go on from here yet. */
  id;
  /** Opened from an id: what of its topics is not mentioned up to its next id has ended meanwhile. */
  resumed;
  /** By entry: whether it covers a topic. */
  entries;
  /** Topics that were mentioned, until there is an id of its own. */
  mentioned = new Set();

  constructor(entries, id) {
    this.entries = new Map([...entries].map((text) => [text, matcher(text)]));
    this.id = id;
    this.resumed = id !== null;
  }

  get signal() { return this.#abort.signal; }
  get ended() { return this.signal.aborted; }

  covers(topic) {
    for (const matches of this.entries.values()) if (matches(topic)) return true;
    return false;
  }

  end() {
    this.#abort.abort();
  }
}

export class SseTransport {
  /** What came may come again, and what a connection had is resumed by itself, patterns too. */
  static repeats = true;
  #base; #listener; #fetch;
  /** By topic or pattern: its `conflate_ms`. */
  #wanted = new Map();
  /** Of those the ones that an earlier connection had, up to `#from`. */
  #had; #from;
  /** Brings what had begun; and what has still to begin, until both can go on as one. */
  #main = null;
  #joining = null;
  /** The main stream has more than is wanted, or in other intervals. */
  #outdated = false;
  #settling = false;
  #abort = new AbortController();
  #publishing = Promise.resolve();
  /** Of publishes that wait for their turn. */
  unsentBytes = 0;

  async open(url, options, listener) {
    this.#base = url.replace(/^ws/, "http");
    this.#listener = listener;
    this.#had = new Set(listener.begun);
    this.#from = listener.place ?? BEFORE_ALL;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    // Whether anything gets through at all, and whether we may come here.
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal);
    if (!answer.ok) return this.#refused(await refusal(answer));
    await answer.arrayBuffer();
    listener.message(JSON.stringify(HELLO));
  }

  /** From where on another connection would have everything that this one has not. */
  get place() {
    const feeds = [this.#main, this.#joining].filter((feed) => feed !== null);
    if (feeds.length === 0) return this.#from;
    return feeds.some(({ id }) => id === null) ? BEFORE_ALL : earliest(feeds);
  }

  send(request, text) {
    const { op, id, topics } = request;
    if (op === "subscribe") {
      for (const entry of topics) {
        const topic = entry.topic ?? entry;
        this.#outdated ||= this.#main?.entries.has(topic) && this.#wanted.get(topic) !== request.conflate_ms;
        this.#wanted.set(topic, request.conflate_ms);
      }
      this.#say({ op: "subscribed", id });
      this.#change();
    } else if (op === "unsubscribe") {
      for (const topic of topics) {
        this.#wanted.delete(topic);
        this.#had.delete(topic);
        this.#joining?.entries.delete(topic);
        if (this.#main?.entries.delete(topic)) this.#outdated = true;
      }
      this.#change();
    } else if (op === "publish") {
      // One after the other: two requests on their way may overtake each other.
      this.unsentBytes += text.length;
      this.#publishing = this.#publishing.then(() => this.#publish(request)).finally(() => { this.unsentBytes -= text.length; });
    } else {
      this.#say({ op: "error", id, code: "unavailable", message: `there is no ${op} over Server-Sent Events`, retry: false });
    }
  }

  /** Ends the streams. What is being published still gets its answer. */
  retire() {
    this.#main?.end();
    this.#joining?.end();
  }

  close() {
    this.#abort.abort();
    this.retire();
  }

  /** Every so often, while there is no stream that would tell: whether the broker is there. */
  async check() {
    if (this.#main) return;
    const answer = await this.#get("/v1/topics?limit=1", this.#abort.signal).catch(() => null);
    await answer?.arrayBuffer().catch(() => {});
    if (answer?.ok) this.#listener.alive();
  }

  #get(path, signal, more = {}, headers = {}) {
    return this.#fetch(new URL(path, this.#base), { ...more, signal, headers: { Accept: "text/event-stream, application/json", ...headers } });
  }

  #say(message) {
    this.#listener.message(JSON.stringify(message));
  }

  // ---- Streams ----

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
    if (this.#joining?.entries.size === 0) {
      this.#joining.end();
      this.#joining = null;
    }
    if (this.#main?.entries.size === 0) {
      this.#main.end();
      [this.#main, this.#joining, this.#outdated] = [this.#joining, null, false];
    }
    const feeds = [this.#main, this.#joining].filter((feed) => feed !== null);
    // Without an id nothing can go on elsewhere: then changes wait.
    if (feeds.length > 0 && (this.#joining || this.#outdated) && feeds.every(({ id }) => id !== null)) {
      const id = earliest(feeds), entries = feeds.flatMap((feed) => [...feed.entries.keys()]);
      this.retire();
      [this.#main, this.#joining, this.#outdated] = [this.#read(entries, id), null, false];
    }
    if (this.#main === null) {
      const had = [...this.#wanted.keys()].filter((text) => this.#had.has(text));
      this.#had.clear();
      if (had.length > 0) this.#main = this.#read(had, this.#from);
    }
    if (this.#joining) return;
    const more = [...this.#wanted.keys()].filter((text) => !this.#main?.entries.has(text));
    if (more.length === 0) return;
    if (this.#main) this.#joining = this.#read(more, null);
    else [this.#main, this.#outdated] = [this.#read(more, null), false];
  }

  /** Opens a stream, and reads it in the background. */
  #read(entries, id) {
    const feed = new Feed(entries, id);
    const query = [...entries].map((text) => `topic=${encodeURIComponent(text)}`);
    const conflate_ms = Math.min(...[...entries].map((text) => this.#wanted.get(text) ?? 0));
    if (conflate_ms > 0) query.push(`conflate_ms=${conflate_ms}`);
    if (id !== null) query.push(`resume=${id}`);
    this.#run(feed, query.join("&"));
    return feed;
  }

  async #run(feed, query) {
    let end = { code: ABNORMAL, reason: "the broker ended the stream" };
    try {
      const asks = query.length > QUERY_LENGTH_MAX
        ? this.#get("/v1/sse", feed.signal, { method: "POST", body: query }, FORM)
        : this.#get(`/v1/sse?${query}`, feed.signal);
      const answer = await asks;
      if (!answer.ok) return await this.#refusedStream(feed, await refusal(answer));
      for await (const { data, id, comment } of events(answer.body)) {
        if (feed.ended) return;
        this.#listener.alive();
        const closed = /^closed (\d+) (.*)/.exec(comment);
        if (closed) end = { code: Number(closed[1]), reason: closed[2] };
        if (data !== null) this.#hear(feed, data);
        if (id !== null) this.#reached(feed, id);
      }
    } catch (error) {
      end.reason = error.message;
    }
    if (!feed.ended) this.#listener.close(end);
  }

  #reached(feed, id) {
    feed.id = id;
    if (feed.mentioned && feed.resumed) this.#listener.settled((topic) => feed.covers(topic), feed.mentioned);
    feed.mentioned = null;
    if (this.#joining || this.#outdated) this.#change();
  }

  #hear(feed, data) {
    if (data.startsWith('{"op":"subscribed"')) {
      const answer = JSON.parse(data), row = (topic) => (this.#isElsewhere(feed, topic.topic) ? { ...topic, start: "joined" } : topic);
      for (const { topic } of answer.topics) feed.mentioned?.add(topic);
      return this.#say({ ...answer, topics: answer.topics.map(row) });
    }
    const [, op, topic] = OF_TOPIC.exec(data) ?? [];
    if (op === "topic") feed.mentioned?.add(topic);
    if (topic === undefined || !this.#isElsewhere(feed, topic)) this.#listener.message(data);
  }

  /** Whether the other stream brings a topic: what began stays where it is. Or none, as it was given up. */
  #isElsewhere(feed, topic) {
    if (feed === this.#joining) return this.#main?.covers(topic) ?? false;
    return this.#outdated && !feed.covers(topic);
  }

  // ---- Refusals ----

  /** One wrong entry, and all are refused. So each is asked about; where none is wrong, it is something else. */
  async #refusedStream(feed, refused) {
    if (feed.ended) return;
    const errors = [];
    if (refused.isOurs && [400, 403].includes(refused.status)) {
      for (const topic of feed.entries.keys()) {
        const path = isPattern(topic) ? `/v1/topics?limit=1&match=${encodeURIComponent(topic)}` : `/v1/topics/${encodeURIComponent(topic)}`;
        const answer = await this.#get(path, feed.signal);
        if (answer.ok) await answer.arrayBuffer();
        // That there is no such topic yet, or that it has no image, is nothing wrong.
        else if (answer.status !== 404) errors.push({ topic, retry: false, ...(await refusal(answer)).error });
      }
    }
    if (feed.ended) return;
    if (errors.length === 0) return this.#refused(refused);
    for (const { topic } of errors) this.#wanted.delete(topic);
    feed.end();
    // As if it had not been tried.
    for (const topic of feed.entries.keys()) if (feed.resumed) this.#had.add(topic);
    if (feed === this.#main) [this.#main, this.#from] = [null, feed.id ?? this.#from];
    else this.#joining = null;
    this.#say({ op: "subscribed", errors });
    this.#change();
  }

  /** The broker's own refusal is final, unless it has no room just now; anything else may be of something in between. */
  #refused({ status, isOurs, error }) {
    const code = !isOurs ? ABNORMAL : status === 429 ? CODE_LATER : CODE_FORBIDDEN;
    this.#listener.close({ code, reason: error.message });
  }

  // ---- Publishing ----

  async #publish({ id, topic, data, ...options }) {
    const query = ["kind", "source", "source_seq", "source_ts"].filter((name) => options[name] !== undefined)
      .map((name) => `${name}=${encodeURIComponent(options[name])}`);
    try {
      const answer = await this.#fetch(new URL(`/v1/topics/${encodeURIComponent(topic)}?${query.join("&")}`, this.#base), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data), signal: this.#abort.signal,
      });
      if (answer.ok) return this.#listener.answer({ op: "published", id, ...(await answer.json()) });
      const { status, error } = await refusal(answer);
      this.#listener.answer({ op: "error", id, ...error, retry: status === 429 || status === 503 });
    } catch (error) {
      this.#listener.answer({ op: "error", id, code: "unanswered", message: `no answer: it may have been published (${error.message})`, retry: false });
    }
  }
}

/** Of several streams' ids the first one in the broker's order. */
function earliest(feeds) {
  return String(Math.min(...feeds.map(({ id }) => Number(id))));
}

/** Why an answer is none; `isOurs` where the broker said so, and it would say so again. */
async function refusal(answer) {
  const said = await answer.json().catch(() => null);
  const error = said?.error?.code ? said.error : null;
  return {
    status: answer.status,
    isOurs: error !== null && answer.status < 500,
    error: error ?? { code: "unavailable", message: `HTTP status ${answer.status}` },
  };
}
