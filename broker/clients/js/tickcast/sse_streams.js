/**
 * The streams of Server-Sent Events that bring what is subscribed: which there are, and what each is responsible for.
 *
 * One stream brings everything. Its entries and options are given when it is opened, so it is opened anew when
 * something changes, and resumes from the last id that came. An id holds for all of its entries, but a new entry has to
 * begin with its image. So new entries come by a stream of their own first, and as soon as each stream has an id, one
 * stream for all resumes from the smallest one. Then some updates come twice: a topic's `Stream` drops those that it
 * has.
 *
 * `fetch` is used because `EventSource` shows neither heartbeats, nor an id that comes alone, nor why it was refused.
 *
 * @module
 */
import { mostDemanding } from "./entry.js";
import { refusal, wrongEntries } from "./http.js";
import { isPattern, matcher } from "./patterns.js";
import { BEFORE_ALL, SseStream } from "./sse_stream.js";

/** Streams at a time: a browser opens six connections to a server over HTTP/1.1, for all of its tabs. */
const STREAMS_MAX = 3;
/** If new entries wait while there are that many streams and some have no id, these begin anew after this time, to make room. */
const GATHER_MS = 2_000;

export class SseStreams {
  #listener; #get; #say; #refused;
  /** By topic or pattern: the options with which it is wanted. */
  #wanted = new Map();
  /** Of those, the ones that have begun and that no stream brings: where they resume, `{id, conflated}`, or null for the image alone. */
  #resumePoints = null;
  /** The oldest first. What several streams cover comes by the first of them. */
  #streams = [];
  /** The streams bring more than is wanted. */
  #hasMore = false;
  /** They were opened with an older token. */
  #hasOldToken = false;
  #changing = false;
  #gathering = null;
  /** Whether the broker knows `ready` and `on_slow`. */
  #isNew = true;

