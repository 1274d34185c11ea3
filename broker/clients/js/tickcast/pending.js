/**
 * What was asked for over the present connection and is not answered yet.
 *
 * @module
 */
import { isPattern, matcher } from "./patterns.js";

export class Pending {
  /**
   * By id: the `subscribe` messages that are not answered, or of which not everything has begun: `{items, isNew,
   * lent}`, with the items by their texts, and the names that are lent until the answer.
   */
  #asked = new Map();
  /** By text: the items among them that go back, because a subscription asked for earlier updates, and were not refused. */
  #goingBack = new Map();
  /** By id: `unsubscribe` messages that are not answered, as functions of a topic: whether they cover it. */
  #leaving = new Map();
  /** By name: for how many unanswered requests it is lent. */
  #lending = new Map();
  /** The id of the request that switches positions on. */
  switch = null;

  /** Adds a `subscribe`. */
  ask(id, items, isNew) {
    const asked = { items: new Map(items.map((item) => [item.text, item])), isNew, lent: [] };
    this.#asked.set(id, asked);
    for (const item of items) if (item.goesBack) this.#goingBack.set(item.text, [...this.goingBack(item.text), item]);
    return asked;
  }

  /** The `subscribe` of an id, if it is pending. */
  asked(id) {
    return this.#asked.get(id);
  }

  /**
   * The items of pending `subscribe` messages with which a text goes back. A later request for it has to go back as well,
   * because it begins the text anew.
   */
  goingBack(text) {
    return this.#goingBack.get(text) ?? [];
  }

  /** Removes a `subscribe`. */
  done(id) {
    const done = this.#asked.get(id)?.items.values() ?? [];
    this.#asked.delete(id);
    for (const item of done) this.staysWhereItIs(item);
  }

  /** Records that a text does not go back for this item any more. */
  staysWhereItIs(item) {
    const { text } = item, others = this.goingBack(text).filter((other) => other !== item);
    if (others.length > 0) this.#goingBack.set(text, others);
    else this.#goingBack.delete(text);
  }

  /** Adds an `unsubscribe` of these topics and patterns. */
  leave(id, texts) {
    const names = new Set(texts), patterns = texts.filter(isPattern).map(matcher);
    this.#leaving.set(id, (topic) => names.has(topic) || patterns.some((matches) => matches(topic)));
  }

  /** Removes an `unsubscribe`. */
  left(id) {
    this.#leaving.delete(id);
  }

  /** Whether the broker may still send a topic because an `unsubscribe` is not answered. */
  isLeaving(topic) {
    return [...this.#leaving.values()].some((covers) => covers(topic));
  }

  /** Lends names until a `subscribe` is answered. */
  lend(asked, names) {
    asked.lent = names;
    for (const name of names) this.#lending.set(name, (this.#lending.get(name) ?? 0) + 1);
  }

  /** Whether a topic's name is lent: the broker sends the topic, whoever still wants it. */
  isLent(topic) {
    return this.#lending.has(topic);
  }

  /** Takes back the names that were lent for a `subscribe`. Returns those that are lent for no other one. */
  takeBack({ lent }) {
    const free = [];
    for (const name of lent) {
      const others = this.#lending.get(name) - 1;
      if (others > 0) this.#lending.set(name, others);
      else if (this.#lending.delete(name)) free.push(name);
    }
    return free;
  }

  /** Forgets everything: there are no more answers over the connection that is left. */
  clear() {
    this.#asked.clear();
    this.#goingBack.clear();
    this.#leaving.clear();
    this.#lending.clear();
    this.switch = null;
  }
}
