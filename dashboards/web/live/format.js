/**
 * Numbers, times and words for people. Prices and quantities are decimal strings and keep their digits.
 *
 * @module
 */

const MINUS = "−";
const grouped = new Intl.NumberFormat("en-US", { maximumFractionDigits: 20 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumSignificantDigits: 3 });
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** The placeholder for unknown values. */
export const NOTHING = "–";

/** A price as it came. */
export const price = (value) => (value === null || value === undefined ? NOTHING : String(value));

/** A quantity with separated thousands, if a double holds it exactly. */
export function quantity(value) {
  if (value === null || value === undefined) return NOTHING;
  const number = Number(value);
  return Number.isSafeInteger(number) ? grouped.format(number) : String(value);
}

/** The number of digits after a decimal string's point. */
export function decimals(value) {
  const text = String(value), point = text.indexOf(".");
  return point < 0 ? 0 : Math.min(12, text.length - point - 1);
}

/** A number with its sign: +0.35, −0.02, 0.00. */
export function signed(value, digits) {
  const text = Math.abs(value).toFixed(digits);
  if (Number(text) === 0) return text;
  return (value > 0 ? "+" : MINUS) + text;
}

/** `up`, `down` or `same`. */
export const direction = (now, before) => (now > before ? "up" : now < before ? "down" : "same");

/** The sign with the same meaning as the colour. */
export const ARROWS = { up: "▲", down: "▼", same: "" };

/** A count: 950, 12,340, 1.23M. */
export const count = (value) => (value === undefined || value === null ? NOTHING : value < 100_000 ? grouped.format(Math.round(value)) : short.format(value));

/** A count of things: 1 topic, 12,340 topics. */
export const things = (value, one, several = `${one}s`) => `${count(value)} ${value === 1 ? one : several}`;

/** A rate: 0.4, 12, 1,234. */
export const rate = (value) => (value === undefined || value === null ? NOTHING : value < 10 ? String(Math.round(value * 10) / 10) : count(value));

/** Bytes in binary units. */
export function bytes(value) {
  if (value === undefined || value === null) return NOTHING;
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let at = 0;
  while (value >= 1024 && at < units.length - 1) [value, at] = [value / 1024, at + 1];
  return `${value < 10 && at > 0 ? value.toFixed(1) : Math.round(value)} ${units[at]}`;
}

/** A time span in microseconds: 64 µs, 1.0 ms, 2.1 s. */
export function micros(value) {
  if (value === undefined || value === null) return NOTHING;
  if (value < 1000) return `${Math.round(value)} µs`;
  return value < 1e6 ? `${(value / 1000).toFixed(value < 10_000 ? 1 : 0)} ms` : `${(value / 1e6).toFixed(1)} s`;
}

/** A time span in seconds: 12 s, 3 min, 2 h 5 min, 4 d 2 h. */
export function span(seconds) {
  if (seconds === undefined || seconds === null) return NOTHING;
  const s = Math.max(0, Math.floor(seconds));
  if (s < 60) return `${s} s`;
  if (s < 3600) return `${Math.floor(s / 60)} min`;
  if (s < 86_400) return `${Math.floor(s / 3600)} h ${Math.floor((s % 3600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3600)} h`;
}

let lastSecond = NaN, lastClock = "";
/** The local time of day for microseconds since 1970: 14:03:09. */
export function timeOfDay(ts) {
  const second = Math.floor(ts / 1e6);
  if (second !== lastSecond && Number.isFinite(second)) [lastSecond, lastClock] = [second, clock.format(second * 1000)];
  return lastClock;
}

/** A feed's word in readable form: `half_time` becomes Half time. */
export function words(value) {
  const text = String(value).replaceAll("_", " ");
  return text.charAt(0).toUpperCase() + text.slice(1);
}
