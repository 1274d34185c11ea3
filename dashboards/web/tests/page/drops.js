/** A broker that is killed and restarted while the page is open. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open, quote, trade } from "../support/market.js";
import { withPage, DESKTOP } from "../support/live_page.js";

test("the page marks its data as old, reconnects by itself, and continues", async (t) => {
  const broker = await Broker.start(t);
  await open(broker, ["AAA"]);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address);
    await page.shows("#link-text", "Live");
    await page.shows(".watch tbody", "100.00");

    await broker.kill();
    await page.shows("#link-text", "Reconnecting");
    await page.shows("#stale-note", "what you see is old");
    await page.shows("#stale-age", "Data is");
    // The old data stays, greyed.
    assert.equal(await page.run(`getComputedStyle(document.querySelector("main")).filter`), "grayscale(1)");
    await page.shows(".watch tbody", "100.00");

    await broker.start();
    await page.shows("#link-text", "Live");
    await page.until(`document.getElementById("stale-note").hidden && getComputedStyle(document.querySelector("main")).filter === "none"`);
    // The new broker has no topics yet: those on the page have ended, and come back with the first publish.
    await page.until(`document.querySelector("tr[data-instrument][data-ended]")`);
    await quote(broker, "AAA", 120);
    await trade(broker, "AAA", 120, 1);
    await page.shows(".watch .change", "▲ +20.00");
    await page.until(`!document.querySelector("tr[data-ended]")`);
    await page.shows(".big .price", "120.00");
    assert.deepEqual(await page.wrong(), []);
  });
});
