/** The markets view in Chromium: moving cells, the ladder, trades, and that text from feeds stays text. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open, quote, trade } from "../support/market.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";

const row = (symbol) => `tr[data-instrument="stocks.${symbol}"]`;
const EVIL = `<img src=x onerror="window.hit=1"><script>window.hit=1</script>`;

test("prices move, the ladder follows the book, and published text stays text", async (t) => {
  const broker = await Broker.start(t);
  await open(broker, ["AAA", "BBB", "CCC"]);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address);
    await page.shows(`${row("BBB")} .change`, "0.00");
    assert.deepEqual(await page.run(`[...document.querySelectorAll(".watch tbody th a")].map((one) => one.innerText)`), ["AAA", "BBB", "CCC"]);
    // If the address names no instrument, the first is chosen.
    await page.shows(".title h2", "AAA");
    await page.shows(".badge[data-status=open]", "Open");
    await page.until(`document.querySelectorAll(".ladder tbody tr:not([data-empty]) .price-level:not(:empty)").length === 4`);

    // A cell lights up only for a moment, so the watching begins before.
    await page.run(`{ window.lit = []; new MutationObserver((seen) => { for (const { target } of seen) if (target.dataset.flash) lit.push(target.className + " " + target.dataset.flash); })
      .observe(document.querySelector(${JSON.stringify(row("BBB"))}), { subtree: true, attributeFilter: ["data-flash"] }); }`);
    await trade(broker, "BBB", 100.35, 2);
    await page.shows(`${row("BBB")} .change`, "▲ +0.35");
    await quote(broker, "BBB", 99);
    await page.shows(`${row("BBB")} td:nth-of-type(5)`, "98.99");
    assert.equal(await page.text(`${row("BBB")} .percent`), "+0.35");
    await page.until(`lit.some((one) => one.endsWith("up")) && lit.some((one) => one.endsWith("down"))`);
    await page.until(`document.querySelectorAll(".watch [data-flash]").length === 0`);
    await page.until(`document.querySelectorAll('${row("BBB")} .spark path')[1]?.getAttribute("d")?.startsWith("M0")`);

    await page.run(`document.querySelector('${row("BBB")} a').click()`);
    await page.shows(".title h2", "BBB");
    await page.until(`document.querySelectorAll(".trades tbody tr").length === 2`);
    assert.match(await page.text(".trades tbody tr"), /100\.35\s+1,500\s+▲ buy/);
    await broker.publish("stocks.BBB.book", "patch", { bids: { "99.99": null, "99.97": "7" }, asks: { "100.01": "12345" } });
    await page.shows(".ladder .ask:nth-child(10)", "12,345");
    assert.equal(await page.text(".ladder .middle"), "spread 0.03");
    await broker.publish("stocks.BBB.status", "state", { status: "halted", reason: EVIL });
    await page.shows(".badge[data-status=halted]", "<img src=x");
    await broker.publish("stocks.BBB.trade", "event", { id: 3, px: EVIL, qty: EVIL, side: EVIL });
    await page.shows(".trades tbody tr", "<script>");

    await broker.publish("chat.room.message", "event", { id: 1, type: "message", name: EVIL, text: EVIL });
    await broker.publish("sports.x.A-B.score", "state", { home: EVIL, away: EVIL, home_goals: EVIL, status: EVIL, clock: EVIL });
    await broker.publish("sports.x.A-B.event", "event", { id: 1, type: EVIL, club: EVIL, clock: EVIL });
    for (const [hash, selector] of [["#/chat", ".lines"], ["#/matches", ".timeline"], ["#/raw/%3E", ".raw"]]) {
      await page.run(`location.hash = ${JSON.stringify(hash)}`);
      if (hash.startsWith("#/raw")) await broker.publish("chat.room.message", "event", { id: 2, text: EVIL });
      await page.shows(selector, "<script>");
    }
    assert.equal(await page.run("window.hit ?? null"), null);
    assert.equal(await page.run(`document.querySelectorAll("main img, main script").length`), 0);
    assert.deepEqual(await page.wrong(), []);
  });
});

test("on a phone nothing is wider than the screen, and an instrument has a back link", async (t) => {
  const broker = await Broker.start(t);
  await open(broker, ["AAA", "LONGSYMBOL"]);
  await broker.publish("sports.x.A-B.score", "state", { home: "A club with quite a long name", away: "Anotherclubwithoutanyspaces", home_goals: 10, away_goals: 0, clock: "12:00", status: "first_half" });
  await broker.publish("chat.room", "event", { text: "word".repeat(100) });
  await withPage(async (page) => {
    await page.size(PHONE);
    for (const hash of ["#/markets", "#/markets/stocks.LONGSYMBOL", "#/matches", "#/matches/sports.x.A-B", "#/chat", "#/raw/%3E", "#/broker"]) {
      await page.open(broker.address, hash);
      await page.until(`document.body.dataset.link === "open" && document.querySelector("main tbody tr, main li, main .tile")`);
      assert.equal(await page.run("document.documentElement.scrollWidth - innerWidth"), 0, hash);
    }
    await page.open(broker.address, "#/markets");
    await page.until(`document.querySelector(".watch-panel").offsetHeight > 0 && document.querySelector(".instrument").offsetHeight === 0`);
    await page.run(`document.querySelector(".watch tbody a").click()`);
    await page.until(`document.querySelector(".watch-panel").offsetHeight === 0 && document.querySelector(".instrument .back").offsetHeight > 0`);
    await page.run(`document.querySelector(".instrument .back").click()`);
    await page.until(`document.querySelector(".watch-panel").offsetHeight > 0`);
    assert.deepEqual(await page.wrong(), []);
  });
});
