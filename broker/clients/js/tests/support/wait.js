/** Waiting for conditions and events, with a time limit and a name for the error. */

/** Much longer than anything takes, even on a busy machine. */
const TIMEOUT_MS = 30_000;

/** Waits until a condition holds, and returns its value. */
export async function until(condition, what) {
  const end = Date.now() + TIMEOUT_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${TIMEOUT_MS} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 2));
  }
}

/** The next event of a type, or the next that fits. */
export function event(target, type, fits = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(reject, new Error(`no fitting event ${type} within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
    const listener = (happened) => fits(happened) && done(resolve, happened);
    const done = (settle, value) => {
      clearTimeout(timer);
      target.removeEventListener(type, listener);
      settle(value);
    };
    target.addEventListener(type, listener);
  });
}

/** All events of these types from now on, as `[type, event]`. */
export function record(target, ...types) {
  const events = [];
  for (const type of types) target.addEventListener(type, (happened) => events.push([type, happened]));
  return events;
}

/** A promise with a time limit. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${TIMEOUT_MS} ms`)), TIMEOUT_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
