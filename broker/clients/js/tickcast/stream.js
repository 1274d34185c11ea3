/**
 * One topic as it comes in: the proof that nothing was missed silently, and its state. Nothing here does I/O.
 *
 * From a topic's start, within one epoch, an `update` or `patch` follows what came before by exactly one (or its `from`
 * does), an `image` jumps ahead and replaces everything up to its `seq`, and a `gap` names exactly what is lost. A
 * `Stream` holds what may come next, and says of each message what is wrong with it, or applies it.
 *
 * @module
 */

/** A topic. */
export class Stream {
  kind = null;
  epoch = null;
  /** The state at `seq`; undefined where there is none, or it is not known. */
  state = undefined;
  /** When the broker took in what came last, in microseconds since 1970. */
  ts = null;
  /** The row that began the stream. */
  row = null;
  /** The subscriptions that cover the topic. Replaced as a whole, never changed: somebody may be going through it. */
  subscribers;
  /** Until the topic has begun anew, what comes is ignored: after a breach of continuity, and where its state is lacking. */
  resyncing = false;
  /** It was begun since this connection was made, or since a pattern that brings it in was asked for anew. */
  mentioned = false;
  /** What we have may come again, until the first that is new. */
  #repeats = false;
  /** It goes on after updates that its state lacks: the image has to be asked for. */
  lacksImage = false;
  /**
   * What may come next: `start` (the name waits for a publish), `next` (the number after `seq`), `image` (of `seq` or
   * later), `retained` (something that begins at `seq` or before: how much is retained only shows then).
   */
  #expects = "start";
  #seq = 0;
  /** Where we stood before the present start: the point to resume from until something came. */
  #had = null;

  constructor(topic, subscribers) {
    this.topic = topic;
    this.subscribers = subscribers;
  }

  /** The name waits for its first publish, or for the next one after it ended. */
  get waits() { return this.#expects === "start"; }

  /** Up to where everything is known: `{epoch, seq}`, the point to resume from; null where there is none. */
  get position() {
    return this.#expects === "next" ? { epoch: this.epoch, seq: this.#seq } : this.#had;
  }

  /** What somebody is told who joins here: how the topic began, and its image where one is known. */
  joined() {
    if (this.row === null || this.resyncing) return [];
    const known = this.#expects === "next" && this.state !== undefined;
    const { topic, epoch, ts, state } = this, seq = this.position?.seq ?? 0;
    const row = { op: "topic", ...this.row, seq, start: known ? "image" : "live" };
    return known ? [row, { op: "image", topic, epoch, seq, ts, data: state, state }] : [row];
  }

  /**
   * The topic begins, or begins anew, as a row of `subscribed` or a `topic` message says. `asked` is the position that we
   * asked to resume from, where we did. `mayRepeat`: it may go on from the id of a place, and what we have comes again.
   * `goesBack`: somebody wants it again. Returns what is wrong with that, or null.
   */
  begin(row, asked, { mayRepeat = false, goesBack = false } = {}) {
    const position = this.position;
    const goesOn = position !== null && position.epoch === row.epoch && !this.waits && !goesBack;
    const resumes = row.start === "resumed" || row.start === "reset";
    const isAsked = resumes && asked !== null && asked.epoch === row.epoch && asked.seq <= position?.seq;
    [this.lacksImage, this.#repeats] = [false, false];
    if (goesOn && (isAsked || (mayRepeat && (resumes || row.start === "image" || row.start === "history")))) return this.#goOn(row, position, isAsked);
    const had = asked ?? position;
    const same = had !== null && had.epoch === row.epoch;
    const revived = this.waits && row.epoch !== null && this.epoch === row.epoch;
    if (row.epoch !== this.epoch) this.state = undefined;
    // Until we know better: the point to resume from stays the one before.
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
        // From an id, and we do not have what came before it.
        if (mayRepeat && asked === null) return this.#goOnWithout(row);
        return `it was resumed at ${row.seq} of epoch ${row.epoch}, which is not where we asked to resume`;
      case "reset":
        if (row.kind !== "event") return this.#expect("image", row.seq);
        // The first lacking update of the present epoch comes next: itself, or in a gap. If we were ahead of the topic,
        // what we lack is the broker's to say.
        if (!same) return this.#expect("next", 0);
        return had.seq <= row.seq ? this.#expect("next", had.seq) : this.#expect("retained", row.seq + 1);
      default: return `it began with ${JSON.stringify(row.start)}, which version 1 does not have`;
    }
  }

  /** It goes on from a position or before it, and what we have of it comes again. */
  #goOn(row, position, isAsked) {
    if (row.seq < position.seq) return `it began at ${row.seq}, and ${position.seq} had come`;
    // A conflated state may lack updates that an id stands for.
    const lacks = !isAsked && row.start === "resumed" && row.kind !== "event" && this.row.conflate_ms > 0 && row.conflate_ms === 0;
    [this.kind, this.row, this.#had, this.#repeats, this.lacksImage] = [row.kind, row, position, true, lacks];
    const imageFollows = row.kind !== "event" && row.start !== "resumed" && row.start !== "history";
    return imageFollows && row.seq > position.seq ? this.#expect("image", row.seq) : this.#expect("next", position.seq);
  }

  /** It goes on somewhere: which update that is shows when it comes. */
  #goOnWithout(row) {
    [this.state, this.lacksImage] = [undefined, row.kind !== "event"];
    return this.#expect("retained", row.seq + 1);
  }

