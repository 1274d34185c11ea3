/**
 * Matches: every scoreboard, and the statistics and events of the chosen match. Corrections are shown as corrections.
 *
 * A match is the part of a topic before `.score`, `.event` and `.stats`: `sports.football.NOR-HAR`.
 *
 * @module
 */
import { narrowed, notAllowed } from "./allowed.js";
import { el, panel, setAttribute, setText } from "./dom.js";
import { words } from "./format.js";
import { flash, paintSoon } from "./frame.js";
import { subscribeFrom } from "./history.js";
import { timeline } from "./timeline.js";

const SCORES = "sports.*.*.score";
const CARDS_MAX = 100;
/** Retained events that a match's list begins with. */
const EVENTS_BEFORE = 500;

const EMPTY = "No match has a score yet. Matches appear here as soon as they do.";

/** A side's goals or points, whatever the sport calls them. */
const points = (score, side) => String(score?.[`${side}_goals`] ?? score?.[`${side}_points`] ?? 0);
/** The clock and phase of a match. */
const phase = (score) => [score.clock, words(score.status ?? "")].filter(Boolean).join(" · ");

/** The view. */
export function showMatches() {
  const list = el("ul", { class: "cards" });
  const empty = el("p", { class: "hint" }, EMPTY);
  const chosen = matchPanel();
  const { panel: all } = panel("Matches", "matches-panel", el("div", { class: "scroll" }, list, empty));
  const element = el("div", { class: "matches" }, all, chosen.element);
  const cards = new Map();
  let subscription = null, client = null, wanted = "", isRefused = false;

  const paint = () => { for (const card of cards.values()) card.paint(); };

  function take({ op, topic, state, code, message }) {
    if (op === "error") {
      empty.hidden = cards.size > 0;
      isRefused = true;
      choose();
      return setText(empty, `The broker refuses ${topic}: ${message} (${code}).`);
    }
    const match = topic.slice(0, -".score".length);
    if (op === "closed" || typeof state !== "object" || state === null) return;
    let card = cards.get(match);
    if (!card) {
      if (cards.size >= CARDS_MAX) return;
      cards.set(match, (card = scoreCard(match)));
      const after = [...cards.keys()].filter((name) => name > match).sort()[0];
      list.insertBefore(card.element, after === undefined ? null : cards.get(after).element);
      empty.hidden = true;
      choose();
    }
    card.score = state;
    if (match === chosen.match()) chosen.score(state);
    paintSoon(paint);
  }

  function choose() {
    const match = wanted === "" ? [...cards.keys()].sort()[0] : wanted;
    for (const card of cards.values()) setAttribute(card.link, "aria-current", card.match === match ? "true" : null);
    // Whoever may read no scores has no match to look at, unless the address names one.
    chosen.element.hidden = isRefused && match === undefined;
    if (match !== undefined) chosen.show(client, match, cards.get(match)?.score);
  }

  function subscribe() {
    const patterns = narrowed(client, [SCORES]);
    isRefused = patterns.length === 0;
    setText(empty, isRefused ? notAllowed(client, [SCORES]) : EMPTY);
    subscription = isRefused ? null : client.subscribe(patterns, take);
  }

  return {
    title: "Matches",
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
      cards.clear();
      list.replaceChildren();
      empty.hidden = false;
    },
  };
}

/** A match in the list. */
function scoreCard(match) {
  const side = () => ({ name: el("span", { class: "club" }, ""), goals: el("span", { class: "goals" }, "") });
  const home = side(), away = side(), where = el("span", { class: "where" }, "");
  const link = el("a", { href: `#/matches/${encodeURIComponent(match)}` }, home.name, home.goals, away.name, away.goals, where);
  return {
    match, link, score: null, element: el("li", {}, link),
    paint() {
      for (const [cells, name] of [[home, "home"], [away, "away"]]) {
        setText(cells.name, String(this.score[name] ?? name));
        if (!["", points(this.score, name)].includes(cells.goals.textContent)) flash(cells.goals, "up");
        setText(cells.goals, points(this.score, name));
      }
      setText(where, phase(this.score));
    },
  };
}

