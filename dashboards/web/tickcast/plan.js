/**
 * How entries are asked for, so that nobody loses what he has: from where each goes on. Nothing here does I/O.
 *
 * A name goes on from the update that came last, or from an id that stands for it. A pattern can go on from an id only.
 * Where there is none, its topics are resumed by their names, as far as the broker's limit leaves room, then the pattern is
 * subscribed, and then the names are given up again: the pattern covers them, and their streams go on without a break.
 *
 * @module
 */

/** Larger than any number of retained updates. */
const EVERYTHING = { last: Number.MAX_SAFE_INTEGER };
/** Of a name that was waited for: the broker answers a resume from an epoch that never was with all it has. */
const BEFORE_ALL = { epoch: "none", seq: 0 };
/**
 * Where somebody wants the last updates of what others follow, at least so many are asked for: what is on its way to the
 * others is dropped by the broker, and comes again with these.
 */
const SHARED_LAST_MIN = 64;

/** What to ask for, of entries, streams and limits as they are now. */
export class Plan {
  #entries; #topics; #limits; #hasIds;

  /** `hasIds`: the broker takes the id of a place to go on from. */
  constructor(entries, topics, limits, hasIds) {
    [this.#entries, this.#topics, this.#limits, this.#hasIds] = [entries, topics, limits, hasIds];
  }

  /**
   * What to ask for: `{ items, lent }`. An item is an entry, the text to subscribe, and how it begins: from its `resume`, or
   * else from the `id` of a place, or else as `from` says. They are in order: patterns would bring in what is about to be
   * resumed by its name. `lent` are names to be given up when all are answered.
   */
  of(entries) {
    const names = [], patterns = [], begun = [], fresh = [];
    for (const entry of entries) {
      const item = { entry, text: entry.text, resume: null, id: null, from: entry.from, goesBack: false, subscribers: [...entry.subscribers.keys()] };
      if (!entry.pattern) names.push(this.#name(item));
      else if (this.#pattern(item) !== null) patterns.push(item);
      else (entry.begun ? begun : fresh).push(item);
    }
    const { lent, missing } = this.#lend(begun, fresh);
    for (const item of begun) {
      // A topic that a pattern finds for the first time now is a new one, and all of it belongs to the subscription; but
      // only if it had brought in all of its topics before, and all of those are resumed.
      const known = this.#topics.streams.filter(({ topic }) => item.entry.matches(topic)).length;
      item.from = missing.length === 0 && known >= item.entry.matched ? EVERYTHING : item.entry.from;
    }
    // What cannot be resumed begins anew. Until then its state is unknown, as it may have ended meanwhile.
    for (const stream of missing) if (stream.kind !== "event") stream.state = undefined;
    return { items: [...names, ...lent, ...patterns, ...begun, ...fresh], lent: lent.map(({ text }) => text) };
  }

  #name(item) {
    const { entry } = item, stream = this.#topics.get(entry.text), position = stream?.position ?? null, { wish } = entry;
    if (wish !== null) return Object.assign(item, before(wish, stream, position));
    if (!entry.begun) {
      // A pattern has brought it in already: it goes on where it is, unless it lacks the image that is wanted.
      const goesOn = stream !== undefined && (stream.kind === "event" || stream.state !== undefined);
      return Object.assign(item, { resume: goesOn ? position : null });
    }
    const id = this.#hasIds ? entry.resumesFrom : null;
    return Object.assign(item, id ? { id } : { resume: position ?? (stream?.waits ? BEFORE_ALL : null) });
  }

  /** A pattern that needs no names: it goes on from an id, or what was before is wanted. Others are null. */
  #pattern(item) {
    const { entry } = item, { wish } = entry;
    if (wish?.resume) return Object.assign(item, { resume: wish.resume });
    if (wish !== null) {
      const isShared = entry.begun || this.#topics.streams.some(({ topic }) => entry.matches(topic));
      return Object.assign(item, { from: { last: isShared ? Math.max(wish.last, SHARED_LAST_MIN) : wish.last }, goesBack: true });
    }
    const id = entry.begun && this.#hasIds ? entry.resumesFrom : null;
    return id === null ? null : Object.assign(item, { id });
  }

  /** Names that are resumed in place of patterns: of those that had begun all of their topics, of others the events. */
  #lend(begun, fresh) {
    if (begun.length === 0 && fresh.length === 0) return { lent: [], missing: [] };
    const found = [];
    for (const stream of this.#topics.streams) {
      const { topic, position, kind } = stream;
      if (position === null || this.#entries.has(topic)) continue;
      const covering = ({ entry }) => entry.matches(topic);
      const by = begun.find(covering) ?? (kind === "event" ? fresh.find(covering) : undefined);
      if (by) found.push({ stream, entry: by.entry });
    }
    // Events first: of the others the image says everything.
    found.sort((one, other) => (other.stream.kind === "event") - (one.stream.kind === "event"));
    const room = Math.max(0, this.#limits.subscriptions - this.#entries.size);
    const lent = found.splice(0, room).map(({ stream: { topic, position }, entry }) =>
      ({ entry, text: topic, resume: position, id: null, from: "image", goesBack: false, subscribers: [] }));
    return { lent, missing: found.filter(({ entry }) => entry.begun).map(({ stream }) => stream) };
  }
}

/** How a name is asked for of which something of before is wanted: for events that others follow not after their place. */
function before({ last, resume }, stream, position) {
  if (stream?.kind !== "event" || position === null || (resume !== null && resume.epoch !== position.epoch))
    return resume === null ? { from: { last }, goesBack: true } : { resume, goesBack: true };
  const seq = Math.min(position.seq, resume?.seq ?? Infinity, last > 0 ? position.seq - last : Infinity);
  return { resume: { epoch: position.epoch, seq: Math.max(0, seq) }, goesBack: true };
}
