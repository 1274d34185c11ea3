/**
 * Asks the broker for what the program's subscriptions want: once, and again on every connection. answers.js
 * handles the answers.
 *
 * What comes before the answer to a request belongs to the requests before it. So an entry counts from its own answer
 * on, and a subscription that asks for earlier updates gets nothing of it until then.
 *
 * @module
 */
import { Entry } from "./entry.js";
import { TickcastError } from "./error.js";
import { inMessagesOf, subscribeMessages } from "./messages.js";
import { Pending } from "./pending.js";
import { Plan } from "./plan.js";
import { Retries } from "./retries.js";
import { deliver, hold, isHeld, release, settle } from "./subscription.js";

/** Keeps the broker's subscriptions in line with the program's. */
export class Asking {
  #connection; #entries; #topics; #emit;
  /** What is not answered yet. */
  pending = new Pending();
  /** What was refused over this connection, and is asked for again. */
  retries;
  /** Whether the broker knows `positions`, `resume` and `ready`. Older brokers refuse requests with these fields. */
  isNew = true;

  /** `emit(type, fields)` dispatches the client's events. */
  constructor(connection, entries, topics, options, emit) {
    [this.#connection, this.#entries, this.#topics, this.#emit] = [connection, entries, topics, emit];
    this.retries = new Retries(options, (texts) => this.#askAgain(texts));
  }

  /** Begins a subscription to these entries, as `parseEntry` returned them. */
  join(subscription, wanted, options) {
    const asked = [];
    for (const { text, resume } of wanted) {
      // A stream that runs already is joined where it is, unless this subscription asks for earlier updates.
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
    if (this.#connection.isOpen) this.askFor(asked);
  }

  /** Ends a subscription. */
  leave(subscription) {
    const given = [], changed = [];
    for (const text of subscription.entries) {
      const entry = this.#entries.get(text);
      if (!entry?.subscribers.delete(subscription)) continue;
      entry.wishes.delete(subscription);
      if (entry.subscribers.size === 0) {
        this.#entries.delete(text);
        const isRefused = this.retries.over(text) && !entry.answered;
        if (!isRefused) given.push(text);
      } else if (entry.combine()) {
        changed.push(entry);
      }
    }
    this.#topics.leave(subscription);
    if (!this.#connection.isOpen) return;
    this.unsubscribe(given);
    this.askFor(changed);
  }

  /** Records that the connection is left: what was asked for over it gets no answer. */
  away() {
    this.pending.clear();
    this.retries.away();
    this.#entries.away();
  }

  /** Asks, on a new connection, for everything from where it was. */
  restore() {
    this.askFor([...this.#entries.values()]);
  }

  /** Asks anew for one topic, which a name or a pattern has brought in: from a position, or from its image. */
  again(topic, resume) {
    const named = this.#entries.get(topic), entry = named ?? this.#entries.patternsOf(topic)[0];
    if (entry) this.#ask([{ entry, text: topic, resume, id: null, from: "image", goesBack: false, subscribers: [] }], named ? [] : [topic]);
  }

  /** Whether everything a subscription wants has begun: true, false, or null if nothing of it is left. */
  isReady(subscription) {
    const entries = subscription.entries.map((text) => this.#entries.get(text)).filter((entry) => entry?.subscribers.has(subscription));
    return entries.length === 0 ? null : entries.every((entry) => entry.ready && !entry.wishes.has(subscription));
  }

  /** Plans requests for entries, and sends them. */
  askFor(entries) {
    if (entries.length === 0) return;
    if (this.#connection.repeats) return this.#ask(entries.map((entry) => ({ entry, text: entry.text, subscribers: [] })));
    const plan = new Plan(this.#entries, this.#topics, this.pending, this.#connection.limits, this.isNew);
    const { items, lent } = plan.of(entries);
    this.#ask(items, lent);
  }

  /** Unsubscribes topics and patterns. */
  unsubscribe(texts) {
    for (const part of inMessagesOf(this.#connection.limits.message_bytes, texts)) {
      const id = this.#connection.nextId();
      if (!this.#connection.repeats) this.pending.leave(id, part);
      this.#connection.send({ op: "unsubscribe", id, topics: part });
    }
  }

  /**
   * Handles the refusal of an entry: for now, or for good, and then it is forgotten. Its subscriptions are notified,
   * once as long as it waits.
   */
  refuse(entry, { topic, code, message, retry, retry_ms }) {
    let subscriptions = [...entry.subscribers.keys()];
    if (retry) {
      if (!this.retries.refused(topic, code, retry_ms)) return;
      // For subscriptions that ask for nothing earlier, it continues.
      if (entry.answered) subscriptions = subscriptions.filter((subscription) => isHeld(subscription, topic, true));
    } else {
      this.retries.over(topic);
      this.#entries.delete(topic);
      for (const subscription of subscriptions) release(subscription, topic);
      this.#topics.uncovered(entry, code === "forbidden");
    }
    for (const subscription of subscriptions) deliver(subscription, { op: "error", topic, code, message, retry });
    this.#emit("error", { error: new TickcastError(code, `${topic}: ${message}`, { topic, retry }) });
    if (!retry) for (const subscription of subscriptions) settle(subscription);
  }

  /** Asks again for what was refused. */
  #askAgain(texts) {
    this.askFor(texts.map((text) => this.#entries.get(text)).filter((entry) => entry !== undefined));
    for (const text of texts) {
      const stream = this.#entries.has(text) ? undefined : this.#topics.get(text);
      if (stream?.resyncing) this.again(text, stream.kind === "event" ? stream.position : null);
    }
  }

  /**
   * Sends `subscribe` for items `{entry, text, resume, id, from, goesBack}`. The names in `lent` are unsubscribed again
   * after the last answer.
   */
  #ask(items, lent = []) {
    const { message_bytes, subscriptions } = this.#connection.limits, { repeats } = this.#connection;
    const isNew = this.isNew && !repeats;
    const allowed = items.filter(({ entry, text }) => {
      this.retries.asked(text);
      if (entry.begun || this.#entries.size - this.retries.size <= subscriptions) return true;
      const message = `the broker accepts at most ${subscriptions} topics and patterns per connection`;
      this.refuse(entry, { topic: text, code: "limit", message, retry: true });
      return false;
    });
    const messages = subscribeMessages(message_bytes, allowed, isNew);
    if (messages.length === 0) return;
    this.#switchOn();
    let last;
    for (const { items, fields } of messages) {
      const id = this.#connection.nextId();
      // Over Server-Sent Events, existing streams continue whatever else is asked for.
      if (!repeats) for (const { entry, text } of items) if (entry.text === text) entry.ask(id);
      last = this.pending.ask(id, items, isNew);
      this.#connection.send({ op: "subscribe", id, ...fields });
    }
    // Answers come in the order of the requests: with the last one, all have come.
    this.pending.lend(last, lent);
  }

  /** Switches positions on, once per connection and before everything else. The answer shows whether the broker knows them. */
  #switchOn() {
    if (this.pending.switch !== null || this.#connection.repeats) return;
    this.pending.switch = this.#connection.nextId();
    this.#connection.send({ op: "subscribe", id: this.pending.switch, topics: [], positions: true });
  }
}