/** The chosen match. */
function matchPanel() {
  const names = { home: el("h2", { class: "club" }, ""), away: el("p", { class: "club" }, "") };
  const goals = { home: el("span", {}, ""), away: el("span", {}, "") };
  const where = el("p", { class: "where" }, ""), announced = el("p", { class: "unseen", role: "status" });
  const coverage = el("p", { class: "badge" }, "Coverage is suspended: missing events come later");
  const back = el("a", { class: "back", href: "#/matches" }, "‹ Matches");
  const middle = el("div", { class: "middle" }, el("p", { class: "result" }, goals.home, el("span", { class: "colon" }, ":"), goals.away), where);
  const board = el("header", { class: "scoreboard" }, back, names.home, middle, names.away, coverage, announced);
  const stats = statistics(), events = timeline();
  const parts = [panel("Events", "events-panel", events.element), panel("Statistics", "stats-panel", stats.element)];
  const element = el("section", { class: "match", "aria-label": "Chosen match" }, board, ...parts.map((part) => part.panel));
  let match = null, subscriptions = [], score = null;

  function paint() {
    if (score === null) return;
    const before = goals.home.textContent + goals.away.textContent;
    for (const side of ["home", "away"]) {
      setText(names[side], String(score[side] ?? side));
      if (!["", points(score, side)].includes(goals[side].textContent)) flash(goals[side], "up");
      setText(goals[side], points(score, side));
    }
    setText(where, phase(score));
    coverage.hidden = score.coverage === undefined || score.coverage === "live";
    // Only a changed score is announced; a clock is not worth an interruption.
    const result = `${score.home} ${points(score, "home")}, ${score.away} ${points(score, "away")}`;
    if (before !== "" && before !== goals.home.textContent + goals.away.textContent) setText(announced, result);
  }

  function take({ op, topic, data, state, message }) {
    if (op === "error") return setText(where, `The broker refuses ${topic}: ${message}`);
    if (op === "closed" || data === undefined || data === null) return;
    if (topic.endsWith(".stats")) stats.show(state);
    else if (op === "update") events.add(data);
  }

  function leave() {
    for (const subscription of subscriptions) subscription.unsubscribe();
    [match, subscriptions, score] = [null, [], null];
    for (const node of [...Object.values(names), ...Object.values(goals), where, announced]) setText(node, "");
    coverage.hidden = true;
    events.clear();
    stats.show(null);
  }
  leave();

  return {
    element, leave,
    match: () => match,
    score(state) {
      score = state;
      paintSoon(paint);
    },
    show(client, wanted, known) {
      if (wanted === match) return;
      leave();
      match = wanted;
      if (known) this.score(known);
      try {
        subscriptions.push(subscribeFrom(client, `${match}.event`, EVENTS_BEFORE, {}, take), client.subscribe(`${match}.stats`, take));
      } catch (error) {
        setText(where, `${match}: ${error.message}`);
      }
    },
  };
}

/** The statistics of both sides, each with a bar that shows their shares. */
function statistics() {
  const list = el("dl", { class: "stats" }), rows = new Map();
  let state = null;

  function paint() {
    const { home = {}, away = {} } = state ?? {};
    const keys = Object.keys({ ...home, ...away }).filter((key) => Number.isFinite(home[key] ?? away[key])).slice(0, 40);
    for (const [key, row] of rows) if (!keys.includes(key)) (row.element.remove(), rows.delete(key));
    for (const key of keys) {
      let row = rows.get(key);
      if (!row) {
        row = { home: el("dd", {}, ""), away: el("dd", {}, ""), bar: el("div", { class: "share", "aria-hidden": "true" }) };
        row.element = el("div", {}, el("dt", {}, words(key).replace(/ pct$/, " %")), row.home, row.away, row.bar);
        rows.set(key, row);
        list.append(row.element);
      }
      const ours = Number(home[key] ?? 0), theirs = Number(away[key] ?? 0);
      setText(row.home, String(ours));
      setText(row.away, String(theirs));
      row.bar.style.setProperty("--home", ours + theirs === 0 ? "0%" : `${(ours / (ours + theirs)) * 100}%`);
    }
  }

  return {
    element: list,
    show(next) {
      state = next;
      paintSoon(paint);
    },
  };
}
