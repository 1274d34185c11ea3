/**
 * The markets: a watch list of every instrument that has quotes or trades, and beside it the chosen one.
 *
 * An instrument is the part of a topic before `.quote` and `.trade`: `stocks.AAPL`, `coinbase.BTC-USD`.
 *
 * @module
 */
import { mayRead, narrowed, notAllowed } from "./allowed.js";
import { el, panel, setAttribute, setText, table } from "./dom.js";
import { ARROWS, NOTHING, decimals, direction, price, signed } from "./format.js";
import { flash, paintSoon } from "./frame.js";
import { subscribeFrom } from "./history.js";
import { instrumentPanel } from "./instrument.js";
import { POINTS_MAX, sparkline } from "./spark.js";

const PATTERNS = ["*.*.quote", "*.*.trade"];
/** More instruments than a person watches; a sentence counts the others. */
const ROWS_MAX = 300;
/** Quotes change faster than the eye can see: twenty a second each are enough. Trades are never conflated. */
const CONFLATE_MS = 50;
/** How often each sparkline is redrawn at most, and how many are with one paint. */
const SPARK_MS = 1000, SPARKS_PER_PAINT = 3;
/** Rows out of sight painted with one paint: a few at a time, for people who search the page or use a screen reader. */
const UNSEEN_PER_PAINT = 2;
const COLUMNS = [["Symbol", "symbol"], ["Trend", "trend"], ["Last", "number"], ["Change", "number change-head"], ["%", "number percent-head"], ["Bid", "number wide"], ["Ask", "number wide"]];

const EMPTY = "No instrument has been quoted or traded yet. Instruments appear here as soon as they are.";

/** The view. */
export function showMarkets() {
  const { table: list, body } = table("Instruments with their last price, its change, and the best bid and ask", COLUMNS, "watch");
  const empty = el("p", { class: "hint" }, EMPTY);
  const more = el("p", { class: "hint", hidden: true });
  const chosen = instrumentPanel();
  const { panel: watch } = panel("Watch list", "watch-panel", el("div", { class: "scroll" }, list, empty, more));
  const element = el("div", { class: "markets" }, watch, chosen.element);
  /** The rows by instrument; those with changes to paint, and those with a sparkline to draw, in the order of the changes. */
  const rows = new Map(), changed = new Set(), moved = new Set();
  const inSight = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) {
      const row = rows.get(target.dataset.instrument);
      if (row) row.isSeen = isIntersecting;
    }
    paintSoon(paint);
  });
  let subscription = null, client = null, wanted = "", beyond = new Set();

  function paint(now) {
    let unseen = 0, sparks = 0;
    for (const row of changed) {
      if (!row.isSeen && ++unseen > UNSEEN_PER_PAINT) continue;
      changed.delete(row);
      row.paint();
    }
    for (const row of moved) {
      if (!row.isSeen || now - row.drawnAt < SPARK_MS) continue;
      if (row.drawnAt > 0 && ++sparks > SPARKS_PER_PAINT) continue;
      moved.delete(row);
      row.draw(now);
    }
    if (changed.size > 0 || sparks > SPARKS_PER_PAINT) paintSoon(paint);
    else if (moved.size > 0) paintSoon(paint, SPARK_MS);
  }

  function rowOf(instrument) {
    const known = rows.get(instrument);
    if (known) return known;
    if (rows.size >= ROWS_MAX) {
      beyond.add(instrument);
      more.hidden = false;
      setText(more, `and ${beyond.size === ROWS_MAX ? "many" : beyond.size} more; the Raw tab shows any topic`);
      if (beyond.size >= ROWS_MAX) beyond = new Set([...beyond].slice(0, ROWS_MAX));
      return null;
    }
    const row = new Row(instrument);
    rows.set(instrument, row);
    const after = [...rows.keys()].filter((name) => name > instrument).sort()[0];
    inSight.observe(row.element);
    body.insertBefore(row.element, after === undefined ? null : rows.get(after).element);
    empty.hidden = true;
    if (wanted === "") choose();
    else row.choose(instrument === wanted);
    return row;
  }

  function take(message) {
    if (message.op === "error") {
      empty.hidden = rows.size > 0;
      return setText(empty, `The broker refuses ${message.topic}: ${message.message} (${message.code}).`);
    }
    const at = message.topic.lastIndexOf("."), instrument = message.topic.slice(0, at);
    const row = rowOf(instrument), what = message.topic.slice(at + 1);
    if (!row?.take(message, what)) return;
    changed.add(row);
    if (what === "trade") moved.add(row);
    paintSoon(paint);
  }

  /** Shows the wanted instrument or, if none is wanted, the first (on a wide screen). */
  function choose() {
    const instrument = wanted === "" ? [...rows.keys()].sort()[0] : wanted;
    for (const row of rows.values()) row.choose(row.instrument === instrument);
    if (instrument !== undefined) chosen.show(client, instrument);
  }

  function subscribe() {
    const patterns = narrowed(client, PATTERNS);
    [subscription, empty.hidden] = [null, false];
    setText(empty, patterns.length === 0 ? notAllowed(client, PATTERNS) : sayEmpty(patterns));
    if (patterns.length > 0) subscription = subscribeFrom(client, patterns, POINTS_MAX, { conflate_ms: CONFLATE_MS }, take);
  }

  /** A person may read a part of the patterns in which there are no instruments at all. */
  function sayEmpty(patterns) {
    if (PATTERNS.every((one) => patterns.includes(one))) return EMPTY;
    return `There is no instrument yet that you may read. ${mayRead(client.authenticated)}`;
  }

  return {
    title: "Markets",
    element,
    enter(ours, rest, within) {
      client = ours;
      wanted = rest;
      element.dataset.chosen = rest === "" ? "no" : "yes";
      if (!within) subscribe();
      choose();
    },
    leave() {
      subscription?.unsubscribe();
      chosen.leave();
      for (const all of [changed, moved]) all.clear();
      inSight.disconnect();
      rows.clear();
      beyond.clear();
      more.hidden = true;
      body.replaceChildren();
    },
  };
}

