/**
 * The last minutes of trades as candles with their volume, in three SVG paths that are rewritten when something changes.
 *
 * @module
 */
import { el, svg, setText } from "./dom.js";
import { paintSoon } from "./frame.js";

/** Trades are aggregated by the second, and this many seconds are kept: six minutes. */
const SECONDS = 360;
/** The possible lengths of a candle, in seconds. The shortest that shows all data is used, so that the chart fills early. */
const SPANS = [1, 2, 3, 5];
/** The most candles that are shown, and the least for which there is room. */
const SHOWN_MAX = 72, SHOWN_MIN = 24;
/** Room for the volume below, for prices at the side, and above, in CSS pixels. */
const VOLUME_HEIGHT = 32, RIGHT = 62, TOP = 6;
/** How many prices are labelled, and the least range of the chart as a share of the price, so that a calm market looks calm. */
const GRID = 4, RANGE_MIN = 0.0004;
/** A chart that is redrawn four times a second looks live. */
const DRAW_MS = 250;

/** The element, and the function that adds a trade. */
export function candles() {
  const path = (name) => svg("path", { class: name });
  const paths = { volume: path("volume"), up: path("up"), down: path("down") };
  const lines = Array.from({ length: GRID }, () => ({ line: svg("line", { x1: 0, class: "grid" }), label: svg("text", { "text-anchor": "end" }, "") }));
  const mark = { line: svg("line", { x1: 0, class: "mark" }), box: svg("rect", { width: RIGHT - 2, height: 18, rx: 4, class: "mark-box" }), label: svg("text", { "text-anchor": "end", class: "mark-label" }, "") };
  const drawing = svg("svg", { "aria-hidden": "true" },
    ...lines.flatMap(({ line, label }) => [line, label]), paths.volume, paths.up, paths.down, mark.line, mark.box, mark.label);
  const said = el("p", { class: "unseen" }, "");
  const none = el("p", { class: "hint" }, "No trades yet");
  const element = el("div", { class: "chart" }, drawing, said, none);
  let seconds = [], digits = 2, drawnAt = -Infinity, width = 720, height = 220;
  // Drawn in screen pixels, so that text and lines are as large as everywhere else.
  new ResizeObserver(([{ contentRect }]) => {
    [width, height] = [contentRect.width, contentRect.height];
    drawnAt = -Infinity;
    paintSoon(paint);
  }).observe(drawing);

  function paint(now) {
    if (now - drawnAt < DRAW_MS) return paintSoon(paint, drawnAt + DRAW_MS - now);
    drawnAt = now;
    none.hidden = seconds.length > 0;
    drawing.toggleAttribute("hidden", seconds.length === 0);
    if (seconds.length > 0) draw();
  }

  function draw() {
    const plot = Math.max(1, width - RIGHT), floor = Math.max(TOP + 1, height - VOLUME_HEIGHT - 8);
    const { shown, end, room } = inCandles(seconds), step = plot / room, body = Math.min(14, step * 0.66);
    const last = shown.at(-1).close;
    let low = Math.min(...shown.map((one) => one.low)), high = Math.max(...shown.map((one) => one.high));
    const least = Math.max(last * RANGE_MIN, 10 ** -digits * 4) - (high - low);
    if (least > 0) [low, high] = [low - least / 2, high + least / 2];
    const y = (value) => floor - ((value - low) / (high - low)) * (floor - TOP);
    const most = Math.max(...shown.map(({ volume }) => volume)) || 1;
    const drawn = { up: "", down: "", volume: "" };
    for (const { at, open, close, high: top, low: bottom, volume } of shown) {
      const x = plot - (end - at + 0.5) * step, left = (x - body / 2).toFixed(1), wide = body.toFixed(1);
      const from = y(Math.max(open, close)), tall = Math.max(1, y(Math.min(open, close)) - from);
      const wick = `M${x.toFixed(1)} ${y(top).toFixed(1)}V${y(bottom).toFixed(1)}`;
      drawn[close >= open ? "up" : "down"] += `${wick}M${left} ${from.toFixed(1)}h${wide}v${tall.toFixed(1)}h-${wide}Z`;
      const bar = (volume / most) * VOLUME_HEIGHT;
      drawn.volume += `M${left} ${height.toFixed(1)}h${wide}v-${bar.toFixed(1)}h-${wide}Z`;
    }
    for (const name of Object.keys(drawn)) paths[name].setAttribute("d", drawn[name]);
    lines.forEach(({ line, label }, at) => {
      const value = low + ((high - low) * (at + 0.5)) / GRID;
      setNumbers(line, { x2: plot, y1: y(value), y2: y(value) });
      setNumbers(label, { x: width - 6, y: y(value) + 4 });
      // A label too close to the last price is hidden.
      label.toggleAttribute("hidden", Math.abs(y(value) - y(last)) < 16);
      setText(label, value.toFixed(digits));
    });
    setNumbers(mark.line, { x2: plot, y1: y(last), y2: y(last) });
    setNumbers(mark.box, { x: plot + 2, y: y(last) - 9 });
    setNumbers(mark.label, { x: width - 6, y: y(last) + 4 });
    setText(mark.label, last.toFixed(digits));
    setText(said, `Prices of the last minutes: from ${Math.min(...shown.map((one) => one.low)).toFixed(digits)} to ${Math.max(...shown.map((one) => one.high)).toFixed(digits)}, now ${last.toFixed(digits)}.`);
  }

  return {
    element,
    trade(ts, px, qty) {
      if (!Number.isFinite(px) || !Number.isFinite(ts)) return;
      const last = seconds.at(-1), at = Math.max(Math.floor(ts / 1e6), last?.at ?? 0);
      digits = Math.max(digits, Math.min(6, (String(px).split(".")[1] ?? "").length));
      const volume = Number.isFinite(qty) ? qty : 0;
      const one = { at, open: px, high: px, low: px, close: px, volume };
      if (last?.at === at) join(last, one);
      else seconds.push(one);
      if (seconds.length > SECONDS) seconds.shift();
      paintSoon(paint);
    },
    clear() {
      [seconds, digits, drawnAt] = [[], 2, -Infinity];
      paintSoon(paint);
    },
  };
}

function setNumbers(node, numbers) {
  for (const [name, value] of Object.entries(numbers)) node.setAttribute(name, value.toFixed(1));
}

/** Adds later trades to a candle. */
function join(candle, later) {
  candle.high = Math.max(candle.high, later.high);
  candle.low = Math.min(candle.low, later.low);
  candle.close = later.close;
  candle.volume += later.volume;
}

/** The seconds as candles, the number of the last one, and the number of candles there is room for. */
function inCandles(seconds) {
  const covered = seconds.at(-1).at - seconds[0].at + 1;
  const span = SPANS.find((one) => covered / one <= SHOWN_MAX) ?? SPANS.at(-1);
  const number = ({ at }) => Math.floor(at / span), end = number(seconds.at(-1));
  const shown = [];
  for (const second of seconds) {
    const at = number(second);
    if (at <= end - SHOWN_MAX) continue;
    if (shown.at(-1)?.at === at) join(shown.at(-1), second);
    else shown.push({ ...second, at });
  }
  return { shown, end, room: Math.min(SHOWN_MAX, Math.max(SHOWN_MIN, end - shown[0].at + 1)) };
}
