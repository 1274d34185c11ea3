/** What Prometheus has of a broker whose journal is in NATS, while its nats-server runs and when it is gone. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { folder, startBroker, startNats, startPrometheus, until } from "./support/programs.js";
import { dashboards, metricNames, ofNats, queries } from "./support/queries.js";

const endings = [];
const atEnd = (ending) => endings.unshift(ending);
const skip = process.env.NATS_SERVER ? false : "there is no nats-server";
let broker, nats, prometheus;

before(async () => {
  if (skip) return;
  nats = await startNats(atEnd);
  broker = await startBroker(atEnd, ["--shards", "1", ...nats.flags]);
  const address = `http://${broker.listen}/v1/topics/test.nats`;
  const published = await fetch(address, { method: "POST", headers: { "Content-Type": "application/json" }, body: "1" });
  assert.equal(published.status, 200, await published.text());
  prometheus = await startPrometheus(atEnd, broker.admin);
});

after(async () => {
  for (const ending of endings) await ending();
});

test("every metric of a journal in NATS that the dashboards, rules and the runbook name exists", { skip }, async () => {
  const text = await (await fetch(`http://${broker.admin}/metrics`)).text();
  assert.equal(execFileSync("promtool", ["check", "metrics"], { input: text, encoding: "utf8", stdio: "pipe" }), "");
  const shown = new Set([...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const files = ["prometheus/rules/alerts.yml", "prometheus/RUNBOOK.md", "grafana/journal.json"];
  const texts = await Promise.all(files.map((file) => readFile(join(folder, file), "utf8")));
  const named = [...metricNames(texts.join(" "))].filter((name) => ofNats.test(name));
  assert.equal(named.length, 9, named.join(" "));
  for (const name of named) assert.ok(shown.has(name), `there is no metric ${name}`);
});

test("every query about NATS returns data", { skip }, async () => {
  const all = (await dashboards()).flatMap((board) => queries(board).ofPanelsOfNats);
  assert.ok(all.length > 6);
  for (const [where, query] of all)
    await until(async () => (await prometheus.numbers(query)).length > 0, `data for "${where}": ${query}`);
});

test("no alert fires for a healthy broker, and nothing is repeated", { skip }, async () => {
  const rules = await until(async () => {
    const { groups } = await prometheus.ask("rules");
    const all = groups.flatMap((group) => group.rules);
    return all.every((rule) => rule.health !== "unknown") && all;
  }, "an evaluation of every rule");
  for (const rule of rules) assert.equal(rule.health, "ok", `${rule.name}: ${rule.lastError}`);
  const alerts = rules.filter((rule) => rule.type === "alerting" && rule.name.startsWith("TickcastJournal"));
  assert.deepEqual(alerts.filter((rule) => rule.state !== "inactive").map((rule) => rule.name), []);
  for (const query of ["tickcast_journal_lag_records", "tickcast_journal_resent_total", "sum(tickcast_journal_dropped_total)"])
    assert.deepEqual(await prometheus.numbers(query), [0], query);
});

test("a nats-server that is gone is seen, and the broker is not ready", { skip }, async () => {
  nats.process.kill("SIGTERM");
  await until(async () => (await prometheus.numbers("tickcast_journal_connected"))[0] === 0, "no connection");
  await until(async () => (await prometheus.numbers("tickcast_journal_stale"))[0] === 1, "stale");
  assert.equal((await fetch(`http://${broker.admin}/readyz`)).status, 503);
  await until(async () => {
    const { alerts } = await prometheus.ask("alerts");
    return alerts.some(({ labels, state }) => labels.alertname === "TickcastJournalDisconnected" && state === "pending");
  }, "the alert is pending");
});
