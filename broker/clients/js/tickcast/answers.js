/**
 * Handles the broker's answers to what asking.js asked for.
 *
 * @module
 */
import { hold, isHeld, join, release, settle } from "./subscription.js";

export class Answers {
  #connection; #entries; #topics; #asking;

  constructor(connection, entries, topics, asking) {
    [this.#connection, this.#entries, this.#topics, this.#asking] = [connection, entries, topics, asking];
  }

  get #pending() { return this.#asking.pending; }

  /** The answer to a `subscribe`; over Server-Sent Events also the beginning of a stream, which answers no request. */
  subscribed({ id, topics = [], patterns = [], errors = [] }) {
    const asked = this.#pending.asked(id);
    if (id === this.#pending.switch) this.#asking.isNew = true;
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
    const isLeaving = (topic) => this.#pending.isLeaving(topic);
    if (asked) this.#topics.expect(ours.map(({ pattern }) => this.#entries.get(pattern)), isLeaving);
    for (const row of topics) {
      this.#topics.begin(row, asked?.items.get(row.topic) ?? null, true);
      // After too many breaches among them the connection was given up, and the other rows do not hold any more.
      if (!this.#connection.isOpen) return;
    }
    for (const row of errors) {
      const entry = this.#entries.get(row.topic), item = asked?.items.get(row.topic);
      if (item) this.#pending.staysWhereItIs(item);
      // An entry that was left and joined again in the meantime has an answer of its own to come.
      if (entry && entry === (item?.entry ?? entry)) this.#asking.refuse(entry, row);
      // A topic that a pattern brought in and that was to begin anew: no entry asks for it.
      else if (!entry && row.retry && this.#topics.get(row.topic)?.resyncing) this.#asking.retries.refused(row.topic, row.code, row.retry_ms);
    }
    if (asked) this.#done(id, asked);
  }

  /** The answer to an `unsubscribe`. */
  unsubscribed({ id }) {
    this.#pending.left(id);
  }

  /** Everything that a request asked for has begun; over Server-Sent Events, everything of these entries. */
  ready({ id, entries }) {
    const asked = this.#pending.asked(id);
    const isDone = (entry) => entry !== undefined && entry.answered && (asked ? entry.asked === id : true);
    const done = (entries ?? [...(asked?.items.keys() ?? [])]).map((text) => this.#entries.get(text)).filter(isDone);
    this.#pending.done(id);
    for (const entry of done) [entry.ready, entry.goesBack] = [true, false];
    if (asked?.isNew) this.#topics.settle(done.filter((entry) => entry.pattern));
    for (const subscription of new Set(done.flatMap((entry) => [...entry.subscribers.keys()]))) settle(subscription);
  }

  /** A position's id: everything answered so far has been delivered up to there; over Server-Sent Events, of these entries. */
  reached(id, texts = undefined) {
    // While a topic begins anew, the client does not have everything of it.
    if (!this.#topics.areMending) this.#entries.reached(id, texts);
  }

  /** An error that answers a `subscribe`, and so concerns all of its entries. Returns whether it was one. */
  refused({ id, code, message, retry, retry_ms }) {
    if (id === this.#pending.switch) {
      this.#asking.isNew = false;
      return true;
    }
    const asked = this.#pending.asked(id);
    if (!asked) return false;
    if (asked.isNew && !this.#asking.isNew) {
      // It was refused for fields that this broker does not know, so it is asked without them. Names are lent anew.
      this.#pending.done(id);
      this.#topics.freed(this.#pending.takeBack(asked));
      const own = [...asked.items.values()].filter(({ entry, text }) => entry.text === text && this.#entries.get(text) === entry);
      this.#asking.askFor(own.map(({ entry }) => entry));
    } else {
      this.subscribed({ id, errors: [...asked.items.keys()].map((topic) => ({ topic, code, message, retry, retry_ms })) });
      // No `ready` follows.
      this.#pending.done(id);
    }
    return true;
  }

  /**
   * Something that was subscribed is not allowed any more: an entry, or a topic that a pattern has brought in, which stays
   * an entry. Nothing follows of it. Returns whether it was that.
   */
  revoked({ topic, pattern, code, message, retry = false }) {
    const text = topic ?? pattern, entry = this.#entries.get(text);
    if (text === undefined) return false;
    if (entry) this.#asking.refuse(entry, { topic: text, code, message, retry });
    else this.#topics.forbid(text, { op: "error", topic: text, code, message, retry });
    return true;
  }

  /** Records that a name or pattern of a request is answered: subscriptions that waited for that get what comes from here on. */
  #answered(text, conflate_ms, asked) {
    this.#asking.retries.over(text);
    const item = asked?.items.get(text), entry = item?.entry ?? this.#entries.get(text);
    if (entry.text !== text) this.#entries.lent.add(text);
    else entry.answer(conflate_ms, item?.goesBack);
    for (const subscription of item?.subscribers ?? []) {
      if (entry.text === text) entry.wishes.delete(subscription);
      release(subscription, text);
    }
    // Subscriptions that joined while the request was on its way asked for nothing else.
    for (const subscription of entry.subscribers.keys()) if (isHeld(subscription, text, false)) release(subscription, text);
  }

  /** Records that all of a request is answered. Without `ready`, nothing else shows that everything has begun. */
  #done(id, asked) {
    const { items, isNew } = asked, free = this.#pending.takeBack(asked);
    for (const topic of free) this.#entries.lent.delete(topic);
    this.#asking.unsubscribe(free.filter((topic) => !this.#entries.has(topic)));
    this.#topics.freed(free);
    if (isNew) return;
    if (!this.#connection.repeats) return this.ready({ id });
    // Over Server-Sent Events nothing earlier can be had than what is known, and streams answer for what they begin.
    this.#pending.done(id);
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
}
