/**
 * The broker's own health: the figures of `$SYS.stats`, the slowest connections and the busiest topics.
 *
 * @module
 */
import { el, panel, setText, table } from "./dom.js";
import { NOTHING, bytes, count, micros, rate, span, things } from "./format.js";
import { paintSoon } from "./frame.js";
import { showOperator } from "./operator.js";
import { sparkline } from "./spark.js";
import { ask } from "./token.js";

const STATS = "$SYS.stats";
/** How often the topics are listed, and how many at most. */
const TOPICS_MS = 2000, TOPICS_MAX = 1000;
const BUSIEST = 12;
/** How many seconds the lines on the tiles cover. */
const SECONDS = 120;

/** The tiles: title, value, a second line, and the number that is drawn. */
const TILES = [
  ["Connections", (s) => count(s.connections), (s) => things(s.subscriptions, "subscription"), (s) => s.connections],
  ["Published", (s) => `${rate(s.published_per_s)}/s`, (s) => `${count(s.published)} in all`, (s) => s.published_per_s],
  ["Delivered", (s) => `${rate(s.deliveries_per_s)}/s`, (s) => `${bytes(s.sent_bytes_per_s)}/s`, (s) => s.deliveries_per_s],
  ["Latency, p99", (s) => micros(s.latency_us?.p99), (s) => latencies(s.latency_us), (s) => s.latency_us?.p99],
  ["Memory of topics", (s) => bytes(s.history_bytes + s.image_bytes), (s) => `${things(s.topics, "topic")}, ${bytes(s.feed_backlog_bytes)} backlog`, (s) => s.history_bytes + s.image_bytes],
  ["Updates lost", (s) => count(s.gap_updates), (s) => `${things(s.fell_behind, "time")} behind, ${things(s.connections_parked, "full socket")}`, (s) => s.gap_updates],
];

/** The other percentiles, or why there are none: the broker measures updates of feeds, over ten seconds. */
function latencies(latency) {
  if (latency?.p50 === undefined || latency.p50 === null) return "no feed update sent in 10 s";
  return `p50 ${micros(latency.p50)}, p99.9 ${micros(latency.p999)}`;
}

