/**
 * What the broker is asked for: that it subscribes us to entries, again on every connection, and what it answers.
 *
 * What comes before the answer to a request belongs to the requests before it. So an entry counts from its own answer on,
 * and whoever wants something of before gets nothing until then.
 *
 * @module
 */
import { Retries } from "./backoff.js";
import { Entry, inMessagesOf } from "./entry.js";
import { TickcastError } from "./error.js";
import { Plan } from "./plan.js";
import { isPattern, matcher } from "./stream.js";
import { deliver, hold, isHeld, join, release, settle } from "./subscription.js";

/** Keeps the broker's subscriptions to what the program's subscriptions want. */
export class Asking {
  #connection; #entries; #topics; #emit;
  /** By id: the `subscribe` messages of this connection that are not answered, or of which not everything has begun. */
  #asked = new Map();
  /** By id: `unsubscribe` messages that are not answered, as functions that tell whether a topic is covered. */
  #leaving = new Map();
  /** By name: how many requests without an answer it is lent for. */
  #lending = new Map();
  /** The id of the request that switches positions on, over this connection. */
  #switch = null;
  /** Whether the broker knows `positions`, `resume` and `ready`. Brokers of before refuse what has such a field. */
  #isNew = true;
  /** What was refused over this connection, and is asked for again. */
  #retries;