/** An instrument in the list: what is known of it, and its cells. */
class Row {
  #quote = null; #last = null; #before = null; #first = null; #points = []; #ended = false;
  #link; #cells; #spark = sparkline();
  /** Whether it is in the visible part of the window; when its sparkline was last drawn. */
  isSeen = false; drawnAt = -Infinity;
  /** What the cells show now, to decide about flashes. */
  #shown = {};

  constructor(instrument) {
    this.instrument = instrument;
    const [venue, symbol] = instrument.split(".");
    this.#link = el("a", { href: `#/markets/${encodeURIComponent(instrument)}` }, symbol);
    const cell = (name) => el("td", { class: name }, "");
    this.#cells = { last: cell("number last"), change: cell("number change"), percent: cell("number change percent"), bid: cell("number wide"), ask: cell("number wide") };
    const name = el("th", { scope: "row", class: "symbol" }, this.#link, el("span", { class: "venue" }, venue === "stocks" ? "" : venue));
    const { last, change, percent, bid, ask } = this.#cells;
    this.element = el("tr", { "data-instrument": instrument }, name, el("td", { class: "trend" }, this.#spark.element), last, change, percent, bid, ask);
  }

  choose(is) {
    setAttribute(this.#link, "aria-current", is ? "true" : null);
  }

  /** Handles a message. Returns whether there is anything to paint. */
  take({ op, data, state }, what) {
    if (op === "closed") {
      this.#ended = true;
      return true;
    }
    if (data === undefined || data === null) return false;
    this.#ended = false;
    if (what === "quote") this.#quote = state ?? data;
    else if (op === "update" && data.px !== undefined) this.#trade(String(data.px));
    return true;
  }

  #trade(px) {
    const value = Number(px);
    if (!Number.isFinite(value)) return;
    this.#first ??= value;
    if (value !== Number(this.#last)) this.#before = this.#last;
    this.#last = px;
    this.#points.push(value);
    if (this.#points.length > POINTS_MAX) this.#points.shift();
  }

  /** Writes what changed. */
  paint() {
    const { bid, ask } = this.#quote ?? {};
    setAttribute(this.element, "data-ended", this.#ended ? "" : null);
    this.#show("bid", price(bid), Number(bid));
    this.#show("ask", price(ask), Number(ask));
    this.#show("last", price(this.#last), Number(this.#last));
    const change = this.#last === null ? 0 : Number(this.#last) - this.#first, towards = direction(change, 0);
    setText(this.#cells.change, this.#last === null ? NOTHING : `${ARROWS[towards]} ${signed(change, decimals(this.#last))}`);
    setText(this.#cells.percent, this.#first ? signed((change / this.#first) * 100, 2) : NOTHING);
    setAttribute(this.element, "data-towards", towards);
  }

  /** Draws the sparkline. */
  draw(now) {
    this.drawnAt = now;
    this.#spark.draw(this.#points);
  }

  #show(name, text, value) {
    const before = this.#shown[name];
    if (before?.text === text) return;
    this.#shown[name] = { text, value };
    setText(this.#cells[name], text);
    if (this.isSeen && before !== undefined && Number.isFinite(before.value) && Number.isFinite(value)) flash(this.#cells[name], direction(value, before.value));
  }
}
