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
export function checkOptions({ conflate_ms, on_slow }) {
  if (!ON_SLOW.includes(on_slow)) throw new TypeError(`on_slow is one of ${ON_SLOW.join(", ")}, not ${on_slow}`);
  if (!Number.isFinite(conflate_ms) || conflate_ms < 0) throw new TypeError(`conflate_ms is a number of milliseconds, not ${conflate_ms}`);
}

/** A topic or pattern that the broker is subscribed to, for all the subscriptions that have it. */
export class Entry {
  /** By subscription its options; the most demanding ones are what the broker is asked for. */
  subscribers = new Map();
  conflate_ms = 0;
  on_slow = "conflate";
  /** How it begins, until the broker has answered. */
  from = "image";
  resume = null;
  begun = false;
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
    const all = [...this.subscribers.values()];
    this.conflate_ms = Math.min(...all.map((options) => options.conflate_ms));
    this.on_slow = ON_SLOW[Math.max(...all.map((options) => ON_SLOW.indexOf(options.on_slow)))];
    return before !== `${this.conflate_ms} ${this.on_slow}`;
  }
}

/** By text: the entries that the broker is subscribed to, each for all subscriptions that have it. */
export class Entries extends Map {
  /** The texts of those to which the broker has answered. */
  get begun() { return [...this.values()].filter((entry) => entry.begun).map((entry) => entry.text); }

  /** A pattern that brings in a topic. */
  patternOf(topic) {
    return [...this.values()].find((entry) => entry.pattern && entry.matches(topic));
  }

  /** A topic ended: the patterns that brought it in have one less. */
  ended(topic) {
    for (const entry of this.values()) if (entry.pattern && entry.matches(topic)) entry.matched -= 1;
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
