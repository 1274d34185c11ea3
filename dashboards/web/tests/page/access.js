/** Using the page without a mouse or with a screen reader, and typing invalid input. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open } from "../support/market.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";

const AXE = new URL("../../../../.tools/axe/node_modules/axe-core/axe.min.js", import.meta.url);
const VIEWS = ["#/markets", "#/matches", "#/chat", "#/raw/stocks.%3E", "#/broker"];
const focused = "document.activeElement";

async function filled(t) {
  const broker = await Broker.start(t);
  await open(broker, ["AAA", "BBB"]);
  await broker.publish("sports.x.A-B.score", "state", { home: "A", away: "B", home_goals: 1, away_goals: 0, clock: "12:00", status: "first_half" });
  await broker.publish("sports.x.A-B.event", "event", { id: 1, type: "goal", clock: "11:00", club: "A" });
  await broker.publish("chat.room.message", "event", { id: 1, name: "Ann", text: "hello" });
  return broker;
}

test("everything is reachable with the keyboard, and the focus is visible", async (t) => {
  const broker = await filled(t);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address);
    await page.shows(".watch tbody", "BBB");
    const reached = [];
    for (let step = 0; step < 11; step += 1) {
      await page.press("Tab");
      reached.push(await page.run(`(${focused}.innerText || ${focused}.getAttribute("aria-label")).trim()`));
      const outline = await page.run(`getComputedStyle(${focused}).outlineStyle + parseFloat(getComputedStyle(${focused}).outlineWidth)`);
      assert.equal(outline, "solid2", `the focus on ${reached.at(-1)} is visible`);
    }
    assert.deepEqual(reached.slice(0, 10), ["Skip to content", "Tickcast", "Markets", "Matches", "Chat", "Raw", "Broker", "Dark theme", "AAA", "BBB"]);
    assert.equal(await page.run(`${focused}.getAttribute("aria-label")`), "Trades", "scrolling areas are reachable too");
    await page.press("Tab", 8);
    await page.press("Enter");
    await page.shows(".title h2", "BBB");
    await page.run(`document.getElementById("theme").focus()`);
    await page.theme("light");
    const ground = "getComputedStyle(document.body).backgroundColor";
    const before = await page.run(ground);
    await page.press(" ");
    await page.until(`${ground} !== ${JSON.stringify(before)} && document.getElementById("theme").getAttribute("aria-pressed") === "true"`);
    await page.open(broker.address);
    assert.notEqual(await page.run(ground), before, "the choice is kept");
    await page.run("localStorage.clear()");
  });
});

test("axe-core finds no violation in any view, light or dark", async (t) => {
  if (!existsSync(AXE)) {
    console.error("** NOT RUN, not installed: axe-core");
    assert.notEqual(process.env.CI, "true");
    return t.skip("axe-core is not installed");
  }
  const broker = await filled(t), axe = readFileSync(AXE, "utf8");
  await withPage(async (page) => {
    for (const [size, theme] of [[DESKTOP, "light"], [DESKTOP, "dark"], [PHONE, "light"], [PHONE, "dark"]]) {
      await page.size(size);
      // Wait until no colour is fading.
      await page.theme(theme, "reduce");
      for (const hash of VIEWS) {
        await page.open(broker.address, hash);
        await page.until(`document.body.dataset.link === "open" && document.querySelector("main tbody tr, main li, main .tile")`);
        await page.until(`document.querySelectorAll("[data-flash]").length === 0`);
        // As a function's body, which the page's policy does not apply to.
        const found = await page.run(`{ ${axe}; const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
          return violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary).join(" | ")); }`);
        assert.deepEqual(found, [], `${hash} ${theme} ${size.width}`);
      }
    }
  });
});

test("errors are sentences: wrong patterns, topics and ports, and browsers that cannot run the page", async (t) => {
  const broker = await filled(t);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/raw");
    const ask = async (text) => {
      await page.run(`{ const input = document.getElementById("raw-topic"); input.focus(); input.select(); }`);
      await page.type(text);
      await page.press("Enter");
    };
    await ask("stocks.>.trade");
    await page.shows(".said[data-error]", "stocks.>.trade cannot be subscribed:");
    assert.equal(await page.run(`document.getElementById("raw-topic").getAttribute("aria-invalid")`), "true");
    await ask("a..b");
    await page.shows(".said[data-error]", "a..b cannot be subscribed:");
    await ask("no.such.topic");
    await page.shows(".said", "There is no topic no.such.topic yet");
    await broker.publish("no.such.topic", "state", { now: "there is" });
    await page.shows(".raw", `{"now":"there is"}`);

    // Pause, count, continue, clear.
    await page.run(`document.querySelector(".raw-tools button").click()`);
    await broker.publish("no.such.topic", "state", { hidden: 1 });
    await page.shows(".counted", "1 since the pause");
    assert.equal((await page.text(".raw")).includes("hidden"), false);
    await page.run(`document.querySelector(".raw-tools button").click()`);
    await broker.publish("no.such.topic", "state", { shown: 1 });
    await page.shows(".raw", "shown");
    await page.run(`document.querySelectorAll(".raw-tools button")[1].click()`);
    await page.until(`document.querySelectorAll(".raw li").length === 0`);
    await page.run(`location.hash = "#/markets/%ZZ"`);
    await page.shows(".title h2", "%ZZ");
    assert.deepEqual(await page.wrong(), []);

    // The admin listener's port says where the page is.
    await page.go(`http://${broker.admin}/`);
    assert.match(await page.text("body"), new RegExp(`The live page is at http://${broker.address}/`));

    // In a browser that does not run the script, the sentence appears after a moment.
    await page.devtools("Emulation.setScriptExecutionDisabled", { value: true });
    await page.go(`http://${broker.address}/`);
    await page.devtools("Emulation.setScriptExecutionDisabled", { value: false });
    await page.until(`getComputedStyle(document.getElementById("old")).visibility === "visible"`);
    assert.match(await page.text("#old"), /needs a newer browser/);
  });
});