/** The view. */
export function showBroker() {
  const tiles = TILES.map(([title, value, more, drawn]) => {
    const [big, small, line] = [el("dd", { class: "value" }, NOTHING), el("dd", { class: "more" }, ""), sparkline()];
    return { value, more, drawn, big, small, line, points: [], element: el("div", { class: "tile" }, el("dt", {}, title), big, small, el("dd", { class: "line" }, line.element)) };
  });
  const said = el("p", { class: "said", role: "status", hidden: true });
  const uptime = el("p", { class: "uptime" }, "");
  const slow = table("The connections with the most pending bytes, worst first", [["Session", ""], ["Waiting", "number"], ["Updates", "number"], ["Behind for", "number"], ["Subscriptions", "number wide"], ["Connected for", "number wide"]], "plain");
  const none = el("p", { class: "hint" }, "No connection is behind.");
  const busy = table("The topics with the most updates per second", [["Topic", ""], ["Updates/s", "number"], ["Subscribers", "number"], ["Sequence", "number wide"]], "plain");
  const partly = el("p", { class: "hint small" }, "");
  const operator = showOperator();
  const figures = el("dl", { class: "tiles" }, ...tiles.map((tile) => tile.element));
  const slowest = panel("Slowest connections", "slow-panel", el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Slowest connections" }, slow.table, none)).panel;
  const element = el("div", { class: "health" }, said, figures, slowest,
    panel("Busiest topics", "busy-panel", el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Busiest topics" }, busy.table, partly)).panel, operator.element, uptime);
  let subscription = null, timer, stats = null, before = new Map(), countedAt = 0;

  function paint() {
    if (stats === null) return;
    for (const tile of tiles) {
      setText(tile.big, tile.value(stats));
      setText(tile.small, tile.more(stats));
      tile.line.draw(tile.points);
    }
    setText(uptime, `Up for ${span(stats.uptime_s)} on ${things(stats.shards, "shard")}. Latency is measured from accepting an update to giving it to a socket, over the last ten seconds.`);
    const now = Date.now() * 1000, since = (ts) => (ts === null ? NOTHING : span((now - ts) / 1e6));
    const behind = (stats.slowest ?? []).filter((row) => row.lag_updates > 0);
    none.hidden = behind.length > 0;
    if (Number.isInteger(stats.admin_port)) operator.at(stats.admin_port);
    fill(slow.body, behind.map((row) => [row.session, bytes(row.lag_bytes), count(row.lag_updates), since(row.lagging_since), count(row.subscriptions), since(row.connected_ts)]), ["", "number", "number", "number", "number wide", "number wide"]);
    for (const { cells: [cell] } of slow.body.rows) {
      // A session leads to the connection.
      if (cell.querySelector("button") === null) {
        const button = el("button", { type: "button", class: "session", onclick: () => operator.look(button.textContent) }, cell.textContent);
        cell.replaceChildren(button);
      }
    }
  }

  /** Shows what comes from the broker's own figures, or the reason why there are none. */
  function showOwn(are) {
    said.hidden = are;
    for (const part of [figures, slowest, uptime]) part.hidden = !are;
  }

  function take({ op, code, message, state }) {
    if (op === "error") {
      showOwn(false);
      operator.at(null);
      return setText(said, `The broker does not let this page see its own figures: ${message} (${code}).`);
    }
    if (typeof state !== "object" || state === null) return;
    showOwn(true);
    stats = state;
    for (const tile of tiles) {
      const value = tile.drawn(stats);
      if (Number.isFinite(value)) tile.points.push(value);
      if (tile.points.length > SECONDS) tile.points.shift();
    }
    paintSoon(paint);
  }

  /** Lists the topics, and counts their updates since the last time. */
  async function look() {
    const answer = await ask(`/v1/topics?limit=${TOPICS_MAX}`);
    if (subscription === null) return;
    const now = performance.now(), seconds = (now - countedAt) / 1000;
    if (answer?.topics) {
      const rows = answer.topics.map((row) => ({ ...row, known: before.get(row.topic) }));
      const rated = rows.map((row) => ({ ...row, per_s: row.known?.epoch === row.epoch ? Math.max(0, row.seq - row.known.seq) / seconds : 0 }));
      if (before.size > 0) {
        rated.sort((one, other) => other.per_s - one.per_s || other.seq - one.seq);
        fill(busy.body, rated.slice(0, BUSIEST).map((row) => [row.topic, rate(row.per_s), count(row.subscribers), count(row.seq)]), ["topic", "number", "number", "number wide"]);
        setText(partly, answer.next === null ? "" : `Only the first ${count(TOPICS_MAX)} topics by name are counted.`);
      }
      before = new Map(answer.topics.map(({ topic, epoch, seq }) => [topic, { epoch, seq }]));
      countedAt = now;
    }
    // The second time comes soon, so that there is something to see.
    timer = setTimeout(look, busy.body.childElementCount === 0 ? TOPICS_MS / 2 : TOPICS_MS);
  }

  return {
    title: "Broker",
    element,
    enter(client, rest, within) {
      if (within) return;
      subscription = client.subscribe(STATS, take);
      look();
    },
    leave() {
      subscription.unsubscribe();
      subscription = null;
      clearTimeout(timer);
      before = new Map();
      for (const tile of tiles) tile.points = [];
    },
  };
}

/** Fills a table's body with rows of texts. Existing rows and cells are kept and change their text. */
function fill(body, rows, classes) {
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach((texts, at) => {
    const row = body.rows[at] ?? body.appendChild(el("tr", {}, ...classes.map((name) => el("td", { class: name }, ""))));
    texts.forEach((text, column) => setText(row.cells[column].querySelector("button") ?? row.cells[column], text));
  });
}
