/**
 * What comes of topics: the streams that check and apply it, and the subscriptions that get it.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { Stream } from "./stream.js";
import { deliver, finish } from "./subscription.js";

/** More breaches of continuity on one connection, and it is given up. */
const VIOLATIONS_MAX = 5;

/** The topics that come in, and the subscriptions that they are handed to. */
export class Topics {
  #connection; #entries; #again; #emit;
  #subscriptions = new Set();
  /** By topic: what is known of it. */
  #streams = new Map();
  /** Breaches of continuity on this connection. */
  #violations = 0;
  /** Streams that are to begin anew, over this connection. */
  #mending = new Set();

  /** `again(topic, resume)` asks for a topic anew; `emit(type, fields)` dispatches the client's events. */
  constructor(connection, entries, again, emit) {
    [this.#connection, this.#entries, this.#again, this.#emit] = [connection, entries, again, emit];
  }

  /** All of them, as they are now. */
  get streams() { return [...this.#streams.values()]; }

  /** Whether something that came is not had, and was asked for anew. */
  get areMending() { return this.#mending.size > 0; }

  /** A topic's stream, where there is one. */
  get(topic) {
    return this.#streams.get(topic);
  }

  /** A subscription gets what comes from here on. */
  join(subscription) {
    this.#subscriptions.add(subscription);
    for (const stream of this.#streams.values())
      if (subscription.covers(stream.topic)) stream.subscribers = [...stream.subscribers, subscription];
  }

  /** A subscription gets nothing any more. */
  leave(subscription) {
    this.#subscriptions.delete(subscription);
    for (const stream of this.#streams.values()) {
      stream.subscribers = stream.subscribers.filter((other) => other !== subscription);
      this.#forgetUnwanted(stream);
    }
  }

  /** What is known of a subscription's topics, for who joins what goes on already. */
  known(subscription, from) {
    // What is wanted of before is asked for, where that can be.
    if (typeof from === "object" && !this.#connection.repeats) return [];
    const known = [...this.#streams.values()].filter((stream) => subscription.covers(stream.topic));
    return known.flatMap((stream) => stream.joined()).filter(({ op }) => op === "topic" || from !== "live");
  }

  /** How a topic is told to begin with a message that comes of it. */
  begun(message) {
    const first = message.from ?? message.seq, isImage = message.op === "image";
    return { op: "topic", ...this.#streams.get(message.topic).row, seq: isImage ? message.seq : first - 1, start: isImage ? "image" : "live" };
  }

  /** The connection is left: what a topic was asked for anew does not come over it any more. */
  away() {
    this.#violations = 0;
    this.#mending.clear();
    for (const stream of this.#streams.values()) [stream.resyncing, stream.mentioned] = [false, false];
  }

  /** Nothing follows, because of an error where there is one. */
  end(error) {
    for (const subscription of this.#subscriptions) finish(subscription, error);
    this.#subscriptions.clear();
    this.#streams.clear();
  }

  /**
   * A topic begins: by a row of an answer, with the item that it answers where we asked for it over this connection, or by
   * a `topic` message.
   */
  begin(row, item = null, isAnswer = false) {
    const { topic, epoch } = row, stream = this.#streams.get(topic) ?? this.#newStream(topic);
    if (!stream) return;
    stream.mentioned = true;
    // By another entry it has begun, and goes on.
    if (row.start === "joined" || (stream.resyncing && !isAnswer)) return;
    this.#mend(stream, false);
    const lived = !stream.waits;
    const goesBack = item?.goesBack ?? this.#entries.patternsOf(topic).some((entry) => entry.goesBack);
    const mayRepeat = !isAnswer || this.#connection.repeats || (item !== null && item.id !== null);
    const wrong = stream.begin(row, item?.resume ?? null, { mayRepeat, goesBack });
    if (wrong !== null) return this.#violated(stream, wrong, row);
    // It ended while we were away.
    if (epoch === null && lived) this.#hand(stream, { op: "closed", topic });
    this.#hand(stream, { ...row, op: "topic" });
    const lost = stream.lostBefore();
    if (lost) this.#hand(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    if (stream.lacksImage && !this.#connection.repeats) {
      this.#mend(stream, true);
      this.#again(topic, null);
    }
    this.#forgetUnwanted(stream);
  }

  /** A message of a topic. */
  take(message) {
    const { op, topic } = message;
    // Of what was given up something may still be on its way. It is nobody's, even where the same was asked for again: what
    // belongs to that comes after its answer.
    const stream = this.#streams.get(topic) ?? (this.#entries.isAnswered(topic) ? this.#newStream(topic) : undefined);
    if (!stream || stream.resyncing) return;
    message = stream.lacking(message);
    if (message === null) return;
    const lost = stream.lostBefore(message);
    const wrong = stream.take(message);
    if (wrong !== null) return this.#violated(stream, wrong, message);
    if (lost) this.#hand(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    this.#hand(stream, message);
    if (op === "closed") this.#ended(stream);
  }

  /**
   * Patterns were asked for, and begin to mention their topics: those that no other entry brings in. `isLeaving`: to the
   * broker another one still did.
   */
  expect(patterns, isLeaving) {
    if (patterns.length === 0) return;
    for (const stream of this.#streams.values()) {
      const { topic } = stream;
      if (!patterns.some((entry) => entry.matches(topic)) || this.#entries.has(topic) || this.#entries.lent.has(topic) || isLeaving(topic)) continue;
      if (this.#entries.patternsOf(topic).every((entry) => patterns.includes(entry) || !entry.answered)) stream.mentioned = false;
    }
  }

  /** Everything of these patterns has begun: what was not mentioned has ended. */
  settle(patterns) {
    if (patterns.length === 0) return;
    this.settled((topic) => {
      if (this.#entries.has(topic) || !patterns.some((entry) => entry.matches(topic))) return false;
      return this.#entries.patternsOf(topic).every((entry) => entry.ready);
    }, null);
  }

  /** Of the topics that are covered those that were mentioned are there, and all others have ended. */
  settled(covers, mentioned) {
    for (const stream of [...this.#streams.values()]) {
      const { topic } = stream;
      if (stream.waits || (mentioned?.has(topic) ?? stream.mentioned) || !covers(topic)) continue;
      stream.end();
      this.#hand(stream, { op: "closed", topic });
      this.#ended(stream);
    }
  }

  /** A topic's stream, where somebody wants the topic. */
  #newStream(topic) {
    const subscribers = [...this.#subscriptions].filter((subscription) => subscription.covers(topic));
    if (subscribers.length === 0) return undefined;
    const stream = new Stream(topic, subscribers);
    this.#streams.set(topic, stream);
    return stream;
  }

  #ended(stream) {
    this.#entries.ended(stream.topic);
    this.#forgetUnwanted(stream);
  }

  /** Forgets a topic that nobody wants, or that ended and that a pattern will bring in anew. */
  #forgetUnwanted(stream) {
    const { topic, subscribers, waits } = stream;
    if (subscribers.length > 0 && (!waits || this.#entries.has(topic))) return;
    this.#streams.delete(topic);
    this.#mending.delete(stream);
  }

  /** Whether what comes of a stream is ignored, until the topic has begun anew. */
  #mend(stream, isMending) {
    stream.resyncing = isMending;
    if (isMending) this.#mending.add(stream);
    else this.#mending.delete(stream);
  }

  #hand(stream, message) {
    if (message.op !== "topic") message.epoch = stream.epoch;
    if (stream.state !== undefined) message.state = stream.state;
    let from = Infinity;
    for (const subscription of stream.subscribers) {
      const delivered = deliver(subscription, message);
      if (message.op === "gap" && delivered !== null) from = Math.min(from, delivered.from);
    }
    this.#emit("message", { data: message });
    const { topic, epoch, to, reason } = message;
    // What nobody lacks is not lost.
    if (from < Infinity) this.#emit("gap", { topic, epoch, from, to, reason });
  }

  /** The broker broke its promise of continuity: the topic begins anew, events where they were, others with their image. */
  #violated(stream, wrong, message) {
    const { topic, kind, epoch, position } = stream;
    const fields = { topic, epoch, position, received: message };
    this.#mend(stream, true);
    this.#emit("error", { error: new TickcastError("continuity", `${topic}: ${wrong}`, fields) });
    if (!this.#connection.isOpen) return;
    if (++this.#violations > VIOLATIONS_MAX || this.#connection.repeats)
      return this.#connection.drop(`${this.#violations} breaches of continuity`);
    this.#again(topic, kind === "event" ? position : null);
  }
}