  /**
   * `listener` is the transport's. `get` makes a request, `say` gives the client a message, and `refused` ends the
   * connection because of a refusal.
   */
  constructor(listener, { get, say, refused }) {
    [this.#listener, this.#get, this.#say, this.#refused] = [listener, get, say, refused];
  }

  get isEmpty() { return this.#streams.length === 0; }

  /** Whether one stream could take the place of all of them. */
  get canMerge() { return this.#streams.every((stream) => stream.canResume); }

  /** Whether a stream brings a topic, perhaps only by an entry that was dropped. */
  bring(topic) {
    return this.#streams.some((stream) => !stream.ended && stream.covers(topic));
  }

  /** Adds entries, or changes their options. `answer()` is called before anything comes of them. */
  want(texts, options, answer) {
    // Not earlier: while the connection was tried beside another one, that one went on.
    this.#resumePoints ??= new Map(this.#listener.resumePoints());
    for (const text of texts) this.#wanted.set(text, options);
    answer();
    this.#takeBack(texts);
    this.#change();
  }

  /** Drops entries. */
  drop(texts) {
    for (const text of texts) {
      this.#wanted.delete(text);
      this.#resumePoints?.delete(text);
    }
    const wanted = [...this.#wanted.keys()], patterns = wanted.filter(isPattern).map(matcher);
    for (const text of texts) {
      // Other entries may cover some of its topics.
      const isShared = isPattern(text) ? patterns.length > 0 || wanted.some(matcher(text)) : patterns.some((matches) => matches(text));
      for (const stream of this.#streams) this.#hasMore = stream.delete(text, isShared) || this.#hasMore;
    }
    this.#listener.freed();
    this.#change();
  }

  /** Opens them anew where they are, because there is another token. Streams without an id keep theirs until they have one. */
  renew() {
    this.#hasOldToken = !this.isEmpty;
    this.#change();
  }

  /** Lets one stream take the place of all, from the smallest id: also of a stream that only brings what was dropped. */
  merge() {
    this.#leave(this.#streams, String(Math.min(...this.#streams.map(({ id }) => Number(id)))));
    [this.#hasMore, this.#hasOldToken] = [false, false];
    this.#openMore();
  }

  /** Ends all of them. */
  end() {
    clearTimeout(this.#gathering);
    for (const stream of this.#streams) stream.end();
  }

  // ---- Which streams there are ----

  /** An entry that was dropped and still comes, because others cover the same topics, continues where it is. */
  #takeBack(texts) {
    for (const stream of this.#streams) {
      const back = texts.filter((text) => stream.takeBack(text)), { conflate_ms } = stream;
      if (back.length === 0) continue;
      const topics = back.filter((text) => !isPattern(text)).map((topic) => ({ topic, start: "joined", conflate_ms }));
      this.#say({ op: "subscribed", topics, patterns: back.filter(isPattern).map((pattern) => ({ pattern, matched: 0, conflate_ms })) });
      if (stream.isReady) this.#say({ op: "ready", entries: back });
    }
  }

  /** Adapts the streams, once for all changes of this turn of the event loop. */
  #change() {
    if (this.#changing) return;
    this.#changing = true;
    setTimeout(() => {
      this.#changing = false;
      if (this.#listener.current()) this.#adapt();
    });
  }

  #adapt() {
    for (const stream of this.#streams) if (stream.entries.size === 0 && (stream.dropped.size === 0 || this.#wanted.size === 0)) stream.end();
    this.#streams = this.#streams.filter((stream) => !stream.ended);
    if (this.isEmpty) [this.#hasMore, this.#hasOldToken] = [false, false];
    // Without an id nothing can resume on another stream: then changes wait.
    if (this.#isOutdated && this.canMerge) this.merge();
    else this.#openMore();
    this.#listener.freed();
  }

  /** Whether one stream should take the place of all of these, or bring less, or have other options. */
  get #isOutdated() {
    const { conflate_ms, on_slow } = mostDemanding([...this.#wanted.values()]);
    const isOther = (stream) => stream.conflate_ms !== conflate_ms || stream.on_slow !== on_slow;
    return this.#streams.length > 1 || this.#hasMore || this.#hasOldToken || this.#streams.some(isOther);
  }

  /** Ends these streams. What had begun continues by another one, from an id or, if that is null, from before everything. */
  #leave(streams, id) {
    for (const stream of streams) {
      stream.end();
      const point = id === null ? null : { id, conflated: stream.conflate_ms > 0 };
      for (const text of stream.entries) if (stream.resumed || point !== null || stream.begun.has(text)) this.#resumePoints.set(text, point);
    }
    this.#streams = this.#streams.filter((stream) => !stream.ended);
  }

  /** Opens streams for entries that none brings, as far as there may be more of them. */
  #openMore() {
    // Because one stream is to bring all entries in the end, the most demanding of their options hold for every stream.
    const options = mostDemanding([...this.#wanted.values()]);
    const open = new Set(this.#streams.flatMap((stream) => [...stream.entries]));
    const waiting = [...this.#wanted.keys()].filter((text) => !open.has(text));
    const resuming = [], begun = [], fresh = [];
    // An entry that was conflated and no longer is may lack updates before its id, and other entries may cover the
    // same.
    const areWhole = options.conflate_ms > 0 || !waiting.some((text) => this.#resumePoints.get(text)?.conflated);
    for (const text of waiting) (areWhole && this.#resumePoints.get(text) ? resuming : this.#resumePoints.has(text) ? begun : fresh).push(text);
    const earliest = () => String(Math.min(...resuming.map((text) => Number(this.#resumePoints.get(text).id))));
    for (const [texts, id] of [[resuming, earliest], [begun, () => BEFORE_ALL], [fresh, () => null]])
      if (texts.length > 0 && this.#streams.length < STREAMS_MAX) this.#open(texts, id(), options);
    clearTimeout(this.#gathering);
    if (waiting.some((text) => !this.#streams.some((stream) => stream.entries.has(text))))
      this.#gathering = setTimeout(() => this.#gather(), GATHER_MS);
  }

  /**
   * Ids have been missing for a while, and new entries wait: from the first stream without an id on, the streams begin
   * anew, as one. (Those after it may have ignored what came by earlier ones.)
   */
  #gather() {
    const stuck = this.#streams.findIndex((stream) => !stream.canResume);
    if (stuck >= 0) this.#leave(this.#streams.slice(stuck), null);
    this.#adapt();
  }

  /** Opens a stream, and reads it in the background. */
  #open(entries, id, options) {
    const stream = new SseStream(entries, id, options, {
      alive: () => this.#listener.alive(),
      message: (from, text, topic) => this.#receive(from, text, topic),
      ready: (from) => this.#ready(from),
      reached: () => this.#reached(),
      refused: async (from, answer) => this.#streamRefused(from, await refusal(answer)),
      ended: (_, end) => this.#listener.close(end),
    });
    for (const text of entries) this.#resumePoints.delete(text);
    this.#streams.push(stream);
    stream.run(this.#get, this.#isNew);
  }

  // ---- What they bring ----

  #receive(stream, text, topic) {
    if (text.startsWith('{"op":"subscribed"')) return this.#subscribed(stream, JSON.parse(text));
    // An entry or a topic that is not allowed any more: no other stream brings it either.
    if (text.startsWith('{"op":"error"')) return this.#ended(stream, text);
    if (topic === undefined || this.#isResponsible(stream, topic)) this.#listener.message(text);
  }

  /** The beginning of a stream. Entries that were dropped since it was opened are left out. */
  #subscribed(stream, answer) {
    // A topic may still come by a pattern.
    const topics = answer.topics.filter(({ topic }) => stream.covers(topic));
    const patterns = answer.patterns.filter(({ pattern }) => stream.entries.has(pattern));
    for (const { topic } of topics) stream.mentioned.add(topic);
    for (const text of [...topics.map(({ topic }) => topic), ...patterns.map(({ pattern }) => pattern)]) stream.begun.add(text);
    const rows = topics.map((row) => (this.#isResponsible(stream, row.topic) ? row : { ...row, start: "joined" }));
    this.#say({ ...answer, topics: rows, patterns });
    const { errors = [] } = answer;
    if (errors.length > 0) this.#forget(stream, errors);
  }

  #ended(stream, text) {
    const { topic, pattern = topic } = JSON.parse(text);
    if (pattern !== undefined && this.#wanted.has(pattern)) for (const each of this.#streams) this.#forget(each, [{ topic: pattern }]);
    this.#listener.message(text);
  }

  /** An id came. It holds for what its stream brings, except for what an earlier stream brings as well. */
  #reached() {
    let earliest = Infinity;
    for (const stream of this.#streams) {
      if (!stream.canResume) break;
      earliest = Math.min(earliest, Number(stream.id));
      this.#listener.reached(String(earliest), stream.entries);
    }
    if (this.#isOutdated) this.#change();
  }

  /** Whether a topic comes by this stream: one that has begun on a stream stays there. */
  #isResponsible(stream, topic) {
    return this.#streams.length === 1 && !this.#hasMore ? true : this.#streams.find((each) => each.covers(topic)) === stream;
  }

  #ready(stream) {
    if (stream.resumed) this.#listener.settled((topic) => stream.covers(topic), stream.mentioned);
    this.#say({ op: "ready", entries: [...stream.entries] });
  }

  // ---- Refusals ----

  /** One wrong entry makes the broker refuse all. So each is asked about; if none is wrong, the reason is another one. */
  async #streamRefused(stream, refused) {
    if (stream.ended) return;
    if (stream.entries.size === 0) {
      // All of its entries were dropped in the meantime.
      stream.end();
      return this.#change();
    }
    if (stream.isNew && refused.status === 400 && refused.error.code === "bad_request") {
      // Perhaps because of a parameter that an older broker does not know.
      this.#isNew = false;
      return stream.run(this.#get, false);
    }
    const isByEntry = refused.isOurs && [400, 403].includes(refused.status);
    const wrong = isByEntry ? await wrongEntries((path) => this.#get(path, stream.signal), stream.entries) : { errors: [], refused };
    if (stream.ended) return;
    const { errors } = wrong;
    if (errors.length > 0) {
      // As if the stream had not been opened.
      this.#forget(stream, errors);
      this.#leave([stream], stream.canResume ? stream.id : null);
      // What is found out counts, also if not all could be asked about: the next connection does not ask for it again.
      this.#say({ op: "subscribed", errors });
    }
    if (wrong.refused !== null || errors.length === 0) this.#refused(wrong.refused ?? refused);
  }

  /** Forgets refused entries of a stream. They may be asked for again. */
  #forget(stream, errors) {
    for (const { topic } of errors) {
      this.#wanted.delete(topic);
      stream.delete(topic, false);
    }
    this.#change();
  }
}
