/** A network that blocks WebSockets: the page uses Server-Sent Events, and shows it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open, quote, trade } from "../support/market.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";
import { Proxy } from "../../../../broker/clients/js/tests/support/proxy.js";

const row = (symbol) => `tr[data-instrument="stocks.${symbol}"]`;
const WIDER = "document.documentElement.scrollWidth - innerWidth";

test("if no WebSocket opens, prices move over Server-Sent Events, and chat messages are published", async (t) => {
  const broker = await Broker.start(t);
  const proxy = await Proxy.start(t, broker);
  proxy.upgrades = "refused";
  await open(broker, ["AAA", "BBB"]);
  await broker.publish("chat.room.message", "event", { id: 1, name: "Ann", text: "said before" });
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(new URL(proxy.url).host);
    await page.shows("#link-text", "Live over Server-Sent Events");
    assert.ok(proxy.upgradesStopped > 0, "a WebSocket was tried");
    // Earlier updates have to be asked for: they do not come by themselves.
    await page.shows(`${row("BBB")} .last`, "100.00");
    await trade(broker, "BBB", 101.5, 2);
    await page.shows(`${row("BBB")} .change`, "▲ +1.50");
    await quote(broker, "AAA", 99);
    await page.shows(`${row("AAA")} td:nth-of-type(5)`, "98.99");

    // Another instrument is another subscription, with a stream of its own.
    await page.run(`document.querySelector('${row("BBB")} a').click()`);
    await page.shows(".title h2", "BBB");
    await page.shows(".trades tbody tr", "101.50");
    await page.until(`document.querySelectorAll(".ladder tbody tr:not([data-empty]) .price-level:not(:empty)").length === 4`);
    await broker.publish("stocks.BBB.book", "patch", { asks: { "100.01": "12345" } });
    await page.shows(".ladder .ask:nth-child(10)", "12,345");

    // The network fails completely, and comes back as it was.
    proxy.refuse();
    await page.shows("#stale-note", "what you see is old");
    proxy.allow();
    await page.shows("#link-text", "Live over Server-Sent Events");
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
