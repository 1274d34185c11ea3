/**
 * The demo as a person sees it, photographed at desktop and phone width, light and dark, twice each, with prices that moved
 * in between. PHOTOGRAPHS is the folder for the pictures, CANDLES the least number of candles in the chart.
 */
import assert from "node:assert/strict";
import { mkdirSync, writeFileSync } from "node:fs";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";

const FOLDER = process.env.PHOTOGRAPHS ?? "target/photographs";
const CANDLES = Number(process.env.CANDLES ?? 1);
/** A picture is small enough for a document. */
const BYTES_MAX = 200_000;
/** The texts of the cells that a picture shows. */
const cells = `[...document.querySelectorAll(".watch tbody td.number, .ladder tbody td")]
  .filter((cell) => cell.offsetHeight > 0 && cell.getBoundingClientRect().bottom < innerHeight - 60).map((cell) => cell.textContent)`;

test("the demo, photographed", async (t) => {
  mkdirSync(FOLDER, { recursive: true });
  const broker = await Broker.start(t, [], "demo");
  const keep = (name, picture) => {
    assert.ok(picture.length < BYTES_MAX, `${name} has ${picture.length} bytes`);
    writeFileSync(`${FOLDER}/${name}.png`, picture);
    return picture;
  };
  await withPage(async (page) => {
    const look = async (size, theme, hash, ready) => {
      await page.size(size);
      await page.theme(theme);
      await page.open(broker.address, hash);
      await page.until(ready);
    };
    const traded = (count) => `document.querySelectorAll(".trades tbody tr").length >= ${count} && document.querySelectorAll(".watch tbody tr").length >= 20 && (document.querySelector(".watch").offsetHeight === 0 || document.querySelector(".watch .spark path").hasAttribute("d"))`;
    const moved = async (name) => {
      const [before, first] = [await page.run(cells), await page.photograph()];
      await page.until(`${cells}.filter((text, at) => text !== ${JSON.stringify(before)}[at]).length >= 5`);
      const second = await page.photograph();
      assert.notDeepEqual(first, second, `${name}: no pixel moved`);
      keep(`${name}-before`, first);
      keep(name, second);
    };
    await look(DESKTOP, "light", "#/matches/sports.football.NOR-HAR", `document.querySelector('.timeline [data-corrected="taken-back"]')`);
    keep("matches-light", await page.photograph());
    await look(DESKTOP, "light", "#/chat", `document.querySelectorAll(".lines li").length >= 3`);
    keep("chat-light", await page.photograph());
    await look(DESKTOP, "dark", "#/broker", `document.querySelectorAll(".busy-panel tbody tr").length >= 5 && document.querySelector(".tile path").hasAttribute("d")`);
    keep("broker-dark", await page.photograph());
    // The markets come last: by then the charts have data.
    await look(DESKTOP, "dark", "#/markets", traded(30));
    await page.until(`document.querySelector(".chart .volume").getAttribute("d")?.split("M").length > ${CANDLES}`);
    await moved("markets-dark");
    await look(PHONE, "dark", "#/markets/stocks.AAPL", traded(10));
    keep("instrument-phone-dark", await page.photograph());
    await look(PHONE, "light", "#/markets", traded(1));
    await moved("markets-phone-light");
    await look(DESKTOP, "light", "#/markets", traded(30));
    await moved("markets-light");
    await look(PHONE, "dark", "#/markets", traded(1));
    await moved("markets-phone-dark");
    assert.deepEqual(await page.wrong(), []);
  });
});
