/**
 * The last trades, newest first, in rows that stay where they are and change their text.
 *
 * @module
 */
import { el, setAttribute, setText, table } from "./dom.js";
import { quantity, timeOfDay } from "./format.js";
import { paintSoon } from "./frame.js";

const ROWS = 40;
const SIDES = { buy: ["up", "▲"], sell: ["down", "▼"] };

/** The element, and how a trade comes in. */
export function trades() {
  const columns = [["Time", ""], ["Price", "number"], ["Size", "number"], ["Side", "side"]];
  const { table: inner, body } = table("Trades, newest first; the side is the aggressor's", columns, "trades");
  const element = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Trades" }, inner);
  const rows = [];
  let last = [];

  function paint() {
    while (rows.length < last.length) {
      const cells = ["", "number", "number", "side"].map((name) => el("td", { class: name }, ""));
      rows.push({ row: el("tr", {}, ...cells), cells });
      body.append(rows.at(-1).row);
    }
    while (rows.length > last.length) rows.pop().row.remove();
    rows.forEach(({ row, cells: [time, px, qty, side] }, at) => {
      const trade = last[last.length - 1 - at], [towards, arrow] = SIDES[trade.side] ?? ["same", ""];
      setText(time, timeOfDay(trade.ts));
      setText(px, String(trade.px));
      setText(qty, quantity(trade.qty));
      setText(side, `${arrow} ${trade.side ?? trade.auction ?? ""}`);
      setAttribute(row, "data-towards", towards);
    });
  }

  return {
    element,
    trade(ts, { px, qty, side, auction }) {
      last.push({ ts, px, qty, side, auction });
      if (last.length > ROWS) last.shift();
      paintSoon(paint);
    },
    clear() {
      last = [];
      paintSoon(paint);
    },
  };
}
