/**
 * The stream of one topic: the proof that nothing was missed silently, and the topic's state. Nothing here does I/O.
 *
 * From a topic's start, within one epoch, the number of an `update` or `patch` (or its `from`) is exactly one above the
 * last, an `image` jumps ahead and replaces everything up to its `seq`, and a `gap` names exactly what is lost. A
 * `Stream` holds what may come next. It returns what is wrong with a message, or applies it.
 *
 * @module
 */
import { mergePatch } from "./merge_patch.js";

export class Stream {
  kind = null;
  epoch = null;
  /** The state at `seq`; undefined if there is none or it is not known. */
  state = undefined;
  /** When the broker accepted the last update, in microseconds since 1970. */
  ts = null;
  /** The row that began the stream. */
  row = null;
  /** The subscriptions that cover the topic. Replaced as a whole, never changed in place: a loop may be iterating over it. */
  subscribers;
  /** Messages are ignored until the topic has begun anew: after a breach of continuity, or because its state is missing. */
  resyncing = false;
  /** It has begun since this connection was made, or since a pattern that covers it was asked for anew. */
  mentioned = false;
  /** Updates that the client has may come again, until the first new one. */
  #repeats = false;
  /** The stream continues after updates that the state lacks: the image has to be asked for. */
  lacksImage = false;
  /**
   * What may come next: `start` (the name waits for a publish), `next` (the number after `seq`), `image` (of `seq` or
   * later), `retained` (an update that begins at `seq` or before: how much is retained is not known before it comes).
   */
  #expects = "start";
  #seq = 0;
  /** What the client had before the present start: the point to resume from until something comes. */
  #had = null;

  constructor(topic, subscribers) {
    this.topic = topic;
    this.subscribers = subscribers;
  }

