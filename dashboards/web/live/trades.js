/**
 * The last trades, newest first. A row that drops out at the end is reused at the top, so a trade costs one row.
 *
 * @module
 */
import { el, setAttribute, setText, table } from "./dom.js";
import { quantity, timeOfDay } from "./format.js";
import { paintSoon } from "./frame.js";

const ROWS = 40;
const SIDES = { buy: ["up", "▲"], sell: ["down", "▼"] };
const CELLS = ["", "number", "number", "side"];

/** The element, and the function that adds a trade. */
export function trades() {
  const columns = [["Time", ""], ["Price", "number"], ["Size", "number"], ["Side", "side"]];
  const { table: inner, body } = table("Trades, newest first, with the aggressor's side", columns, "trades");
  const element = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Trades" }, inner);
  /** The rows on the page, oldest first. */
  let rows = [];
  /** The trades that are not painted yet. */
  let fresh = [];

  function paint() {
    for (const trade of fresh.splice(0)) {
      const row = rows.length < ROWS ? newRow() : rows.shift();
      fill(row, trade);
      body.prepend(row.element);
      rows.push(row);
    }
  }

  return {
    element,
    trade(ts, { px, qty, side, auction }) {
      fresh.push({ ts, px, qty, side, auction });
      if (fresh.length > ROWS) fresh.shift();
      paintSoon(paint);
    },
    clear() {
      [rows, fresh] = [[], []];
      body.replaceChildren();
    },
  };
}

function newRow() {
  const cells = CELLS.map((name) => el("td", { class: name }, ""));
  return { element: el("tr", {}, ...cells), cells };
}

function fill({ element, cells: [time, price, size, side] }, trade) {
  const [towards, arrow] = SIDES[trade.side] ?? ["same", ""];
  setText(time, timeOfDay(trade.ts));
  setText(price, String(trade.px));
  setText(size, quantity(trade.qty));
  setText(side, `${arrow} ${trade.side ?? trade.auction ?? ""}`);
  setAttribute(element, "data-towards", towards);
}
