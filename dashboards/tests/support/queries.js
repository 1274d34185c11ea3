/** Every query of the dashboards, as Grafana would send it. */
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { folder } from "./programs.js";

export async function dashboards() {
  const names = (await readdir(join(folder, "grafana"))).filter((name) => name.endsWith(".json"));
  return Promise.all(names.map(async (name) => JSON.parse(await readFile(join(folder, "grafana", name), "utf8"))));
}

/** The metrics that only a broker has whose journal is in NATS. */
export const ofNats = /^tickcast_journal_(connected|stale|silent_seconds|lag_records|settings_differ|in_doubt|differing_total|resent_total|dropped_total)$/;

/** The panels of such brokers, which are in a row of their own. */
export function panelsOfNats(board) {
  return board.panels.filter((panel) => panel.title === "A journal in NATS").flatMap((row) => row.panels);
}

export function panels(board) {
  return board.panels.flatMap((panel) => [panel, ...(panel.panels ?? [])]).filter((panel) => panel.type !== "row");
}

/** A query with the values of Grafana's variables when these brokers are selected and scrapes come each second. */
const filled = (query, instance) => query.replaceAll("$instance", instance).replaceAll("$__rate_interval", "4s");

/** `[location, query]` of panels, of panels about NATS, and of annotations, for every broker or for those that are named. */
export function queries(board, instance = ".*") {
  const of = (some) =>
    some.flatMap((panel) =>
      panel.targets.map((target) => [`${board.title}: ${panel.title} ${target.refId}`, filled(target.expr, instance)]),
    );
  const nats = panelsOfNats(board);
  const ofPanels = of(panels(board).filter((panel) => !nats.includes(panel)));
  const ofAnnotations = board.annotations.list.map((annotation) => [`${board.title}: ${annotation.name}`, filled(annotation.expr, instance)]);
  return { ofPanels, ofPanelsOfNats: of(nats), ofAnnotations };
}

/** The names of the broker's metrics in a text. The parts of a histogram count as the histogram. */
export function metricNames(text) {
  const names = text.match(/(?<![\w:$])(tickcast|process)_[a-z_]+(?![\w:])/g) ?? [];
  return new Set(names.map((name) => name.replace(/_(bucket|sum|count)$/, "")));
}
