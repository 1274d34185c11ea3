/**
 * Moments after which a connection may be dead without a sign: the machine slept, the network changed, the page was
 * frozen or is looked at again.
 *
 * @module
 */

/** How often the clocks are looked at. */
const LOOK_MS = 2_000;
/** A clock that is so far from where it should be has jumped. */
const JUMP_MS = 4_000;

/** Tells of such moments, until `stop()`. */
export class Wake {
  #woke; #timer;
  #looked = clocks();
  #listening = [];

  /** `woke()` is called at each of them. Several may come together. */
  constructor(woke) {
    this.#woke = woke;
    const page = globalThis.document;
    this.#listen(globalThis, "online", woke);
    this.#listen(globalThis, "pageshow", woke);
    this.#listen(page, "visibilitychange", () => { if (page.visibilityState === "visible") woke(); });
    // The page was frozen and is not any more; the network is another one.
    this.#listen(page, "resume", woke);
    this.#listen(globalThis.navigator?.connection, "change", woke);
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    // In Node: no reason to go on by itself.
    this.#timer.unref?.();
  }

  /**
   * Compares the clocks with how they were at the last look, and tells where one jumped. In some systems the monotonic
   * clock stands still while the machine sleeps: then only the wall clock shows it. In others both go on, and the look
   * is late. Returns whether one jumped.
   */
  look() {
    const before = this.#looked, now = (this.#looked = clocks());
    const elapsed = now.monotonic - before.monotonic;
    const jumped = elapsed > LOOK_MS + JUMP_MS || Math.abs(now.wall - before.wall - elapsed) > JUMP_MS;
    if (jumped) this.#woke();
    return jumped;
  }

  stop() {
    clearInterval(this.#timer);
    for (const [target, type, listener] of this.#listening.splice(0)) target.removeEventListener(type, listener);
  }

  /** Not everything is everywhere: Node has no page, and not every browser tells of its network. */
  #listen(target, type, listener) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, listener);
    this.#listening.push([target, type, listener]);
  }
}

const clocks = () => ({ wall: Date.now(), monotonic: performance.now() });
