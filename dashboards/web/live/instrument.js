/**
 * The chosen instrument: its price, a chart, the order book and the trades, and `status` and `bar_1m` if it has them.
 *
 * @module
 */
import { candles } from "./candles.js";
import { el, panel, setText } from "./dom.js";
import { ARROWS, NOTHING, direction, price, quantity, words } from "./format.js";
import { flash, paintSoon } from "./frame.js";
import { history } from "./history.js";
import { ladder } from "./ladder.js";
import { trades } from "./trades.js";

/** The most trades that the chart begins with and keeps. */
const TRADES_MAX = 1000;
/** A book changes faster than the eye can follow. */
const BOOK_MS = 100;
const FACTS = ["Bid", "Ask", "Spread", "Open", "High", "Low", "Volume"];

/** The element, and the function that chooses the instrument. */
export function instrumentPanel() {
  const symbol = el("h2", {}, ""), last = el("span", { class: "price" }, ""), arrow = el("span", { class: "arrow" }, "");
  const status = el("span", { class: "badge" }, "");
  const facts = new Map(FACTS.map((name) => [name, el("dd", {}, NOTHING)]));
  const back = el("a", { class: "back", href: "#/markets" }, "‹ Watch list");
  const list = el("dl", { class: "facts" }, ...[...facts].map(([name, value]) => el("div", {}, el("dt", {}, name), value)));
  const refused = el("p", { class: "refused", role: "status" }, "");
  const head = el("header", { class: "instrument-head" }, el("div", { class: "title" }, back, symbol, status), el("p", { class: "big" }, arrow, last), list, refused);
  const chart = candles(), book = ladder(), tape = trades();
  const parts = [panel("Price", "chart-panel", chart.element), panel("Order book", "book-panel", book.element), panel("Trades", "trades-panel", tape.element)];
  const element = el("section", { class: "instrument", "aria-label": "Chosen instrument" }, head, ...parts.map((part) => part.panel));
  let instrument = null, subscriptions = [], known = fresh();

  function fresh() {
    return { trades: [], first: null, epoch: null, seq: 0, quote: null, last: null, before: null, status: null, bar: null };
  }

  function paint() {
    const { quote, bar } = known;
    const text = price(known.last), towards = known.before === null ? "same" : direction(Number(known.last), Number(known.before));
    if (last.firstChild?.data !== text && known.before !== null) flash(last, towards);
    setText(last, text);
    setText(arrow, ARROWS[towards]);
    last.parentNode.dataset.towards = towards;
    const { status: phase, auction, reason } = known.status ?? {};
    status.hidden = phase === undefined;
    status.dataset.status = phase ?? "";
    setText(status, phase === undefined ? "" : words([auction, phase === "auction" ? "auction" : phase, reason && `· ${reason}`].filter(Boolean).join(" ")));
    setText(facts.get("Bid"), price(quote?.bid));
    setText(facts.get("Ask"), price(quote?.ask));
    setText(facts.get("Spread"), book.spread(quote));
    for (const name of ["Open", "High", "Low"]) setText(facts.get(name), price(bar?.[name.toLowerCase()]));
    setText(facts.get("Volume"), quantity(bar?.volume));
  }

  function take({ op, topic, data, state, ts, epoch, seq, message }) {
    if (op === "error") return setText(refused, `The broker refuses ${message.startsWith(topic) ? message : `${topic}: ${message}`}`);
    const what = topic.slice(instrument.length + 1);
    if (op === "closed" || data === undefined || data === null) return;
    if (what === "trade") {
      if (op !== "update" || data.px === undefined) return;
      // Trades from the history may still come.
      if (known.epoch === epoch && seq <= known.seq) return;
      known.first ??= { epoch, seq };
      [known.epoch, known.seq] = [epoch, seq];
      trade({ ts, data });
    } else if (what === "book") book.take(state);
    else known[{ quote: "quote", status: "status", bar_1m: "bar" }[what]] = state;
    paintSoon(paint);
  }

  function trade({ ts, data }) {
    if (data.px !== known.last) known.before = known.last;
    known.last = data.px;
    chart.trade(ts, Number(data.px), Number(data.qty));
    tape.trade(ts, data);
    known.trades.push({ ts, data });
    if (known.trades.length > TRADES_MAX) known.trades.shift();
  }

  /**
   * Adds the retained trades before the first one that came. The watch list follows the same topic from a few trades back,
   * and a subscription that joins it continues from there.
   */
  async function lookBack(topic) {
    const asked = known;
    const answer = await history(topic, TRADES_MAX);
    // In the meantime another instrument may have been chosen, or the topic may have begun anew.
    if (known !== asked || answer === null) return;
    const { first } = known;
    if (first && first.epoch !== answer.epoch) return;
    const before = answer.updates.filter(({ seq, data }) => data?.px !== undefined && seq < (first?.seq ?? Infinity));
    const all = [...before, ...known.trades.splice(0)];
    for (const part of [chart, tape]) part.clear();
    if (!first) [known.epoch, known.seq] = [answer.epoch, answer.seq];
    known.last = known.before = null;
    for (const one of all) trade(one);
    paintSoon(paint);
  }

  function leave() {
    for (const subscription of subscriptions) subscription.unsubscribe();
    [instrument, subscriptions, known] = [null, [], fresh()];
    setText(refused, "");
    for (const part of [chart, book, tape]) part.clear();
  }

  return {
    element,
    leave,
    show(client, wanted) {
      if (wanted === instrument) return;
      leave();
      instrument = wanted;
      setText(symbol, wanted.split(".").slice(1).join(".") || wanted);
      const topics = (...names) => names.map((name) => `${wanted}.${name}`);
      try {
        subscriptions.push(client.subscribe(topics("trade"), { from: "live" }, take));
        subscriptions.push(client.subscribe(topics("quote", "book", "status", "bar_1m"), { conflate_ms: BOOK_MS }, take));
      } catch (error) {
        setText(symbol, `${wanted}: ${error.message}`);
      }
      lookBack(`${wanted}.trade`);
      paintSoon(paint);
    },
  };
}
