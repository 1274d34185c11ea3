/** The real Prometheus scrapes a broker under load, and answers every query of the dashboards and rules. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { Client, Publisher, Talker } from "./support/load.js";
import { folder, journaled, secured, startBroker, startPrometheus, until } from "./support/programs.js";
import { dashboards, metricNames, ofNats, panels, panelsOfNats, queries } from "./support/queries.js";

// In the order in which they have to end, the last one started first.
const endings = [];
const atEnd = (ending) => endings.unshift(ending);
let broker, prometheus, publisher, talker;

const scrape = async () => (await fetch(`http://${broker.admin}/metrics`)).text();
const rules = async () => (await Promise.all(["recording", "alerts"].map((name) => readFile(join(folder, `prometheus/rules/${name}.yml`), "utf8")))).join("");

before(async () => {
  const small = ["--behind-bytes", "16384", "--send-buffer-bytes", "8192", "--notsent-lowat-bytes", "4096"];
  broker = await startBroker(atEnd, ["--shards", "2", ...small, ...(await secured(atEnd)), ...(await journaled(atEnd))]);
  prometheus = await startPrometheus(atEnd, broker.admin);
  const readers = Array.from({ length: 5 }, () => new Client(broker.listen, ["test.>"]));
  const sleeper = new Client(broker.listen, ["test.>"]);
  readers[0].say('{"op":"subscribe","topics":["test..wrong"]}');
  atEnd(() => [...readers, sleeper].forEach((client) => client.vanish()));
  publisher = new Publisher(broker.listen);
  atEnd(() => publisher.stop());
  talker = new Talker(readers[0]);
  atEnd(() => talker.stop());
  // More than a quarter of the journal's log: a checkpoint.
  await publisher.burst(400);
  sleeper.stopReading();
  await until(() => publisher.published > 100, "a hundred updates");
  readers.pop().leave();
  readers.pop().vanish();
});

after(async () => {
  for (const ending of endings) await ending();
});

test("promtool finds nothing wrong with /metrics", async () => {
  const said = execFileSync("promtool", ["check", "metrics"], { input: await scrape(), encoding: "utf8", stdio: "pipe" });
  assert.equal(said, "");
});

test("every metric that the dashboards, rules and the runbook name exists", async () => {
  const shown = new Set([...(await scrape()).matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name));
  const texts = [await rules(), await readFile(join(folder, "prometheus/RUNBOOK.md"), "utf8")];
  for (const board of await dashboards()) {
    const { ofPanels, ofPanelsOfNats, ofAnnotations } = queries(board);
    texts.push(...[...ofPanels, ...ofPanelsOfNats, ...ofAnnotations].map(([, query]) => query));
  }
  const named = new Set(texts.flatMap((text) => [...metricNames(text)]));
  assert.ok(named.size > 25, [...named].join(" "));
  // This broker's journal is not in NATS: nats.test.js has one whose is.
  for (const name of named) assert.equal(shown.has(name), !ofNats.test(name), `there is no metric ${name}`);
});

test("every recorded series that a dashboard or an alert asks for is recorded", async () => {
  const text = await rules();
  const recorded = new Set([...text.matchAll(/- record: (\S+)/g)].map(([, name]) => name));
  const asked = JSON.stringify(await dashboards()) + text;
  const names = asked.match(/\b(instance|shard):tickcast_\w+(:\w+)?/g);
  for (const name of names) assert.ok(recorded.has(name), `nothing records ${name}`);
});

test("every query of the dashboards returns data", async () => {
  for (const board of await dashboards()) {
    const { ofPanels, ofAnnotations } = queries(board);
    await Promise.all(
      ofPanels.map(([where, query]) =>
        until(async () => (await prometheus.numbers(query)).length > 0, `data for "${where}": ${query}`),
      ),
    );
    // There was no restart to show, but the query has to be valid.
    for (const [, query] of ofAnnotations) await prometheus.ask("query", { query });
  }
  const instances = await prometheus.ask("label/instance/values", { "match[]": 'up{job="tickcast"}' });
  assert.deepEqual(instances, [broker.admin], "the query of the dashboards' list of brokers");
});

test("without a journal its dashboard is empty: it shows no zeros, and no query is wrong", async () => {
  const board = (await dashboards()).find((board) => board.uid === "tickcast-journal");
  const nats = panelsOfNats(board);
  for (const panel of panels(board)) {
    const said = nats.includes(panel) ? "no journal in NATS" : "no journal";
    assert.equal(panel.fieldConfig.defaults.noValue, said, panel.title);
  }
  const { ofPanels, ofPanelsOfNats } = queries(board, "none");
  for (const [where, query] of [...ofPanels, ...ofPanelsOfNats, ...queries(board).ofPanelsOfNats])
    assert.deepEqual(await prometheus.numbers(query), [], `${where}: ${query}`);
});

test("Prometheus has what happened", async () => {
  await until(async () => (await prometheus.numbers("tickcast_connections"))[0] === 4, "four connections");
  const one = (query) => prometheus.numbers(query).then(([number]) => number);
  await until(async () => (await one("tickcast_connections_behind")) === 1, "the client that does not read is behind");
  await until(async () => (await one("tickcast_connections_parked")) === 1, "its socket takes nothing");
  assert.equal(await one('tickcast_closed_total{reason="client"}'), 1);
  assert.equal(await one('tickcast_closed_total{reason="vanished"}'), 1);
  assert.equal(await one('tickcast_errors_total{code="bad_pattern"} + ignoring (code) tickcast_errors_total{code="bad_topic"}'), 1);
  assert.ok((await one("instance:tickcast_quiet_seconds")) < 30);
  await until(async () => (await one("tickcast_journal_checkpoints_total")) > 0, "a checkpoint");
  assert.equal(await one("tickcast_journal_reading"), 0);
  assert.ok((await one("instance:tickcast_journal_log_bytes:ratio")) < 0.75);
  assert.equal((await prometheus.numbers("tickcast_shard_busy_seconds_total > 0")).length, 2, "both shards were busy");
  assert.ok((await one("instance:tickcast_publish_to_socket_seconds:p99_rate1m")) > 0);
  await publisher.stop();
  talker.stop();
  const published = publisher.published + talker.published;
  await until(async () => {
    const number = await one("tickcast_published_total");
    // The broker's own topic adds an update a second until the scrape.
    return number >= published && number < published + 120;
  }, "all published updates are counted");
  await until(async () => (await one('tickcast_publish_errors_total{code="bad_topic"}')) === publisher.refused, "all refused updates are");
});

test("all rules are evaluated without an error, and no alert fires for a healthy broker", async () => {
  const groups = await until(async () => {
    const { groups } = await prometheus.ask("rules");
    const all = groups.flatMap((group) => group.rules);
    return all.every((rule) => rule.health !== "unknown") && all;
  }, "an evaluation of every rule");
  for (const rule of groups) assert.equal(rule.health, "ok", `${rule.name}: ${rule.lastError}`);
  const firing = groups.filter((rule) => rule.type === "alerting" && rule.state === "firing");
  assert.deepEqual(firing.map((rule) => rule.name), []);
});

test("a broker that ends is seen as down", async () => {
  await publisher.stop();
  broker.process.kill("SIGTERM");
  await until(async () => (await prometheus.numbers('up{job="tickcast"}'))[0] === 0, "up is 0");
  await until(async () => {
    const { alerts } = await prometheus.ask("alerts");
    return alerts.some((alert) => alert.labels.alertname === "TickcastBrokerDown" && alert.state === "pending");
  }, "the alert is pending");
});