  /** Events that were lost between the position before this start and a message that came, or null: `{from, to}`. */
  lostBefore(message = null) {
    const had = this.#had;
    if (this.kind !== "event" || had === null || had.epoch !== this.epoch) return null;
    const live = message === null && this.#expects === "next" && this.row.start === "live";
    const first = live ? this.#seq + 1 : this.#expects === "retained" ? firstOf(message ?? {}) : NaN;
    return first > had.seq + 1 ? { from: had.seq + 1, to: first - 1 } : null;
  }

  /** A message of the topic. Returns what is wrong with it, or null; then it is applied. */
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

  /** The topic ended. */
  end() {
    this.#had = this.position;
    this.#expects = "start";
    this.state = undefined;
    return null;
  }

  /** What is new of a message: where what we have comes again, nothing (null), or of a gap the part that we lack. */
  lacking(message) {
    const { op } = message, seq = this.#seq;
    if (!this.#repeats || this.#expects !== "next" || op === "closed") return message;
    if (op === "image" && message.seq === seq) this.state ??= message.data;
    if (lastOf(message) <= seq) return null;
    return op === "gap" && message.from <= seq ? { ...message, from: seq + 1 } : message;
  }

  /** A patch lies on the state; a topic's first one on nothing; where the state is not known, it still is not. */
  #patched(message) {
    return this.state === undefined && firstOf(message) > 1 ? undefined : mergePatch(this.state, message.data);
  }

  #expect(what, seq) {
    if (!Number.isSafeInteger(seq) || seq < 0) return `${JSON.stringify(seq)} is no sequence number`;
    [this.#expects, this.#seq] = [what, seq];
    return null;
  }

  #check(message) {
    const { op } = message, expects = this.#expects, seq = this.#seq;
    if (expects === "start") return `${op} came of a topic that has not begun, or that ended`;
    if (op === "closed") return expects === "next" ? null : "it was closed before what its start promised had come";
    const first = firstOf(message), last = lastOf(message);
    if (!Number.isSafeInteger(first) || !Number.isSafeInteger(last)) return `${op} has no sequence number`;
    if (first > last) return `${op} runs backwards, from ${first} to ${last}`;
    if (this.kind === "event" && (op === "image" || op === "patch")) return `${op} ${last} came of a topic of events`;
    const came = first === last ? `${op} ${last}` : `${op} ${first} to ${last}`;
    if (op === "image") {
      const due = expects === "next" ? seq + 1 : expects === "image" ? seq : 0;
      if (message.epoch !== this.epoch) return `image ${last} is of epoch ${message.epoch}, not ${this.epoch}`;
      return last < due ? `${came} came where ${due} or later was due` : null;
    }
    if (expects === "image") return `${came} came before the image of ${seq} or later`;
    if (expects === "retained") return first > 0 && first <= seq ? null : `${came} came where it should begin at 1 to ${seq}`;
    return first === seq + 1 ? null : `${came} came where ${seq + 1} was next`;
  }
}

/** The first update that a message stands for. */
const firstOf = (message) => message.from ?? message.seq;
/** The last one. */
export const lastOf = (message) => (message.op === "gap" ? message.to : message.seq);

/**
 * RFC 7396: what `target` becomes by `patch`. Neither is changed: what the patch does not touch is shared with `target`,
 * so that a state that somebody kept stays as it was, and `===` tells which parts are new.
 */
export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) {
      delete merged[key];
    } else {
      const value = mergePatch(Object.hasOwn(merged, key) ? merged[key] : undefined, patch[key]);
      // Plain assignment to "__proto__" would change the object's prototype.
      if (key === "__proto__") Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
      else merged[key] = value;
    }
  }
  return merged;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);

/** Whether an entry, a name or a pattern, covers a topic: a function of the topic. */
export function matcher(text) {
  if (!isPattern(text)) return (topic) => topic === text;
  const wanted = text.split(".");
  const open = wanted.at(-1) === ">";
  return (topic) => {
    // The broker's own topics are only reached by naming their first segment.
    if (topic.startsWith("$") && !text.startsWith("$")) return false;
    const segments = topic.split(".");
    if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false;
    return wanted.every((segment, at) => segment === "*" || (open && at === wanted.length - 1) || segment === segments[at]);
  };
}

export const isPattern = (text) => /[*>]/.test(text);
