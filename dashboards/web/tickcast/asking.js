/**
 * What the broker is asked for: that it subscribes us to entries, again on every connection, and what it answers.
 *
 * @module
 */
import { Entry, inMessagesOf } from "./entry.js";
import { TickcastError } from "./error.js";
import { deliver } from "./subscription.js";

/** Larger than any number of retained updates. */
const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
/** Of a name that was waited for: the broker answers a resume from an epoch that never was with all it has. */
const BEFORE_ALL = { epoch: "none", seq: 0 };

/** Keeps the broker's subscriptions to what the program's subscriptions want. */
export class Asking {
  #connection; #entries; #topics; #emit;
  /** By id: the `subscribe` messages of this connection without an answer. */
  #asked = new Map();

  /** `emit(type, fields)` dispatches the client's events. */
  constructor(connection, entries, topics, emit) {
    [this.#connection, this.#entries, this.#topics, this.#emit] = [connection, entries, topics, emit];
  }

  /** A subscription begins that wants these entries, as `parseEntry` gave them. */
  join(subscription, wanted, options) {
    const items = [];
    for (const { text, resume } of wanted) {
      // What goes on already is joined where it is, unless this subscription wants something of before.
      const special = resume !== null || typeof options.from === "object";
      const known = this.#entries.get(text);
      const entry = known ?? new Entry(text);
      this.#entries.set(text, entry);
      if (!known || (special && !entry.begun)) [entry.from, entry.resume] = [options.from, resume];
      entry.subscribers.set(subscription, options);
      const changed = entry.combine();
      if (!known || special) items.push({ entry, text, resume, from: options.from });
      else if (changed) items.push(this.#continued(entry));
    }
    if (this.#connection.isOpen) this.#ask(items);
  }

  /** A subscription ends. */
  leave(subscription) {
    const given = [], items = [];
    for (const text of subscription.entries) {
      const entry = this.#entries.get(text);
      if (!entry?.subscribers.delete(subscription)) continue;
      if (entry.subscribers.size === 0) {
        this.#entries.delete(text);
        given.push(text);
      } else if (entry.combine()) {
        items.push(this.#continued(entry));
      }
    }
    this.#topics.leave(subscription);
    if (!this.#connection.isOpen) return;
    this.#unsubscribe(given);
    this.#ask(items);
  }

  /** What was asked over the connection that is left gets no answer. */
  away() {
    this.#asked.clear();
  }

  /**
   * On a new connection: asks for everything from where it was. A pattern cannot resume, and topics that it brought in
   * would begin anew. So they are resumed by their names, as far as the broker's limit leaves room, then the pattern is
   * subscribed, and then the names are given up again: the pattern covers them, and their streams go on without a break.
   */
  restore() {
    if (this.#connection.repeats) return this.#ask([...this.#entries.values()].map((entry) => this.#continued(entry)));
    const entries = [...this.#entries.values()], patterns = entries.filter((entry) => entry.pattern);
    const isBrought = ({ topic, position }) => position && !this.#entries.has(topic) && this.#entries.patternOf(topic);
    const brought = this.#topics.streams.filter(isBrought);
    // Events first: of the others the image says everything.
    brought.sort((one, other) => (other.kind === "event") - (one.kind === "event"));
    const resumed = brought.splice(0, Math.max(0, this.#connection.limits.subscriptions - entries.length));
    // What cannot be resumed begins anew. Until then its state is unknown, as it may have ended meanwhile.
    for (const stream of brought) stream.state = undefined;
    const byName = entries.filter((entry) => !entry.pattern).map((entry) => this.#continued(entry));
    for (const stream of resumed) {
      const { topic, position } = stream;
      byName.push({ entry: this.#entries.patternOf(topic), text: topic, resume: position, from: "image" });
    }
    // All names before all patterns, which would bring in what is about to be resumed.
    this.#ask(byName);
    this.#ask(patterns.map((entry) => {
      const item = this.#continued(entry);
      // A topic that a pattern finds for the first time now is a new one, and all of it belongs to the subscription; but
      // only if it had brought in all of its topics before, and all of those are resumed.
      const known = this.#topics.streams.filter(({ topic }) => entry.matches(topic)).length;
      if (entry.begun) item.from = brought.length === 0 && known >= entry.matched ? EVERYTHING : entry.from;
      return item;
    }), resumed.map((stream) => stream.topic));
  }

  /** Asks for one topic anew, which a name or a pattern has brought in: from a position, or from its image. */
  again(topic, resume) {
    const named = this.#entries.get(topic), entry = named ?? this.#entries.patternOf(topic);
    if (entry) this.#ask([{ entry, text: topic, resume, from: "image" }], named ? [] : [topic]);
  }

  /** The answer to a `subscribe`. */
  subscribed({ id, topics = [], patterns = [], errors = [] }) {
    const asked = this.#asked.get(id);
    this.#asked.delete(id);
    for (const row of topics) {
      this.#topics.begin(row, asked?.resumes.get(row.topic), true);
      // With too many breaches among them it was given up, and what is said of the others holds no longer.
      if (!this.#connection.isOpen) return;
    }
    for (const { pattern, matched } of patterns) {
      const entry = this.#entries.get(pattern);
      if (entry) [entry.begun, entry.matched] = [true, matched];
    }
    for (const row of errors) this.#refuse(row);
    this.#unsubscribe((asked?.release ?? []).filter((topic) => !this.#entries.has(topic)));
  }

  /** An error that answers a `subscribe`: it is that of all of its entries. Returns whether it was one. */
  refused({ id, code, message, retry }) {
    const asked = this.#asked.get(id);
    if (asked) this.subscribed({ id, errors: [...asked.resumes.keys()].map((topic) => ({ topic, code, message, retry })) });
    return asked !== undefined;
  }

  /** Sends `subscribe` for items `{entry, text, resume, from}`: as many messages as their options and sizes need. */
  #ask(items, release = []) {
    const { message_bytes, subscriptions } = this.#connection.limits;
    const groups = new Map();
    for (const item of items) {
      const { entry, text, from } = item, { conflate_ms, on_slow } = entry;
      if (!entry.begun && this.#entries.size > subscriptions) {
        const message = `the broker takes ${subscriptions} topics and patterns of one connection`;
        this.#refuse({ topic: text, code: "limit", message, retry: true });
        continue;
      }
      const options = { from, conflate_ms, on_slow }, key = JSON.stringify(options);
      if (!groups.has(key)) groups.set(key, { options, items: [] });
      groups.get(key).items.push(item);
    }
    const written = ({ text, resume }) => (resume ? { topic: text, ...resume } : text);
    let last;
    for (const { options, items } of groups.values()) {
      for (const part of inMessagesOf(message_bytes, items, written)) {
        const id = this.#connection.nextId();
        last = { resumes: new Map(part.map(({ text, resume }) => [text, resume])), release: [] };
        this.#asked.set(id, last);
        this.#connection.send({ op: "subscribe", id, topics: part.map(written), ...options });
      }
    }
    // Answers come in the order of the requests: with the last one all have come.
    if (last) last.release = release;
  }

  #unsubscribe(topics) {
    for (const part of inMessagesOf(this.#connection.limits.message_bytes, topics))
      this.#connection.send({ op: "unsubscribe", id: this.#connection.nextId(), topics: part });
  }

  /** What to ask for so that an entry goes on where it is. */
  #continued(entry) {
    const { text, from } = entry;
    if (!entry.begun) return { entry, text, resume: entry.resume, from };
    const stream = this.#topics.get(text);
    const resume = entry.pattern ? null : (stream?.position ?? (stream?.waits ? BEFORE_ALL : null));
    return { entry, text, resume, from: entry.pattern ? "image" : from };
  }

  /** An entry is refused: whoever has it is told, and it is forgotten. */
  #refuse({ topic, code, message, retry }) {
    const entry = this.#entries.get(topic);
    if (!entry) return;
    this.#entries.delete(topic);
    for (const subscription of entry.subscribers.keys()) deliver(subscription, { op: "error", topic, code, message, retry });
    this.#emit("error", { error: new TickcastError(code, `${topic}: ${message}`, { topic, retry }) });
  }
}
