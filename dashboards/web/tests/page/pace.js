/** More than five hundred updates a second on the screen: the frames and the longest tasks. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open } from "../support/market.js";
import { withPage, DESKTOP } from "../support/live_page.js";

const SYMBOLS = Array.from({ length: 40 }, (_, at) => `S${String(at).padStart(2, "0")}`);
const PER_SECOND = 600, BATCH_MS = 25, SECONDS = 4;
/** The most paints a second: one every 25 ms (live/frame.js), and the ages in the footer. */
const PAINTS_MAX = 44;

/** The seconds that the page's main thread has worked so far, by kind of work. */
async function spent(page) {
  const { metrics } = await page.devtools("Performance.getMetrics");
  return Object.fromEntries(["TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration"].map((wanted) => [wanted, metrics.find(({ name }) => name === wanted).value]));
}

/** Publishes quotes and trades in small batches until it is stopped. */
async function market(broker, signal) {
  const begun = performance.now();
  let published = 0;
  while (!signal.stop) {
    const due = Math.floor(((performance.now() - begun) * PER_SECOND) / 1000), lines = [];
    for (; published < due; published += 1) {
      const symbol = SYMBOLS[published % SYMBOLS.length], price = 100 + Math.sin(published / 37) * 3, px = price.toFixed(2);
      lines.push(published % 3 === 0
        ? { topic: `stocks.${symbol}.trade`, kind: "event", data: { id: published, px, qty: "100", side: published % 2 ? "buy" : "sell" } }
        : { topic: `stocks.${symbol}.quote`, kind: "state", data: { bid: px, bid_qty: "100", ask: (price + 0.01).toFixed(2), ask_qty: "5" } });
    }
    if (lines.length > 0)
      await fetch(`http://${broker.address}/v1/publish`, { method: "POST", headers: { "Content-Type": "application/x-ndjson" }, body: lines.map((line) => JSON.stringify(line)).join("\n") }).then((answer) => answer.arrayBuffer());
    await new Promise((next) => setTimeout(next, BATCH_MS));
  }
}

test("500 updates a second on screen: one paint per frame", async (t) => {
  const broker = await Broker.start(t);
  await open(broker, SYMBOLS);
  const signal = { stop: false };
  t.after(() => { signal.stop = true; });
  const publishing = market(broker, signal);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address);
    await page.until(`document.querySelectorAll(".watch tbody tr").length === ${SYMBOLS.length}`);
    // A second client in the page counts the updates; the page's paints are counted by their changes.
    await page.devtools("Performance.enable", { timeDomain: "threadTicks" });
    const before = await spent(page);
    const seen = await page.run(`{
      const { connect } = await import("/tickcast.js");
      const client = connect(), tasks = [];
      let updates = 0, frames = 0, batches = 0, going = true;
      client.subscribe(["*.*.quote", "*.*.trade"], { conflate_ms: 50 }, ({ data }) => { if (data !== undefined) updates += 1; });
      await new Promise((settled) => setTimeout(settled, 500));
      new PerformanceObserver((list) => tasks.push(...list.getEntries().map(({ duration }) => Math.round(duration)))).observe({ type: "longtask" });
      new MutationObserver(() => { batches += 1; }).observe(document.querySelector("main"), { subtree: true, childList: true, characterData: true, attributes: true });
      const frame = () => { frames += 1; if (going) requestAnimationFrame(frame); };
      requestAnimationFrame(frame);
      updates = 0;
      const begun = performance.now();
      await new Promise((over) => setTimeout(over, ${SECONDS * 1000}));
      const seconds = (performance.now() - begun) / 1000;
      going = false;
      client.close();
      return { seconds, updates, frames, batches, tasks };
    }`);
    const after = await spent(page);
    const { seconds, updates, frames, batches, tasks } = seen;
    const busy = tasks.reduce((sum, one) => sum + one, 0) / seconds / 1000;
    // The CPU time of the page's own thread, without other work of the machine, and with half a second from before.
    const used = Object.entries(after).map(([name, value]) => [name, (value - before[name]) / (seconds + 0.5)]);
    console.log(`of a core: ${used.map(([name, share]) => `${name} ${(share * 100).toFixed(1)} %`).join(", ")}`);
    console.log(`${(updates / seconds).toFixed(0)} updates/s on screen, ${(frames / seconds).toFixed(1)} frames/s, ${batches} paints in ${frames} frames, ` +
      `${tasks.length} tasks above 50 ms, the longest ${Math.max(0, ...tasks)} ms, ${(busy * 100).toFixed(1)} % of the time`);
    assert.ok(updates / seconds >= 500, `${updates} updates in ${seconds} s`);
    assert.ok(batches <= frames + 2, "not more than one paint per frame");
    assert.ok(batches / seconds <= PAINTS_MAX, `${batches} paints in ${seconds} s`);
    // The share of a core and the frames a second are only printed above: a slow machine is not the fault of the page.
    assert.ok(frames > 0 && used.length > 0);
    assert.deepEqual(await page.wrong(), []);
  });
  signal.stop = true;
  await publishing;
});
