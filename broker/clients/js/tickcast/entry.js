/**
 * What a broker is asked for: topics and patterns, several subscriptions' together.
 *
 * @module
 */
import { isPattern, matcher } from "./stream.js";

/** From the least to the most demanding. */
const ON_SLOW = ["conflate", "retain", "disconnect"];
const TOPIC_LENGTH_MAX = 255;
/** What a message has beside its topics, generously. */
const FRAME_BYTES = 512;

/** An entry as a program wrote it: a topic, a pattern, or `{topic, epoch, seq}` to resume from. */
export function parseEntry(entry) {
  const { topic: text, epoch = null, seq } = typeof entry === "object" && entry !== null ? entry : { topic: entry };
  if (typeof text !== "string") throw new TypeError(`a topic is a string, not ${text === null ? null : typeof text}`);
  if (text.length > TOPIC_LENGTH_MAX) throw new TypeError(`a topic is at most ${TOPIC_LENGTH_MAX} bytes: ${text.slice(0, 80)}…`);
  return { text, resume: epoch === null ? null : { epoch, seq } };
}

/** Throws where options have a value that cannot be shared sensibly with those of others. */
export function checkOptions({ from, conflate_ms, on_slow }) {
  if (typeof from === "object" && !(Object.keys(from ?? {}).join() === "last" && Number.isSafeInteger(from.last) && from.last >= 0))
    throw new TypeError(`from is "image", "live" or { last: a whole number }, not ${JSON.stringify(from)}`);
  if (!ON_SLOW.includes(on_slow)) throw new TypeError(`on_slow is one of ${ON_SLOW.join(", ")}, not ${on_slow}`);
  if (!Number.isFinite(conflate_ms) || conflate_ms < 0) throw new TypeError(`conflate_ms is a number of milliseconds, not ${conflate_ms}`);
}

/** Of several options those that give everybody at least what he asked for. */
export function mostDemanding(options) {
  return {
    conflate_ms: Math.min(...options.map(({ conflate_ms }) => conflate_ms)),
    on_slow: ON_SLOW[Math.max(...options.map(({ on_slow }) => ON_SLOW.indexOf(on_slow)))],
  };
}

/** A topic or pattern that the broker is subscribed to, for all the subscriptions that have it. */
export class Entry {
  /** By subscription its options; the most demanding ones are what the broker is asked for. */
  subscribers = new Map();
  conflate_ms = 0;
  on_slow = "conflate";
  /** How it begins. */
  from = "image";
  /** By subscription, of those that it was not asked for yet: `{last, resume}`, what they want of before. */
  wishes = new Map();
  /** The broker has answered: over any connection, and over the present one. */
  begun = false;
  answered = false;
  /** The id of the newest request for it over this connection; and whether all that it asked for has begun. */
  asked = null;
  ready = false;
  /** What was before comes again, as somebody wished it. */
  goesBack = false;
  /** The `conflate_ms` that the broker answered with. */
  interval_ms = 0;
  /** `{id, conflated}`: up to that place in the broker's order we have everything of it. Null where no id stands for it. */
  place = null;
  /** Of a pattern: topics that it had, and that came or will come. */
  matched = 0;

  constructor(text) {
    this.text = text;
    this.pattern = isPattern(text);
    this.matches = matcher(text);
  }

  /** Takes the most demanding of all options. Returns whether that changes anything. */
  combine() {
    const before = `${this.conflate_ms} ${this.on_slow}`;
    Object.assign(this, mostDemanding([...this.subscribers.values()]));
    return before !== `${this.conflate_ms} ${this.on_slow}`;
  }

  /** What is wanted of before, by all together: `{last, resume}`; null where nothing is. */
  get wish() {
    const wishes = [...this.wishes.values()], last = Math.max(0, ...wishes.map((wish) => wish.last));
    const resumes = wishes.map((wish) => wish.resume).filter((resume) => resume !== null);
    resumes.sort((one, other) => one.seq - other.seq);
    return last > 0 || resumes.length > 0 ? { last, resume: resumes[0] ?? null } : null;
  }

  /** It is asked for over this connection. */
  ask(id) {
    [this.asked, this.ready] = [id, false];
  }

  /** The broker has answered a request of it. */
  answer(interval_ms = 0, goesBack = false) {
    [this.begun, this.answered, this.interval_ms, this.goesBack] = [true, true, interval_ms, goesBack];
    // Its streams go back to before the id.
    if (goesBack) this.place = null;
  }

  /** The connection over which it was asked for is left. */
  away() {
    [this.answered, this.asked, this.ready, this.goesBack] = [false, null, false, false];
  }

  /** The place to go on from; null where none would do: what was conflated may lack updates that an id stands for. */
  get resumesFrom() {
    const { place } = this;
    return place === null || (place.conflated && this.conflate_ms === 0) ? null : place.id;
  }
}

/** By text: the entries that the broker is subscribed to, each for all subscriptions that have it. */
export class Entries extends Map {
  #patterns = new Map();
  /** Names that the broker has only until a pattern, which brings them in, takes over their streams. */
  lent = new Set();

  set(text, entry) {
    if (entry.pattern) this.#patterns.set(text, entry);
    return super.set(text, entry);
  }

  delete(text) {
    this.#patterns.delete(text);
    return super.delete(text);
  }

  clear() {
    this.#patterns.clear();
    super.clear();
  }

  /** Of those to which the broker has answered, by text: their `place`. */
  get places() {
    const begun = [...this.values()].filter((entry) => entry.begun);
    return new Map(begun.map((entry) => [entry.text, entry.place]));
  }

  /** The patterns that bring in a topic. */
  patternsOf(topic) {
    const found = [];
    for (const entry of this.#patterns.values()) if (entry.matches(topic)) found.push(entry);
    return found;
  }

  /** Whether what comes of a topic belongs to a request over this connection that was answered and still counts. */
  isAnswered(topic) {
    return this.get(topic)?.answered || this.lent.has(topic) || this.patternsOf(topic).some((entry) => entry.answered);
  }

  /** An id came: it stands for what had been answered. */
  reached(id, texts = this.keys()) {
    for (const text of texts) {
      const entry = this.get(text);
      if (entry?.answered) entry.place = { id, conflated: entry.interval_ms > 0 };
    }
  }

  /** The connection is left. */
  away() {
    this.lent.clear();
    for (const entry of this.values()) entry.away();
  }

  /** A topic ended: the patterns that brought it in have one less. */
  ended(topic) {
    for (const entry of this.patternsOf(topic)) entry.matched -= 1;
  }
}

const encoder = new TextEncoder();
export const utf8Length = (text) => encoder.encode(text).length;

/** Divides a list so that a message with each part is at most so large; an element larger than that is alone. */
export function inMessagesOf(bytes_max, elements, written = (element) => element) {
  const parts = [];
  let bytes = Infinity;
  for (const element of elements) {
    const more = utf8Length(JSON.stringify(written(element))) + 1;
    bytes += more;
    if (bytes > bytes_max) {
      parts.push([]);
      bytes = FRAME_BYTES + more;
    }
    parts.at(-1).push(element);
  }
  return parts;
}