  /** `emit(type, fields)` dispatches the client's events. */
  constructor(connection, entries, topics, options, emit) {
    [this.#connection, this.#entries, this.#topics, this.#emit] = [connection, entries, topics, emit];
    this.#retries = new Retries(options, (texts) => this.#askAgain(texts));
  }

  /** A subscription begins that wants these entries, as `parseEntry` gave them. */
  join(subscription, wanted, options) {
    const asked = [];
    for (const { text, resume } of wanted) {
      // What goes on already is joined where it is, unless this subscription wants something of before.
      const isSpecial = resume !== null || typeof options.from === "object";
      const known = this.#entries.get(text);
      const entry = known ?? new Entry(text);
      this.#entries.set(text, entry);
      if (isSpecial || (this.#connection.isOpen && !entry.answered)) hold(subscription, text, isSpecial);
      if (!known) entry.from = options.from;
      if (isSpecial) entry.wishes.set(subscription, { last: options.from.last ?? 0, resume });
      entry.subscribers.set(subscription, options);
      const isChanged = entry.combine();
      if (!known || isSpecial || isChanged) asked.push(entry);
    }
    if (this.#connection.isOpen) this.#askFor(asked);
  }

  /** A subscription ends. */
  leave(subscription) {
    const given = [], changed = [];
    for (const text of subscription.entries) {
      const entry = this.#entries.get(text);
      if (!entry?.subscribers.delete(subscription)) continue;
      entry.wishes.delete(subscription);
      if (entry.subscribers.size === 0) {
        this.#entries.delete(text);
        const isRefused = this.#retries.over(text) && !entry.answered;
        if (!isRefused) given.push(text);
      } else if (entry.combine()) {
        changed.push(entry);
      }
    }
    this.#topics.leave(subscription);
    if (!this.#connection.isOpen) return;
    this.#unsubscribe(given);
    this.#askFor(changed);
  }

  /** What was asked over the connection that is left gets no answer. */
  away() {
    this.#asked.clear();
    this.#leaving.clear();
    this.#lending.clear();
    this.#switch = null;
    this.#retries.away();
    this.#entries.away();
  }

  /** On a new connection: asks for everything from where it was. */
  restore() {
    this.#askFor([...this.#entries.values()]);
  }

  /** Asks for one topic anew, which a name or a pattern has brought in: from a position, or from its image. */
  again(topic, resume) {
    const named = this.#entries.get(topic), entry = named ?? this.#entries.patternsOf(topic)[0];
    if (entry) this.#ask([{ entry, text: topic, resume, id: null, from: "image", goesBack: false, subscribers: [] }], named ? [] : [topic]);
  }

  /** The answer to a `subscribe`; over Server-Sent Events also what a stream begins with, which answers no request. */
  subscribed({ id, topics = [], patterns = [], errors = [] }) {
    const asked = this.#asked.get(id);
    if (id === this.#switch) this.#isNew = true;
    const isOurs = (text) => {
      const item = asked?.items.get(text), entry = item?.entry ?? this.#entries.get(text);
      return entry !== undefined && this.#entries.get(entry.text) === entry;
    };
    const ours = patterns.filter(({ pattern }) => isOurs(pattern));
    for (const { pattern, matched, conflate_ms } of ours) {
      this.#entries.get(pattern).matched = matched;
      this.#answered(pattern, conflate_ms, asked);
    }
    for (const { topic, conflate_ms } of topics) if (isOurs(topic)) this.#answered(topic, conflate_ms, asked);
    const isLeaving = (topic) => [...this.#leaving.values()].some((covers) => covers(topic));
    if (asked) this.#topics.expect(ours.map(({ pattern }) => this.#entries.get(pattern)), isLeaving);
    for (const row of topics) {
      this.#topics.begin(row, asked?.items.get(row.topic) ?? null, true);
      // With too many breaches among them it was given up, and what is said of the others holds no longer.
      if (!this.#connection.isOpen) return;
    }
    for (const row of errors) {
      const entry = this.#entries.get(row.topic);
      // What was left and joined anew meanwhile has an answer of its own to come.
      if (entry && entry === (asked?.items.get(row.topic)?.entry ?? entry)) this.#refuse(entry, row);
      // What a pattern has brought in was to begin anew, and is nothing that anybody else asks for.
      else if (!entry && row.retry && this.#topics.get(row.topic)?.resyncing) this.#retries.refused(row.topic, row.code, row.retry_ms);
    }
    if (asked) this.#done(id, asked);
  }

  /** The answer to an `unsubscribe`. */
  unsubscribed({ id }) {
    this.#leaving.delete(id);
  }

  /** Everything that a request asked for has begun; over Server-Sent Events, that entries by their texts brought. */
  ready({ id, entries }) {
    const asked = this.#asked.get(id);
    const isDone = (entry) => entry !== undefined && entry.answered && (asked ? entry.asked === id : true);
    const done = (entries ?? [...(asked?.items.keys() ?? [])]).map((text) => this.#entries.get(text)).filter(isDone);
    this.#asked.delete(id);
    for (const entry of done) [entry.ready, entry.goesBack] = [true, false];
    if (asked?.isNew) this.#topics.settle(done.filter((entry) => entry.pattern));
    for (const subscription of new Set(done.flatMap((entry) => [...entry.subscribers.keys()]))) settle(subscription);
  }

  /** An id came: it stands for what the broker has answered, over Server-Sent Events of these entries. */
  reached(id, texts = undefined) {
    // Of a topic that is being mended we do not have everything.
    if (!this.#topics.areMending) this.#entries.reached(id, texts);
  }

  /** Whether all that a subscription wants has begun: true, false, or null where nothing of it is left. */
  isReady(subscription) {
    const entries = subscription.entries.map((text) => this.#entries.get(text)).filter((entry) => entry?.subscribers.has(subscription));
    return entries.length === 0 ? null : entries.every((entry) => entry.ready && !entry.wishes.has(subscription));
  }

  /** An error that answers a `subscribe`: it is that of all of its entries. Returns whether it was one. */
  refused({ id, code, message, retry, retry_ms }) {
    if (id === this.#switch) {
      this.#isNew = false;
      return true;
    }
    const asked = this.#asked.get(id);
    if (!asked) return false;
    if (asked.isNew && !this.#isNew) {
      // It was refused for what this broker does not know, so it is said in its words. What was lent is planned anew.
      this.#asked.delete(id);
      this.#giveBack(asked);
      const own = [...asked.items.values()].filter(({ entry, text }) => entry.text === text && this.#entries.get(text) === entry);
      this.#askFor(own.map(({ entry }) => entry));
    } else {
      this.subscribed({ id, errors: [...asked.items.keys()].map((topic) => ({ topic, code, message, retry, retry_ms })) });
    }
    return true;
  }

  /** Asks again for what was refused. */
  #askAgain(texts) {
    this.#askFor(texts.map((text) => this.#entries.get(text)).filter((entry) => entry !== undefined));
    for (const text of texts) {
      const stream = this.#entries.has(text) ? undefined : this.#topics.get(text);
      if (stream?.resyncing) this.again(text, stream.kind === "event" ? stream.position : null);
    }
  }

  /** Plans what to ask, and asks it. */
  #askFor(entries) {
    if (entries.length === 0) return;
    if (this.#connection.repeats) return this.#ask(entries.map((entry) => ({ entry, text: entry.text, subscribers: [] })));
    const plan = new Plan(this.#entries, this.#topics, this.#connection.limits, this.#isNew);
    const { items, lent } = plan.of(entries);
    this.#ask(items, lent);
  }

  /**
   * Sends `subscribe` for items `{entry, text, resume, id, from, goesBack}`: as many messages as their options and sizes
   * need. With the answer to the last one the names of `lent` are given up again.
   */
  #ask(items, lent = []) {
    const { message_bytes, subscriptions } = this.#connection.limits;
    const isNew = this.#isNew && !this.#connection.repeats;
    const groups = new Map();
    for (const item of items) {
      const { entry, text, id, from } = item, { conflate_ms, on_slow } = entry;
      this.#retries.asked(text);
      if (!entry.begun && this.#entries.size - this.#retries.size > subscriptions) {
        const message = `the broker takes ${subscriptions} topics and patterns of one connection`;
        this.#refuse(entry, { topic: text, code: "limit", message, retry: true });
        continue;
      }
      const options = { ...(id ? { resume: id } : { from }), conflate_ms, on_slow, ...(isNew ? { ready: true } : {}) };
      const key = JSON.stringify(options);
      if (!groups.has(key)) groups.set(key, { options, items: [] });
      groups.get(key).items.push(item);
    }
    if (groups.size > 0) this.#switchOn();
    const written = ({ text, resume }) => (resume ? { topic: text, ...resume } : text);
    let last;
    for (const { options, items } of groups.values()) {
      for (const part of inMessagesOf(message_bytes, items, written)) {
        const id = this.#connection.nextId();
        last = { items: new Map(part.map((item) => [item.text, item])), isNew, lent: [] };
        // Over Server-Sent Events what is there goes on, whatever else is asked for.
        if (!this.#connection.repeats) for (const { entry, text } of part) if (entry.text === text) entry.ask(id);
        this.#asked.set(id, last);
        this.#connection.send({ op: "subscribe", id, topics: part.map(written), ...options });
      }
    }
    if (!last) return;
    // Answers come in the order of the requests: with the last one all have come.
    last.lent = lent;
    for (const topic of lent) this.#lending.set(topic, (this.#lending.get(topic) ?? 0) + 1);
  }

  /** Once per connection, before everything else: the broker tells positions, or that it is one that does not know them. */
  #switchOn() {
    if (this.#switch !== null || this.#connection.repeats) return;
    this.#switch = this.#connection.nextId();
    this.#connection.send({ op: "subscribe", id: this.#switch, topics: [], positions: true });
  }

  /** A name or pattern of a request is answered: whoever waited for that gets what comes from here on. */
  #answered(text, conflate_ms, asked) {
    this.#retries.over(text);
    const item = asked?.items.get(text), entry = item?.entry ?? this.#entries.get(text);
    if (entry.text !== text) this.#entries.lent.add(text);
    else entry.answer(conflate_ms, item?.goesBack);
    for (const subscription of item?.subscribers ?? []) {
      if (entry.text === text) entry.wishes.delete(subscription);
      release(subscription, text);
    }
    // Who joined it while it was asked for has asked for nothing else.
    for (const subscription of entry.subscribers.keys()) if (isHeld(subscription, text, false)) release(subscription, text);
  }

  /** All of a request is answered. Without `ready` that is all that is known of it. */
  #done(id, asked) {
    const { items, isNew } = asked, given = this.#giveBack(asked);
    for (const topic of given) this.#entries.lent.delete(topic);
    this.#unsubscribe(given.filter((topic) => !this.#entries.has(topic)));
    if (isNew) return;
    if (!this.#connection.repeats) return this.ready({ id });
    // Nothing of before can be had here, but what is known; and what begins comes by streams that answer for themselves.
    this.#asked.delete(id);
    for (const { entry, text } of items.values()) {
      entry.wishes.clear();
      for (const subscription of entry.subscribers.keys()) {
        if (!isHeld(subscription, text, true)) continue;
        if (entry.answered) release(subscription, text);
        else hold(subscription, text, false);
        queueMicrotask(() => join(subscription));
      }
    }
  }

  /** The names that were lent for a request, and for no other one that is not answered yet. */
  #giveBack({ lent }) {
    const given = [];
    for (const topic of lent) {
      const others = this.#lending.get(topic) - 1;
      if (others > 0) this.#lending.set(topic, others);
      else if (this.#lending.delete(topic)) given.push(topic);
    }
    return given;
  }

  #unsubscribe(topics) {
    for (const part of inMessagesOf(this.#connection.limits.message_bytes, topics)) {
      const id = this.#connection.nextId(), names = new Set(part), patterns = part.filter(isPattern).map(matcher);
      if (!this.#connection.repeats) this.#leaving.set(id, (topic) => names.has(topic) || patterns.some((matches) => matches(topic)));
      this.#connection.send({ op: "unsubscribe", id, topics: part });
    }
  }

  /** An entry is refused: for now, or for good and it is forgotten. Whoever lacks it is told, once as long as it waits. */
  #refuse(entry, { topic, code, message, retry, retry_ms }) {
    let subscriptions = [...entry.subscribers.keys()];
    if (retry) {
      if (!this.#retries.refused(topic, code, retry_ms)) return;
      // To others it goes on.
      if (entry.answered) subscriptions = subscriptions.filter((subscription) => isHeld(subscription, topic, true));
    } else {
      this.#retries.over(topic);
      this.#entries.delete(topic);
      for (const subscription of subscriptions) release(subscription, topic);
    }
    for (const subscription of subscriptions) deliver(subscription, { op: "error", topic, code, message, retry });
    this.#emit("error", { error: new TickcastError(code, `${topic}: ${message}`, { topic, retry }) });
    if (!retry) for (const subscription of subscriptions) settle(subscription);
  }
}
