/** A match in Chromium: score, events, and corrections. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { withPage, DESKTOP } from "../support/live_page.js";

const SCORE = { match: 1, home: "Redford", away: "Bluewater", home_goals: 0, away_goals: 0, status: "first_half", clock: "02:00", coverage: "live" };

test("a goal is announced, taken back, and shown as taken back", async (t) => {
  const broker = await Broker.start(t);
  const event = (data) => broker.publish("sports.football.RED-BLU.event", "event", { match: 1, ...data });
  const score = (data) => broker.publish("sports.football.RED-BLU.score", "state", { ...SCORE, ...data });
  await score({});
  await event({ id: 1, type: "goal", clock: "02:10", team: "home", club: "Redford", player: 9 });
  await event({ id: 2, type: "yellow_card", clock: "03:00", team: "away", club: "Bluewater", player: 4 });
  await broker.publish("sports.football.RED-BLU.stats", "state", { home: { shots: 3 }, away: { shots: 1 } });
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/matches");
    await page.shows(".timeline", "Goal");
    await page.shows(".stats", "Shots");
    assert.equal(await page.run(`document.querySelector(".share").style.getPropertyValue("--home")`), "75%");

    await score({ home_goals: 1 });
    await page.until(`document.querySelector(".result").textContent === "1:0"`);
    await page.until(`document.querySelector(".scoreboard [role=status]").textContent === "Redford 1, Bluewater 0"`);

    await event({ id: 3, type: "goal_disallowed", clock: "03:30", team: "home", club: "Redford", corrects: 1, reason: "handball" });
    await event({ id: 4, type: "correction", clock: "03:40", corrects: 2, set: { player: 5 } });
    await score({ clock: "04:00", coverage: "suspended" });
    const goal = `.timeline [data-type="goal"]`;
    await page.until(`document.querySelector('${goal}').dataset.corrected === "taken-back"`);
    await page.shows(goal, "disallowed: handball");
    assert.match(await page.run(`getComputedStyle(document.querySelector('${goal} .type')).textDecorationLine`), /line-through/);
    await page.shows(`.timeline [data-type="goal_disallowed"]`, "corrects: Goal of 02:10");
    await page.until(`document.querySelector('.timeline [data-type="yellow_card"]').dataset.corrected === "changed"`);
    await page.shows(`.timeline [data-type="yellow_card"]`, "corrected: player 5");
    await page.until(`!document.querySelector(".scoreboard .badge").hidden`);
    await page.until(`document.querySelector(".result").textContent === "0:0"`);

    // The next match on the same topic begins with an empty list.
    await broker.publish("sports.football.RED-BLU.event", "event", { match: 2, id: 9, type: "kick_off", clock: "00:00" });
    await page.until(`document.querySelectorAll(".timeline li").length === 1`);
    assert.deepEqual(await page.wrong(), []);
  });
});
