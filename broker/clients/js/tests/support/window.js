/** The events of a browser's window and page, for a client in Node; and clocks that jump. */

/** Installs a window and its page, for all tests of a file. */
export function withWindow() {
  const window = new EventTarget(), page = new EventTarget();
  page.visibilityState = "visible";
  globalThis.addEventListener = window.addEventListener.bind(window);
  globalThis.removeEventListener = window.removeEventListener.bind(window);
  globalThis.document = page;
  return {
    window: (type) => window.dispatchEvent(new Event(type)),
    page: (type) => page.dispatchEvent(new Event(type)),
    show(isShown) {
      page.visibilityState = isShown ? "visible" : "hidden";
      page.dispatchEvent(new Event("visibilitychange"));
    },
  };
}

/** A clock that a test moves: `Date` for the wall clock, `performance` for the monotonic one. It is restored when the test ends. */
export function jumpingClock(test, clock) {
  const { now } = clock;
  let jumped_ms = 0;
  clock.now = () => now.call(clock) + jumped_ms;
  test.after(() => { clock.now = now; });
  return (ms) => { jumped_ms += ms; };
}
