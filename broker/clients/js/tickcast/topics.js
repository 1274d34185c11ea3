/**
 * The topics' messages: the streams that check and apply them, and the subscriptions that get them.
 *
 * @module
 */
import { TickcastError } from "./error.js";
import { Stream } from "./stream.js";
import { deliver, finish } from "./subscription.js";

/** After more breaches of continuity than this, the connection is given up. */
const VIOLATIONS_MAX = 5;

export class Topics {
  #connection; #entries; #isBrought; #again; #emit;
  #subscriptions = new Set();
  /** By topic. */
  #streams = new Map();
  /** Breaches of continuity on this connection. */
  #violations = 0;
  /** The streams that are to begin anew, over this connection. */
  #mending = new Set();

  /**
   * `isBrought(topic)` returns whether it comes although nobody may want it: its name is lent, or was unsubscribed and
   * still comes over Server-Sent Events; `again(topic, resume)` asks for a topic anew; `emit(type, fields)`
   * dispatches the client's events.
   */
  constructor(connection, entries, isBrought, again, emit) {
    [this.#connection, this.#entries, this.#isBrought, this.#again, this.#emit] = [connection, entries, isBrought, again, emit];
  }

  /** All streams, as they are now. */
  get streams() { return [...this.#streams.values()]; }

  /** Whether a topic has to begin anew, because the client does not have everything of it. */
  get areMending() { return this.#mending.size > 0; }

  /** A topic's stream, if there is one. */
  get(topic) {
    return this.#streams.get(topic);
  }

  /** Adds a subscription, which gets what comes from here on. */
  join(subscription) {
    this.#subscriptions.add(subscription);
    for (const stream of this.#streams.values())
      if (subscription.covers(stream.topic)) stream.subscribers = [...stream.subscribers, subscription];
  }

  /** Removes a subscription. */
  leave(subscription) {
    this.#subscriptions.delete(subscription);
    for (const stream of this.#streams.values()) {
      stream.subscribers = stream.subscribers.filter((other) => other !== subscription);
      this.#forgetUnwanted(stream);
    }
  }

  /** The messages with what is known of a subscription's topics, for one that joins running streams. */
  known(subscription, from) {
    // If it wants earlier updates, these are asked for, where the transport allows that.
    if (typeof from === "object" && !this.#connection.repeats) return [];
    const known = [...this.#streams.values()].filter((stream) => subscription.covers(stream.topic));
    return known.flatMap((stream) => stream.joined()).filter(({ op }) => op === "topic" || from !== "live");
  }

  /** The `topic` message for a topic that begins, for a subscription, with this message. */
  begun(message) {
    const first = message.from ?? message.seq, isImage = message.op === "image";
    return { op: "topic", ...this.#streams.get(message.topic).row, seq: isImage ? message.seq : first - 1, start: isImage ? "image" : "live" };
  }

  /** Records that the connection is left: topics do not begin anew over it any more. */
  away() {
    this.#violations = 0;
    this.#mending.clear();
    for (const stream of this.#streams.values()) [stream.resyncing, stream.mentioned] = [false, false];
    this.freed();
  }

  /** Records that these topics may not come any more, if nobody wants them. */
  freed(names = this.#streams.keys()) {
    for (const stream of [...names].map((topic) => this.#streams.get(topic))) if (stream) this.#forgetUnwanted(stream);
  }

  /** Ends all subscriptions, perhaps because of an error. */
  end(error) {
    for (const subscription of this.#subscriptions) finish(subscription, error);
    this.#subscriptions.clear();
    this.#streams.clear();
  }

  /**
   * Begins a topic: by a row of an answer, with the item that it answers if this connection asked for it, or by a
   * `topic` message.
   */
  begin(row, item = null, isAnswer = false) {
    const { topic, epoch } = row, stream = this.#streams.get(topic) ?? this.#newStream(topic);
    if (!stream) return;
    stream.mentioned = true;
    // It has begun by another entry, and continues.
    if (row.start === "joined" || (stream.resyncing && !isAnswer)) return;
    this.#mend(stream, false);
    const lived = !stream.waits;
    const goesBack = item?.goesBack ?? this.#entries.patternsOf(topic).some((entry) => entry.goesBack);
    const mayRepeat = !isAnswer || this.#connection.repeats || (item !== null && item.id !== null);
    if (goesBack) this.#entries.goesBack(topic);
    const wrong = stream.begin(row, item?.resume ?? null, { mayRepeat, goesBack });
    if (wrong !== null) return this.#violated(stream, wrong, row);
    // It ended while the client was away.
    if (epoch === null && lived) this.#deliver(stream, { op: "closed", topic });
    this.#deliver(stream, { ...row, op: "topic" });
    const lost = stream.lostBefore();
    if (lost) this.#deliver(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    if (stream.lacksImage && !this.#connection.repeats) {
      this.#mend(stream, true);
      this.#again(topic, null);
    }
    this.#forgetUnwanted(stream);
  }

  /** Handles a message of a topic. */
  take(message) {
    const { op, topic } = message;
    // Messages of an entry that was left may still be in flight. They are dropped even if the same entry was asked for
    // again: its messages come after its answer.
    const stream = this.#streams.get(topic) ?? (this.#entries.isAnswered(topic) ? this.#newStream(topic) : undefined);
    if (!stream || stream.resyncing) return;
    message = stream.lacking(message);
    if (message === null) return;
    const lost = stream.lostBefore(message);
    const wrong = stream.take(message);
    if (wrong !== null) return this.#violated(stream, wrong, message);
    if (lost) this.#deliver(stream, { op: "gap", topic, ...lost, reason: "disconnected" });
    this.#deliver(stream, message);
    if (op === "closed") this.#ended(stream);
  }

  /**
   * Records that patterns were asked for and begin to mention their topics: those that no other entry covers.
   * `isLeaving`: for the broker, another entry still covers the topic.
   */
  expect(patterns, isLeaving) {
    if (patterns.length === 0) return;
    for (const stream of this.#streams.values()) {
      const { topic } = stream;
      if (!patterns.some((entry) => entry.matches(topic)) || this.#entries.has(topic) || this.#isBrought(topic) || isLeaving(topic)) continue;
      if (this.#entries.patternsOf(topic).every((entry) => patterns.includes(entry) || !entry.answered)) stream.mentioned = false;
    }
  }

  /** Records that everything of these patterns has begun: topics that were not mentioned have ended. */
  settle(patterns) {
    if (patterns.length === 0) return;
    this.settled((topic) => {
      if (this.#entries.has(topic) || !patterns.some((entry) => entry.matches(topic))) return false;
      return this.#entries.patternsOf(topic).every((entry) => entry.ready);
    }, null);
  }

  /** Records that the covered topics that were not mentioned have ended. */
  settled(covers, mentioned) {
    for (const stream of [...this.#streams.values()]) {
      const { topic } = stream;
      if (stream.waits || (mentioned?.has(topic) ?? stream.mentioned) || !covers(topic)) continue;
      stream.end();
      this.#deliver(stream, { op: "closed", topic });
      this.#ended(stream);
    }
  }

  /** Ends a topic that a pattern has brought in and that is not allowed any more. Its subscriptions get the message. */
  forbid(topic, message) {
    const stream = this.#streams.get(topic), { code, message: text, retry } = message;
    this.#entries.ended(topic);
    if (stream) {
      this.#forget(stream);
      for (const subscription of stream.subscribers) deliver(subscription, message);
    }
    this.#emit("error", { error: new TickcastError(code, `${topic}: ${text}`, { topic, retry }) });
  }

  /** Forgets the topics of an entry that was refused for good: those that no other entry covers, and its own if it is forbidden. */
  uncovered({ text, matches }, isForbidden) {
    for (const stream of [...this.#streams.values()]) {
      const { topic } = stream, isCovered = this.#entries.has(topic) || this.#entries.patternsOf(topic).length > 0;
      if (matches(topic) && (!isCovered || (isForbidden && topic === text))) this.#forget(stream);
    }
  }

  #forget(stream) {
    this.#streams.delete(stream?.topic);
    this.#mending.delete(stream);
  }

  /** Makes a topic's stream, if a subscription covers the topic or it comes all the same. */
  #newStream(topic) {
    const subscribers = [...this.#subscriptions].filter((subscription) => subscription.covers(topic));
    if (subscribers.length === 0 && !this.#isBrought(topic)) return undefined;
    const stream = new Stream(topic, subscribers);
    this.#streams.set(topic, stream);
    return stream;
  }

  #ended(stream) {
    this.#entries.ended(stream.topic);
    this.#forgetUnwanted(stream);
  }

  /**
   * Forgets a topic that no subscription covers, or that ended and that a pattern will bring in anew. One that comes all
   * the same goes on: a subscription may come to cover it, and the broker does not begin it anew for that.
   */
  #forgetUnwanted(stream) {
    const { topic, subscribers, waits } = stream, isWanted = subscribers.length > 0 || this.#isBrought(topic);
    if (isWanted && (!waits || this.#entries.has(topic))) return;
    this.#forget(stream);
  }

  /** Sets whether a stream's messages are ignored until the topic has begun anew. */
  #mend(stream, isMending) {
    stream.resyncing = isMending;
    if (isMending) this.#mending.add(stream);
    else this.#mending.delete(stream);
  }

  #deliver(stream, message) {
    if (stream.subscribers.length === 0) return;
    if (message.op !== "topic") message.epoch = stream.epoch;
    if (stream.state !== undefined) message.state = stream.state;
    let from = Infinity;
    for (const subscription of stream.subscribers) {
      const delivered = deliver(subscription, message);
      if (message.op === "gap" && delivered !== null) from = Math.min(from, delivered.from);
    }
    this.#emit("message", { data: message });
    const { topic, epoch, to, reason } = message;
    // A gap that no subscription lacks anything of is not reported.
    if (from < Infinity) this.#emit("gap", { topic, epoch, from, to, reason });
  }

  /** Handles a breach of continuity: the topic begins anew, events where they were, others with their image. */
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
