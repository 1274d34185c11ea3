/**
 * Plans how entries are asked for, so that no subscription loses an update: from where each resumes. Nothing here does
 * I/O.
 *
 * A name resumes from its last update, or from an id that holds for it. A pattern can resume from an id only. If there
 * is none, its topics resume by their names, as far as the broker's limit leaves room; then the pattern is subscribed;
 * and then the names are unsubscribed again: the pattern covers them, and their streams continue without a break.
 *
 * If a subscription asks for earlier updates of a topic that others follow, the topic goes back for it: to before the
 * others' last update, so that they lose nothing either. What is asked for while that is on its way goes back too,
 * because each request begins its topics anew.
 *
 * @module
 */
import { allOf } from "./entry.js";

/** Larger than any number of retained updates. */
const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
/** For a name without a topic yet: the broker answers a resume from an epoch that never was with everything it has. */
const EPOCH_THAT_NEVER_WAS = { epoch: "none", seq: 0 };

/** A plan for the present entries, streams and limits. */
export class Plan {
  #entries; #topics; #pending; #hasIds;
  /** How many names may be lent. */
  #room;
  /** By text: the items that ask for names, both entries and names that are lent. */
  #names = new Map();
  #lent = [];

  /** `hasIds`: the broker knows the ids of positions. */
  constructor(entries, topics, pending, limits, hasIds) {
    [this.#entries, this.#topics, this.#pending, this.#hasIds] = [entries, topics, pending, hasIds];
    this.#room = Math.max(0, limits.subscriptions - entries.size);
  }

  /**
   * What to ask for: `{ items, lent }`. An item is an entry, the text to subscribe, and how it begins: from its
   * `resume`, or else from the `id` of a position, or else as `from` says. Names come first: a pattern would bring in a
   * topic that is about to resume by its name. `lent` are names to unsubscribe once everything is answered.
   */
  of(entries) {
    const patterns = [], begun = [], fresh = [];
    for (const entry of entries) {
      const item = itemOf(entry, entry.text);
      if (!entry.pattern) this.#names.set(entry.text, this.#name(item));
      else (this.#resumesFromId(item) ? patterns : entry.begun && this.#wish(entry) === null ? begun : fresh).push(item);
    }
    for (const { entry } of [...fresh]) if (this.#wish(entry)?.last > 0) this.#goBack(entry);
    this.#resumeByName(begun, fresh);
    return { items: [...this.#names.values(), ...patterns, ...begun, ...fresh], lent: this.#lent };
  }

  /** The earlier updates of an entry that are wanted: `{last, resume}`, or null. */
  #wish({ text, wishes }) {
    return allOf([...wishes.values(), ...this.#onTheirWay(text)]);
  }

  /** The earlier updates of a name or pattern that were asked for and that may not have come yet, as wishes. */
  #onTheirWay(text) {
    const counts = ({ entry }) => this.#entries.get(entry.text) === entry;
    return this.#pending.goingBack(text).filter(counts).map(({ from, resume }) => ({ last: from.last ?? 0, resume }));
  }

  #name(item) {
    const { entry } = item, stream = this.#topics.get(entry.text), position = stream?.position ?? null, wish = this.#wish(entry);
    if (wish !== null) return Object.assign(item, before(wish, stream));
    if (!entry.begun) {
      // If a pattern has brought it in already, it resumes where it is, unless it lacks the image that is wanted.
      const resumes = stream !== undefined && (stream.kind === "event" || stream.state !== undefined);
      return Object.assign(item, { resume: resumes ? position : null });
    }
    const id = this.#hasIds ? entry.resumesFrom : null;
    return Object.assign(item, id ? { id } : { resume: position ?? (stream?.waits ? EPOCH_THAT_NEVER_WAS : null) });
  }

  /** Whether a pattern resumes from an id. If it does not and earlier updates are wanted, the item asks for them. */
  #resumesFromId(item) {
    const { entry } = item, wish = this.#wish(entry);
    if (wish !== null) {
      Object.assign(item, wish.resume ? { resume: wish.resume } : { from: { last: wish.last }, goesBack: true });
      return false;
    }
    item.id = entry.begun && this.#hasIds ? entry.resumesFrom : null;
    return item.id !== null;
  }

  /** Asks for the last updates of a pattern's topics: of those that come already, by their names. */
  #goBack(entry) {
    const wish = this.#wish(entry);
    for (const stream of this.#topics.streams) {
      const { topic } = stream;
      if (!entry.matches(topic) || stream.waits) continue;
      const named = this.#entries.get(topic), how = before(allOf([wish, ...this.#onTheirWay(topic)]), stream);
      if (named && !this.#names.has(topic)) this.#names.set(topic, itemOf(named, topic));
      const item = this.#names.get(topic);
      if (item) earlier(item, how, entry.subscribers.keys());
      else this.#lend(entry, stream, how);
    }
  }

  /** Lets the topics of patterns without an id resume by their names; of new patterns, only events. */
  #resumeByName(begun, fresh) {
    if (begun.length === 0 && fresh.length === 0) return;
    const found = [];
    for (const stream of this.#topics.streams) {
      const { topic, position, kind } = stream;
      if (position === null || this.#entries.has(topic) || this.#names.has(topic)) continue;
      const covering = ({ entry }) => entry.matches(topic);
      const by = begun.find(covering) ?? (kind === "event" ? fresh.find(covering) : undefined), wish = allOf(this.#onTheirWay(topic));
      if (by) found.push({ stream, entry: by.entry, how: wish === null ? { resume: position } : before(wish, stream) });
    }
    // Events first: the others begin with an image, which contains everything.
    found.sort((one, other) => (other.stream.kind === "event") - (one.stream.kind === "event"));
    const missing = found.filter(({ stream, entry, how }) => !this.#lend(entry, stream, how) && entry.begun);
    // What cannot resume begins anew. Until then its state is unknown, because it may have ended in the meantime.
    for (const { stream } of missing) if (stream.kind !== "event") stream.state = undefined;
    for (const item of begun) {
      // A topic that a pattern finds for the first time now is a new one, and all of it belongs to the subscription.
      // That is only certain if the pattern had brought in all of its topics before, and all of those resume.
      const known = this.#topics.streams.filter(({ topic }) => item.entry.matches(topic)).length;
      item.from = missing.length === 0 && known >= item.entry.matched ? EVERYTHING : item.entry.from;
    }
  }

  /** Lends a name to a pattern, to begin as `how` says. Returns whether there was room. */
  #lend(entry, { topic }, how) {
    if (this.#room === 0) return false;
    this.#room -= 1;
    this.#lent.push(topic);
    this.#names.set(topic, Object.assign(itemOf(entry, topic), how));
    return true;
  }
}

const itemOf = (entry, text) =>
  ({ entry, text, resume: null, id: null, from: entry.text === text ? entry.from : "image", goesBack: false, subscribers: [...entry.subscribers.keys()] });

/** Combines two ways of asking for a name, so that the updates wanted by either come. */
function earlier(item, how, subscribers) {
  item.subscribers.push(...subscribers);
  if (item.goesBack && item.resume?.epoch === how.resume?.epoch) {
    if (how.resume) how.resume.seq = Math.min(how.resume.seq, item.resume.seq);
    else how.from.last = Math.max(how.from.last, item.from.last);
  }
  Object.assign(item, { resume: null, id: null }, how);
}

/** How to ask for a name of which earlier updates are wanted: for events that others follow, not after their last update. */
function before({ last, resume }, stream) {
  const position = stream?.position ?? null;
  if (stream?.kind !== "event" || position === null || (resume !== null && resume.epoch !== position.epoch))
    return resume === null ? { from: { last }, goesBack: true } : { resume, goesBack: true };
  const seq = Math.min(position.seq, resume?.seq ?? Infinity, last > 0 ? position.seq - last : Infinity);
  return { resume: { epoch: position.epoch, seq: Math.max(0, seq) }, goesBack: true };
}
