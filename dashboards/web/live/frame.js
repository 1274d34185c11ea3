/**
 * One paint per animation frame. What comes in only changes models in memory; views ask for a paint, and however often
 * they ask, they paint once when the browser draws next. In a hidden tab that is not before it is shown again.
 *
 * @module
 */

const due = new Set();
let asked = false;

/** Calls `paint` with the next frame, once. */
export function paintSoon(paint) {
  due.add(paint);
  if (asked) return;
  asked = true;
  requestAnimationFrame(run);
}

function run(now) {
  asked = false;
  const paints = [...due];
  due.clear();
  for (const paint of paints) paint(now);
}

/** How long a cell that changed keeps its colour before it fades. */
const FLASH_MS = 140;
/** By cell: when its flash ends. In the order in which they end. */
const flashes = new Map();

/** Lets a cell light up: `up`, `down` or `same`. The fading is the style sheet's. */
export function flash(cell, direction) {
  flashes.delete(cell);
  flashes.set(cell, performance.now() + FLASH_MS);
  cell.dataset.flash = direction;
  paintSoon(fade);
}

function fade(now) {
  for (const [cell, end] of flashes) {
    if (end > now) return paintSoon(fade);
    flashes.delete(cell);
    delete cell.dataset.flash;
  }
}
