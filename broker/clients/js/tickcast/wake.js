/**
 * Notices moments after which a connection may be dead without a sign: the machine slept, the network changed, the page
 * was frozen or became visible again.
 *
 * @module
 */

/** How often the clocks are compared. */
const LOOK_MS = 2_000;
/** A clock that is off by more than this has jumped. */
const JUMP_MS = 4_000;

/** Reports such moments, until `stop()`. */
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
    // `resume`: a frozen page continues. `change`: the network is another one.
    this.#listen(page, "resume", woke);
    this.#listen(globalThis.navigator?.connection, "change", woke);
    this.#timer = setInterval(() => this.look(), LOOK_MS);
    // In Node, the timer should not keep the process alive.
    this.#timer.unref?.();
  }

  /**
   * Compares the clocks with the last look. Returns whether one jumped, after reporting it. On some systems the
   * monotonic clock stops while the machine sleeps: then only the wall clock shows the sleep. On others both continue,
   * and the look is late.
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

  /** Not every target exists everywhere: Node has no page, and not every browser has `navigator.connection`. */
  #listen(target, type, listener) {
    if (!target?.addEventListener) return;
    target.addEventListener(type, listener);
    this.#listening.push([target, type, listener]);
  }
}

const clocks = () => ({ wall: Date.now(), monotonic: performance.now() });
