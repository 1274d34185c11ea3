/**
 * An order book as a ladder: asks above, bids below, and for each level a bar with the quantity at that price or better.
 *
 * @module
 */
import { el, setAttribute, setText, table } from "./dom.js";
import { NOTHING, decimals, quantity } from "./format.js";
import { flash, paintSoon } from "./frame.js";

/** Levels on each side. */
const LEVELS = 10;

/** The best levels of a side `{price: quantity}`, best first, as `{price, value, qty, depth}`. */
export function best(levels, isBetter, count) {
  const sorted = Object.entries(levels ?? {}).map(([price, qty]) => ({ price, value: Number(price), qty: Number(qty) }));
  sorted.sort((one, other) => isBetter(one.value, other.value));
  let depth = 0;
  return sorted.slice(0, count).map((level) => ({ ...level, depth: (depth += level.qty) }));
}

/** The element, and the functions that fill it. */
export function ladder() {
  const { table: element, body } = table("Order book: price levels with the quantities of bids and asks",
    [["Bids", "number"], ["Price", "center"], ["Asks", "number left"]], "ladder");
  const rows = (side) => Array.from({ length: LEVELS }, () => {
    const [bid, price, ask] = ["number qty", "center price-level", "qty left"].map((name) => el("td", { class: name }, ""));
    return { row: el("tr", { class: side }, bid, price, ask), price, qty: side === "bid" ? bid : ask, shown: {} };
  });
  const asks = rows("ask"), bids = rows("bid");
  const middle = el("td", { colspan: "3" }, "");
  body.append(...asks.map(({ row }) => row).reverse(), el("tr", { class: "middle" }, middle), ...bids.map(({ row }) => row));
  let book = null;

  function paint() {
    const ask = best(book?.asks, (one, other) => one - other, LEVELS), bid = best(book?.bids, (one, other) => other - one, LEVELS);
    const deepest = Math.max(ask.at(-1)?.depth ?? 0, bid.at(-1)?.depth ?? 0);
    for (const [cells, levels] of [[asks, ask], [bids, bid]]) cells.forEach((one, at) => fill(one, levels[at], deepest));
    setText(middle, book === null ? "no order book" : ask[0] && bid[0] ? `spread ${spreadOf(bid[0].price, ask[0].price)}` : "one side is empty");
  }

  function fill({ row, price, qty, shown }, level, deepest) {
    const { price: at = "", qty: there = null, depth = 0 } = level ?? {};
    setText(price, at);
    setText(qty, level ? quantity(there) : "");
    // In steps of one percent, so that most updates do not change the bar.
    const share = deepest === 0 ? "0%" : `${Math.round((depth / deepest) * 100)}%`;
    if (shown.share !== share) qty.style.setProperty("--depth", share);
    // Only if the same price has another quantity: a ladder that moves by a level should not flash as a whole.
    if (shown.at === at && shown.there !== there && level) flash(qty, there > shown.there ? "up" : "down");
    Object.assign(shown, { at, there, share });
    setAttribute(row, "data-empty", level ? null : "");
  }

  return {
    element,
    take(state) {
      book = state ?? null;
      paintSoon(paint);
    },
    clear() {
      book = null;
      for (const one of [...asks, ...bids]) one.shown = {};
      paintSoon(paint);
    },
    spread: (quote) => (quote?.bid && quote?.ask ? spreadOf(quote.bid, quote.ask) : NOTHING),
  };
}

function spreadOf(bid, ask) {
  return (Number(ask) - Number(bid)).toFixed(Math.max(decimals(bid), decimals(ask)));
}
