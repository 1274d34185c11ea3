/**
 * When things are painted. What comes in only changes models in memory; views ask for a paint, and however often they
 * ask, they paint once, with an animation frame, and about thirty times a second. In a hidden tab that is not before it is
 * shown again.
 *
 * @module
 */

/**
 * The least time between two paints, in milliseconds: on a screen of 60 Hz that is every second frame. Nobody reads figures
 * that change faster, and each paint costs styles, layout and drawing beside the writing.
 */
const PAINT_MS = 25;
/** By paint: from when on it is due. */
const due = new Map();
let paintedAt = -Infinity, askedFor = Infinity, timer, frame;

/** Calls `paint(now)` with the next paint, once; or with the first one after so many milliseconds. */
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
  // Not the frame's own time, which lies a little before and may be earlier than what was asked for.
  const now = performance.now(), paints = [];
  [paintedAt, askedFor] = [now, Infinity];
  for (const [paint, at] of due) if (at <= now) paints.push(paint);
  for (const paint of paints) due.delete(paint);
  for (const paint of paints) paint(now);
  if (due.size > 0) ask(Math.min(...due.values()));
}

/** How long a cell that changed is lit, and until when it is a little, in milliseconds. */
const LIT_MS = 160, FADING_MS = 480;
/**
 * By cell: when it was lit. In the order in which that was. The light goes in two steps and not in a transition: hundreds of
 * those at once are new styles for hundreds of cells in every frame, and layers of their own cost more still.
 */
const flashes = new Map();

/** Lets a cell light up: `up`, `down` or `same`. */
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
