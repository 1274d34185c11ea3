/**
 * When views are painted. Messages only change models in memory, and views ask for a paint. However often they ask, they
 * paint once per animation frame, about thirty times a second. A hidden tab paints nothing until it is shown again.
 *
 * @module
 */

/**
 * The least time between two paints, in milliseconds: on a screen of 60 Hz that is every second frame. People cannot read
 * figures that change faster, and each paint costs styles, layout and drawing on top of the text changes.
 */
const PAINT_MS = 25;
/** By paint function: the time from which it may run. */
const due = new Map();
let paintedAt = -Infinity, askedFor = Infinity, timer, frame;

/** Calls `paint(now)` once, with the next paint or with the first one after `wait_ms`. */
export function paintSoon(paint, wait_ms = 0) {
  const at = performance.now() + wait_ms;
  if (due.get(paint) <= at) return;
  due.set(paint, at);
  ask(at);
}

function ask(at) {
  const from = Math.max(at, paintedAt + PAINT_MS);
  if (from >= askedFor) return;
  askedFor = from;
  clearTimeout(timer);
  cancelAnimationFrame(frame);
  const wait_ms = from - performance.now();
  if (wait_ms > 1) timer = setTimeout(() => { frame = requestAnimationFrame(run); }, wait_ms);
  else frame = requestAnimationFrame(run);
}

function run() {
  // Not the frame's own timestamp, which is a little earlier and may lie before the requested time.
  const now = performance.now(), paints = [];
  [paintedAt, askedFor] = [now, Infinity];
  for (const [paint, at] of due) if (at <= now) paints.push(paint);
  for (const paint of paints) due.delete(paint);
  for (const paint of paints) paint(now);
  if (due.size > 0) ask(Math.min(...due.values()));
}

/** How long a changed cell is lit, and how long until the faded light ends, in milliseconds. */
const LIT_MS = 160, FADING_MS = 480;
/**
 * By cell: when it was lit, in that order. The light fades in two steps instead of a transition: hundreds of transitions at
 * once mean new styles for hundreds of cells in every frame, and layers of their own cost even more.
 */
const flashes = new Map();

/** Lights a cell up: `up`, `down` or `same`. */
export function flash(cell, direction) {
  flashes.delete(cell);
  flashes.set(cell, performance.now());
  if (cell.dataset.flash !== direction) cell.dataset.flash = direction;
  paintSoon(fade, LIT_MS);
}

function fade(now) {
  for (const [cell, litAt] of flashes) {
    const age = now - litAt, { flash } = cell.dataset;
    if (age < LIT_MS) break;
    if (age >= FADING_MS) {
      flashes.delete(cell);
      delete cell.dataset.flash;
    } else if (!flash.endsWith("-fading")) cell.dataset.flash = `${flash}-fading`;
  }
  if (flashes.size > 0) paintSoon(fade, LIT_MS / 2);
}
