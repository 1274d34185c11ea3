/**
 * The topics and patterns that the broker is asked for, each for all subscriptions that have it.
 *
 * @module
 */
import { isPattern, matcher } from "./patterns.js";

/** From the least to the most demanding. */
const ON_SLOW = ["conflate", "retain", "disconnect"];
const TOPIC_LENGTH_MAX = 255;

/** Parses an entry as a program wrote it: a topic, a pattern, or `{topic, epoch, seq}` to resume from. */
export function parseEntry(entry) {
  const { topic: text, epoch = null, seq } = typeof entry === "object" && entry !== null ? entry : { topic: entry };
  if (typeof text !== "string") throw new TypeError(`a topic must be a string, not ${text === null ? null : typeof text}`);
  if (text.length > TOPIC_LENGTH_MAX) throw new TypeError(`a topic has at most ${TOPIC_LENGTH_MAX} bytes: ${text.slice(0, 80)}…`);
  return { text, resume: epoch === null ? null : { epoch, seq } };
}

/** Throws if an option has an invalid value. */
export function checkOptions({ from, conflate_ms, on_slow }) {
  if (typeof from === "object" && !(Object.keys(from ?? {}).join() === "last" && Number.isSafeInteger(from.last) && from.last >= 0))
    throw new TypeError(`from must be "image", "live" or { last: a whole number }, not ${JSON.stringify(from)}`);
  if (!ON_SLOW.includes(on_slow)) throw new TypeError(`on_slow must be one of ${ON_SLOW.join(", ")}, not ${on_slow}`);
  if (!Number.isFinite(conflate_ms) || conflate_ms < 0) throw new TypeError(`conflate_ms must be a number of milliseconds, not ${conflate_ms}`);
}

/** Combines options so that every subscription gets at least what it asked for. */
export function mostDemanding(options) {
  return {
    conflate_ms: Math.min(...options.map(({ conflate_ms }) => conflate_ms)),
    on_slow: ON_SLOW[Math.max(...options.map(({ on_slow }) => ON_SLOW.indexOf(on_slow)))],
  };
}

/** Combines wishes, `{last, resume}` each, so that all of the earlier updates come: one wish, or null. */
export function allOf(wishes) {
  const last = Math.max(0, ...wishes.map((wish) => wish.last));
  const resumes = wishes.map((wish) => wish.resume).filter((resume) => resume !== null);
  resumes.sort((one, other) => one.seq - other.seq);
  return last > 0 || resumes.length > 0 ? { last, resume: resumes[0] ?? null } : null;
}

/** A topic or pattern that the broker is subscribed to, for all the subscriptions that have it. */
export class Entry {
  /** By subscription, its options. The broker is asked for the most demanding ones. */
  subscribers = new Map();
  conflate_ms = 0;
  on_slow = "conflate";
  /** How its topics begin. */
  from = "image";
  /** By subscription: `{last, resume}`, the earlier updates that it asks for and that were not requested yet. */
  wishes = new Map();
  /** The broker has answered: over any connection, and over the present one. */
  begun = false;
  answered = false;
  /** The id of the newest request for it over this connection, and whether everything that it asked for has begun. */
  asked = null;
  ready = false;
  /** Earlier updates come again, because a subscription asked for them. */
  goesBack = false;
  /** The `conflate_ms` that the broker answered with. */
  interval_ms = 0;
  /** `{id, conflated}`: the client has everything of it up to the position with that id. Null if no id holds for it. */
  resumePoint = null;
  /** Of a pattern: the number of topics that it matched and that came or will come. */
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

  /** Records that it is asked for over this connection. */
  ask(id) {
    [this.asked, this.ready] = [id, false];
  }

  /** Records that the broker has answered a request for it. */
  answer(interval_ms = 0, goesBack = false) {
    [this.begun, this.answered, this.interval_ms, this.goesBack] = [true, true, interval_ms, goesBack];
    // Its streams go back to before the id.
    if (goesBack) this.resumePoint = null;
  }

  /** Records that the connection over which it was asked for is left. */
  away() {
    [this.answered, this.asked, this.ready, this.goesBack] = [false, null, false, false];
  }

  /** The id to resume from, or null. An entry that was conflated and no longer is has none: it may lack updates before the id. */
  get resumesFrom() {
    const { resumePoint } = this;
    return resumePoint === null || (resumePoint.conflated && this.conflate_ms === 0) ? null : resumePoint.id;
  }
}

/** By text: the entries that the client is subscribed to at the broker, each for all subscriptions that have it. */
export class Entries extends Map {
  #patterns = new Map();
  /** Names that are subscribed only until a pattern that covers them takes over their streams. */
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

  /** By text: the `resumePoint` of each entry that the broker has answered. */
  get resumePoints() {
    const begun = [...this.values()].filter((entry) => entry.begun);
    return new Map(begun.map((entry) => [entry.text, entry.resumePoint]));
  }

  /** The patterns that cover a topic. */
  patternsOf(topic) {
    const found = [];
    for (const entry of this.#patterns.values()) if (entry.matches(topic)) found.push(entry);
    return found;
  }

  /** Whether a topic's messages belong to a request over this connection that was answered and still counts. */
  isAnswered(topic) {
    return this.get(topic)?.answered || this.lent.has(topic) || this.patternsOf(topic).some((entry) => entry.answered);
  }

  /** Records a position's id. It holds for what has been answered. */
  reached(id, texts = this.keys()) {
    for (const text of texts) {
      const entry = this.get(text);
      if (entry?.answered) entry.resumePoint = { id, conflated: entry.interval_ms > 0 };
    }
  }

  /** Records that a topic goes back, to before the ids of what covers it. */
  goesBack(topic) {
    for (const entry of [this.get(topic), ...this.patternsOf(topic)]) if (entry) entry.resumePoint = null;
  }

  /** Records that the connection is left. */
  away() {
    this.lent.clear();
    for (const entry of this.values()) entry.away();
  }

  /** Records that a topic ended: the patterns that cover it have one less. */
  ended(topic) {
    for (const entry of this.patternsOf(topic)) entry.matched -= 1;
  }
}
