/** The files by themselves: complete, readable and consistent with each other. */
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { folder } from "./support/programs.js";
import { dashboards, panels } from "./support/queries.js";

const read = (name) => readFile(join(folder, name), "utf8");

test("each panel's title is a question, and panels do not overlap", async () => {
  for (const board of await dashboards()) {
    const taken = new Set();
    for (const panel of panels(board)) {
      const where = `${board.title}: ${panel.title}`;
      assert.match(panel.title, /\?$/, where);
      assert.ok(panel.description.length > 20, `${where}: the description says how to read it`);
      const { x, y, w, h } = panel.gridPos;
      assert.ok(x >= 0 && x + w <= 24, `${where} is outside the grid`);
      for (let column = x; column < x + w; column++)
        for (let row = y; row < y + h; row++) {
          assert.ok(!taken.has(`${column} ${row}`), `${where} overlaps another panel`);
          taken.add(`${column} ${row}`);
        }
    }
    const ids = panels(board).map((panel) => panel.id);
    assert.equal(new Set(ids).size, ids.length);
    assert.ok(ids.length <= 16, `${board.title} has ${ids.length} panels: too many to read`);
  }
});

test("dashboards ask the data source that is provisioned, and link to each other", async () => {
  const [, uid] = /uid: (\S+)/.exec(await read("grafana/provisioning/datasources/tickcast.yml"));
  const boards = await dashboards();
  for (const board of boards) {
    const sources = JSON.stringify(board).match(/"datasource":\{[^}]*\}/g);
    for (const source of new Set(sources)) assert.equal(JSON.parse(`{${source}}`).datasource.uid, uid);
    for (const link of board.links) assert.ok(boards.some((other) => link.url === `/d/${other.uid}`), link.url);
  }
});

test("each alert has a section of the runbook, and a case where it fires and one where it does not", async () => {
  const alerts = [...(await read("prometheus/rules/alerts.yml")).matchAll(/- alert: (\w+)/g)].map(([, name]) => name);
  assert.ok(alerts.length > 0);
  const rules = await read("prometheus/rules/alerts.yml");
  const runbook = await read("prometheus/RUNBOOK.md");
  const sections = [...runbook.matchAll(/^## (\w+)$/gm)].map(([, name]) => name);
  assert.deepEqual([...sections].sort(), [...alerts].sort(), "the runbook's sections are the alerts");
  const cases = (await read("prometheus/tests/alerts.yml")).split(/alertname: /).slice(1);
  for (const alert of alerts) {
    assert.ok(rules.includes(`runbook: RUNBOOK.md#${alert.toLowerCase()}\n`), `${alert} links to its section`);
    const own = cases.filter((text) => text.startsWith(alert) && !/\w/.test(text[alert.length]));
    assert.ok(own.some((text) => /^\w+, exp_alerts: \[\]/.test(text)), `${alert}: where does it not fire?`);
    assert.ok(own.some((text) => /^\w+\s+exp_alerts:\s+- exp_labels/.test(text)), `${alert}: where does it fire?`);
  }
});
