/** Waiting for what is to happen, with a bound and a name for when it does not. */

/** Much longer than anything takes, on a machine that is busy with other things too. */
const PATIENCE_MS = 30_000;

/** Until a condition holds; gives what it gave. */
export async function until(condition, what) {
  const end = Date.now() + PATIENCE_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${PATIENCE_MS} ms: ${what}`);
    await new Promise((next) => setTimeout(next, 2));
  }
}

/** The next event of a type, or the first that fits. */
export function event(target, type, fits = () => true) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => done(reject, new Error(`no fitting event ${type} within ${PATIENCE_MS} ms`)), PATIENCE_MS);
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

/** A promise, but not for ever. */
export function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no ${what} within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
