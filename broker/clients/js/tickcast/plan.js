/**
 * How entries are asked for, so that nobody loses what he has: from where each goes on. Nothing here does I/O.
 *
 * A name goes on from the update that came last, or from an id that stands for it. A pattern can go on from an id only.
 * Where there is none, its topics are resumed by their names, as far as the broker's limit leaves room, then the pattern is
 * subscribed, and then the names are given up again: the pattern covers them, and their streams go on without a break.
 *
 * Where somebody wants something of before, of what others follow, a topic goes back for him: to before the place of the
 * others, so that they lose nothing either.
 *
 * @module
 */

/** Larger than any number of retained updates. */
const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
/** Of a name that was waited for: the broker answers a resume from an epoch that never was with all it has. */
const BEFORE_ALL = { epoch: "none", seq: 0 };

/** What to ask for, of entries, streams and limits as they are now. */
export class Plan {
  #entries; #topics; #hasIds;
  /** Names that may be lent. */
  #room;
  /** By text: items to ask for by their names, those of entries and those that are lent. */
  #names = new Map();
  #lent = [];

  /** `hasIds`: the broker takes the id of a place to go on from. */
  constructor(entries, topics, limits, hasIds) {
    [this.#entries, this.#topics, this.#hasIds] = [entries, topics, hasIds];
    this.#room = Math.max(0, limits.subscriptions - entries.size);
  }

  /**
   * What to ask for: `{ items, lent }`. An item is an entry, the text to subscribe, and how it begins: from its `resume`, or
   * else from the `id` of a place, or else as `from` says. They are in order: patterns would bring in what is about to be
   * resumed by its name. `lent` are names to be given up when all are answered.
   */
  of(entries) {
    const patterns = [], begun = [], fresh = [];
    for (const entry of entries) {
      const item = itemOf(entry, entry.text);
      if (!entry.pattern) this.#names.set(entry.text, this.#name(item));
      else (this.#hasPlace(item) ? patterns : entry.begun && entry.wish === null ? begun : fresh).push(item);
    }
    for (const { entry } of [...fresh]) if (entry.wish?.last > 0) this.#goBack(entry);
    this.#goOn(begun, fresh);
    return { items: [...this.#names.values(), ...patterns, ...begun, ...fresh], lent: this.#lent };
  }

  #name(item) {
    const { entry } = item, stream = this.#topics.get(entry.text), position = stream?.position ?? null, { wish } = entry;
    if (wish !== null) return Object.assign(item, before(wish, stream));
    if (!entry.begun) {
      // A pattern has brought it in already: it goes on where it is, unless it lacks the image that is wanted.
      const goesOn = stream !== undefined && (stream.kind === "event" || stream.state !== undefined);
      return Object.assign(item, { resume: goesOn ? position : null });
    }
    const id = this.#hasIds ? entry.resumesFrom : null;
    return Object.assign(item, id ? { id } : { resume: position ?? (stream?.waits ? BEFORE_ALL : null) });
  }

  /** Of a pattern: whether it goes on from a place. What is wanted of before is said. */
  #hasPlace(item) {
    const { entry } = item, { wish } = entry;
    if (wish !== null) {
      Object.assign(item, wish.resume ? { resume: wish.resume } : { from: { last: wish.last }, goesBack: true });
      return false;
    }
    item.id = entry.begun && this.#hasIds ? entry.resumesFrom : null;
    return item.id !== null;
  }

  /** The last updates are wanted of what a pattern covers: of topics that come in already, by their names. */
  #goBack(entry) {
    for (const stream of this.#topics.streams) {
      const { topic } = stream;
      if (!entry.matches(topic) || stream.waits) continue;
      const named = this.#entries.get(topic), how = before(entry.wish, stream);
      if (named && !this.#names.has(topic)) this.#names.set(topic, itemOf(named, topic));
      const item = this.#names.get(topic);
      if (item) earlier(item, how, entry.subscribers.keys());
      else this.#lend(entry, stream, how);
    }
  }

  /** Patterns that have no place: topics that they bring in go on by their names, of new patterns the events. */
  #goOn(begun, fresh) {
    if (begun.length === 0 && fresh.length === 0) return;
    const found = [];
    for (const stream of this.#topics.streams) {
      const { topic, position, kind } = stream;
      if (position === null || this.#entries.has(topic) || this.#names.has(topic)) continue;
      const covering = ({ entry }) => entry.matches(topic);
      const by = begun.find(covering) ?? (kind === "event" ? fresh.find(covering) : undefined);
      if (by) found.push({ stream, entry: by.entry });
    }
    // Events first: of the others the image says everything.
    found.sort((one, other) => (other.stream.kind === "event") - (one.stream.kind === "event"));
    const missing = found.filter(({ stream, entry }) => !this.#lend(entry, stream, { resume: stream.position }) && entry.begun);
    // What cannot be resumed begins anew. Until then its state is unknown, as it may have ended meanwhile.
    for (const { stream } of missing) if (stream.kind !== "event") stream.state = undefined;
    for (const item of begun) {
      // A topic that a pattern finds for the first time now is a new one, and all of it belongs to the subscription; but
      // only if it had brought in all of its topics before, and all of those are resumed.
      const known = this.#topics.streams.filter(({ topic }) => item.entry.matches(topic)).length;
      item.from = missing.length === 0 && known >= item.entry.matched ? EVERYTHING : item.entry.from;
    }
  }

  /** Lends a name to a pattern, to begin in some way. Returns whether there was room. */
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

/** A name is asked for in one of two ways: so that what is wanted by either comes. */
function earlier(item, how, subscribers) {
  item.subscribers.push(...subscribers);
  if (item.goesBack && item.resume?.epoch === how.resume?.epoch) {
    if (how.resume) how.resume.seq = Math.min(how.resume.seq, item.resume.seq);
    else how.from.last = Math.max(how.from.last, item.from.last);
  }
  Object.assign(item, { resume: null, id: null }, how);
}

/** How a name is asked for of which something of before is wanted: for events that others follow not after their place. */
function before({ last, resume }, stream) {
  const position = stream?.position ?? null;
  if (stream?.kind !== "event" || position === null || (resume !== null && resume.epoch !== position.epoch))
    return resume === null ? { from: { last }, goesBack: true } : { resume, goesBack: true };
  const seq = Math.min(position.seq, resume?.seq ?? Infinity, last > 0 ? position.seq - last : Infinity);
  return { resume: { epoch: position.epoch, seq: Math.max(0, seq) }, goesBack: true };
}