  /** Whether the name waits for its first publish, or for the next one after the topic ended. */
  get waits() { return this.#expects === "start"; }

  /** The point to resume from, up to which the client has everything: `{epoch, seq}`, or null. */
  get position() {
    return this.#expects === "next" ? { epoch: this.epoch, seq: this.#seq } : this.#had;
  }

  /** The messages for a subscription that joins now: how the topic began, and its image if it is known. */
  joined() {
    if (this.row === null || this.resyncing) return [];
    const known = this.#expects === "next" && this.state !== undefined;
    const { topic, epoch, ts, state } = this, seq = this.position?.seq ?? 0;
    const row = { op: "topic", ...this.row, seq, start: known ? "image" : "live" };
    return known ? [row, { op: "image", topic, epoch, seq, ts, data: state, state }] : [row];
  }

  /**
   * Begins the topic, or begins it anew, as a row of `subscribed` or a `topic` message says. `asked` is the position
   * from which the client asked to resume, or null. `mayRepeat`: it may resume from a position's id, and updates that
   * the client has come again. `goesBack`: a subscription wants earlier updates again. Returns what is wrong with that,
   * or null.
   */
  begin(row, asked, { mayRepeat = false, goesBack = false } = {}) {
    const position = this.position;
    const continues = position !== null && position.epoch === row.epoch && !this.waits && !goesBack;
    const resumes = row.start === "resumed" || row.start === "reset";
    const isAsked = resumes && asked !== null && asked.epoch === row.epoch && asked.seq <= position?.seq;
    [this.lacksImage, this.#repeats] = [false, false];
    if (continues && (isAsked || (mayRepeat && (resumes || row.start === "image" || row.start === "history")))) return this.#continue(row, position, isAsked);
    const had = asked ?? position;
    const same = had !== null && had.epoch === row.epoch;
    const revived = this.waits && row.epoch !== null && this.epoch === row.epoch;
    if (row.epoch !== this.epoch) this.state = undefined;
    // The point to resume from stays the same until something comes.
    this.#expect("retained", 0);
    [this.kind, this.epoch, this.row, this.#had] = [row.kind, row.epoch ?? this.epoch, row, had];
    if (revived) return `it began again in epoch ${row.epoch}, in which it had ended`;
    if (row.epoch === null) return this.#expect("start", 0);
    switch (row.start) {
      case "live":
        if (!same || had.seq !== row.seq) this.state = undefined;
        return this.#expect("next", row.seq);
      case "image": return this.#expect("image", row.seq);
      case "history": return this.#expect("retained", row.seq);
      case "resumed":
        if (same && had.seq <= row.seq) return this.#expect("next", had.seq);
        // It resumes from an id, and the client does not have what came before that.
        if (mayRepeat && asked === null) return this.#continueWithout(row);
        return `it was resumed at ${row.seq} of epoch ${row.epoch}, which is not where this client asked to resume`;
      case "reset":
        if (row.kind !== "event") return this.#expect("image", row.seq);
        // The first missing update of the present epoch comes next, itself or in a gap. If the client was ahead of the
        // topic, only the broker can say what is missing.
        if (!same) return this.#expect("next", 0);
        return had.seq <= row.seq ? this.#expect("next", had.seq) : this.#expect("retained", row.seq + 1);
      default: return `it began with ${JSON.stringify(row.start)}, which version 1 does not have`;
    }
  }

  /** Continues from a position or before it; updates that the client has come again. */
  #continue(row, position, isAsked) {
    if (row.seq < position.seq) return `it began at ${row.seq}, and ${position.seq} had come`;
    // A conflated state may lack updates before the id.
    const lacks = !isAsked && row.start === "resumed" && row.kind !== "event" && this.row.conflate_ms > 0 && row.conflate_ms === 0;
    [this.kind, this.row, this.#had, this.#repeats, this.lacksImage] = [row.kind, row, position, true, lacks];
    const imageFollows = row.kind !== "event" && row.start !== "resumed" && row.start !== "history";
    return imageFollows && row.seq > position.seq ? this.#expect("image", row.seq) : this.#expect("next", position.seq);
  }

  /** Continues at an update that is not known before it comes. */
  #continueWithout(row) {
    [this.state, this.lacksImage] = [undefined, row.kind !== "event"];
    return this.#expect("retained", row.seq + 1);
  }

  /** The events lost between the position before this start and a message that came: `{from, to}`, or null. */
  lostBefore(message = null) {
    const had = this.#had;
    if (this.kind !== "event" || had === null || had.epoch !== this.epoch) return null;
    const live = message === null && this.#expects === "next" && this.row.start === "live";
    const first = live ? this.#seq + 1 : this.#expects === "retained" ? firstOf(message ?? {}) : NaN;
    return first > had.seq + 1 ? { from: had.seq + 1, to: first - 1 } : null;
  }

  /** Applies a message of the topic. Returns what is wrong with it, or null. */
  take(message) {
    const wrong = this.#check(message);
    if (wrong !== null) return wrong;
    this.#repeats = false;
    const { op, data } = message;
    if (op === "closed") return this.end();
    if (op === "gap") this.state = undefined;
    else if (op === "patch") this.state = this.#patched(message);
    else if (this.kind !== "event") this.state = data;
    this.ts = message.ts ?? this.ts;
    return this.#expect("next", lastOf(message));
  }

  /** Records that the topic ended. */
  end() {
    this.#had = this.position;
    this.#expects = "start";
    this.state = undefined;
    return null;
  }

  /** The new part of a message, while updates may come again: all of it, none (null), or the missing part of a gap. */
  lacking(message) {
    const { op } = message, seq = this.#seq;
    if (!this.#repeats || this.#expects !== "next" || op === "closed") return message;
    if (op === "image" && message.seq === seq) this.state ??= message.data;
    if (lastOf(message) <= seq) return null;
    return op === "gap" && message.from <= seq ? { ...message, from: seq + 1 } : message;
  }

  /** The state after a patch. A topic's first patch applies to nothing; an unknown state stays unknown. */
  #patched(message) {
    return this.state === undefined && firstOf(message) > 1 ? undefined : mergePatch(this.state, message.data);
  }

  #expect(what, seq) {
    if (!Number.isSafeInteger(seq) || seq < 0) return `${JSON.stringify(seq)} is not a sequence number`;
    [this.#expects, this.#seq] = [what, seq];
    return null;
  }

  #check(message) {
    const { op } = message, expects = this.#expects, seq = this.#seq;
    if (expects === "start") return `${op} came of a topic that has not begun, or that ended`;
    if (op === "closed") return expects === "next" ? null : "it was closed before what its start promised had arrived";
    const first = firstOf(message), last = lastOf(message);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return `${op} has no sequence number`;
    if (first > last) return `${op} runs backwards, from ${first} to ${last}`;
    if (this.kind === "event" && (op === "image" || op === "patch")) return `${op} ${last} came of a topic of events`;
    const came = first === last ? `${op} ${last}` : `${op} ${first} to ${last}`;
    if (op === "image") {
      const at_least = expects === "next" ? seq + 1 : expects === "image" ? seq : 0;
      if (message.epoch !== this.epoch) return `image ${last} is of epoch ${message.epoch}, not ${this.epoch}`;
      return last < at_least ? `${came} came where ${at_least} or later was expected` : null;
    }
    if (expects === "image") return `${came} came before the image of ${seq} or later`;
    if (expects === "retained") return first > 0 && first <= seq ? null : `${came} came where it should begin at 1 to ${seq}`;
    return first === seq + 1 ? null : `${came} came where ${seq + 1} was next`;
  }
}

/** The number of the first update that a message contains or replaces. */
const firstOf = (message) => message.from ?? message.seq;
/** The number of the last one. */
export const lastOf = (message) => (message.op === "gap" ? message.to : message.seq);
