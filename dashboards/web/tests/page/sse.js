/** A network that stops WebSockets: the page lives on Server-Sent Events, and says so. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open, quote, trade } from "../support/market.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";
import { Proxy } from "../../../../broker/clients/js/tests/support/proxy.js";

const row = (symbol) => `tr[data-instrument="stocks.${symbol}"]`;
const WIDER = "document.documentElement.scrollWidth - innerWidth";

test("where no WebSocket opens, prices move by Server-Sent Events, and what is sent is published", async (t) => {
  const broker = await Broker.start(t);
  const proxy = await Proxy.start(t, broker);
  proxy.upgrades = "refused";
  await open(broker, ["AAA", "BBB"]);
  await broker.publish("chat.room.message", "event", { id: 1, name: "Ann", text: "said before" });
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(new URL(proxy.url).host);
    await page.shows("#link-text", "Live by Server-Sent Events");
    assert.ok(proxy.upgradesStopped > 0, "it was tried");
    // What was published before is asked for: it does not come by itself.
    await page.shows(`${row("BBB")} .last`, "100.00");
    await trade(broker, "BBB", 101.5, 2);
    await page.shows(`${row("BBB")} .change`, "▲ +1.50");
    await quote(broker, "AAA", 99);
    await page.shows(`${row("AAA")} td:nth-of-type(5)`, "98.99");

    // Another instrument is another subscription, in a stream of its own.
    await page.run(`document.querySelector('${row("BBB")} a').click()`);
    await page.shows(".title h2", "BBB");
    await page.shows(".trades tbody tr", "101.50");
    await page.until(`document.querySelectorAll(".ladder tbody tr:not([data-empty]) .price-level:not(:empty)").length === 4`);
    await broker.publish("stocks.BBB.book", "patch", { asks: { "100.01": "12345" } });
    await page.shows(".ladder .ask:nth-child(10)", "12,345");

    // The network fails altogether, and comes back as it was.
    proxy.refuse();
    await page.shows("#stale-note", "what you see is old");
    proxy.allow();
    await page.shows("#link-text", "Live by Server-Sent Events");
    await trade(broker, "AAA", 98, 2);
    await page.shows(`${row("AAA")} .change`, "▼ −2.00");

    await page.size(PHONE);
    assert.equal(await page.run(WIDER), 0, "the longer word in the head has room on a phone");
    await page.run(`location.hash = "#/chat"`);
    await page.shows(".lines", "said before");
    await page.run(`{ const text = document.getElementById("chat-text"); text.value = "hello"; text.form.requestSubmit(); }`);
    await page.shows(".lines", "hello");
    assert.deepEqual(await page.wrong(), []);
  });
});
