/** A broker that asks for tokens: the form, wrong tokens and their end, what each user may see, and forgetting. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { secureBroker } from "../../../../broker/clients/js/tests/support/secure.js";
import { open, quote } from "../support/market.js";
import { withPage, DESKTOP, PHONE } from "../support/live_page.js";

const AXE = new URL("../../../../.tools/axe/node_modules/axe-core/axe.min.js", import.meta.url);
const ROLES = `
[[roles]]
name = "trader"
sub = ["stocks.>", "chat.>"]
deny = ["stocks.BBB.book"]
[[roles]]
name = "fan"
sub = ["sports.>"]
[[roles]]
name = "operator"
sub = [">", "$SYS.>"]
admin = true`;
const FORM = ".token-form", SAID = ".token-panel .said";

async function filled(t, roles = ROLES, flags = []) {
  const secure = await secureBroker(t, roles, flags);
  await open(secure.broker, ["AAA", "BBB"]);
  await secure.broker.publish("fx.EURUSD.quote", "state", { bid: "1.10", ask: "1.11" });
  await secure.broker.publish("sports.x.A-B.score", "state", { home: "A", away: "B", home_goals: 1, away_goals: 0 });
  return secure;
}

/** Whether the parts with the broker's own figures are hidden. */
const FIGURES = `[".tiles", ".slow-panel", ".uptime"].map((part) => document.querySelector(part).hidden)`;
/** Everything in which a token could be left behind. */
const LEFT = `[location.href, document.cookie, JSON.stringify(localStorage), JSON.stringify(sessionStorage), document.documentElement.outerHTML,
  document.getElementById("token")?.value, ...performance.getEntries().map((entry) => entry.name)].join(" ")`;

test("the form, a wrong token, what a trader may see, and forgetting the token", async (t) => {
  const { broker, issue } = await filled(t), token = issue("amy", ["trader"]);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/markets");
    await page.shows(".token-panel", "This broker asks for a token");
    await page.shows("#link-text", "Needs a token");
    assert.deepEqual(await page.run(`[document.querySelector("${SAID}").textContent, document.getElementById("stale-note").hidden]`), ["", true]);

    await page.paste("not.a.token");
    await page.shows(`${SAID}[data-error]`, "neither one of this broker nor a signed JWT");
    await page.paste(`${token}x`);
    await page.shows(`${SAID}[data-error]`, "signature is wrong");
    assert.equal(await page.run(`document.getElementById("token").getAttribute("aria-invalid")`), "true");
    await page.paste("Bearer ");
    await page.shows(`${SAID}[data-error]`, "This is no token");
    // No other view appears meanwhile.
    await page.run(`location.hash = "#/raw/stocks.%3E"`);
    assert.equal(await page.run(`document.querySelector(".raw-panel")`), null);
    await page.run(`location.hash = "#/markets"`);

    await page.paste(`Authorization: Bearer ${token}`);
    await page.shows(".watch tbody", "BBB");
    await page.shows("#link-text", "Live");
    assert.equal(await page.run("document.activeElement.hash"), "#/markets", "the keyboard goes on from the view's tab");
    await quote(broker, "AAA", 321);
    await page.shows(".watch tbody", "321.01");
    assert.equal((await page.text(".watch tbody")).includes("EURUSD"), false, "only what is allowed");
    await page.run(`location.hash = "#/markets/stocks.BBB"`);
    await page.shows(".refused", "stocks.BBB.book");
    await page.run(`location.hash = "#/matches"`);
    await page.shows(".matches-panel .hint", "Your token does not allow this: it is about sports.*.*.score. You may read chat.>, stocks.>, except stocks.BBB.book.");
    assert.equal(await page.run(`document.querySelector(".match").hidden`), true, "no empty scoreboard");
    await page.run(`location.hash = "#/chat"`);
    await page.until(`document.querySelector(".chat-panel")`);
    await page.run(`{ const text = document.getElementById("chat-text"); text.value = "hello"; text.form.requestSubmit(); }`);
    await page.shows(".chat-panel .said", "It was not sent");
    await page.run(`location.hash = "#/raw/fx.%3E"`);
    await page.shows(".said[data-error]", "fx.> cannot be subscribed:");
    await page.run(`location.hash = "#/broker"`);
    await page.shows(".health > .said", "does not let this page see its own figures");
    await page.until(`document.querySelectorAll(".busy-panel tbody tr").length > 0`);
    assert.equal(await page.run(`document.querySelector(".operator-panel").hidden`), true, "nothing for operators");
    assert.deepEqual(await page.run(FIGURES), [true, true, true], "no figures, which the broker does not give");

    await page.run(`document.getElementById("key").click()`);
    await page.shows(".token-panel .why", "For this broker you are amy, until");
    await page.shows(".token-panel", "You may read chat.>, stocks.>, except stocks.BBB.book. You may publish to nothing.");
    const left = await page.run(LEFT);
    assert.equal(left.includes(token.split(".")[2]), false, left);
    const forgotten = await page.run(`{ [...document.querySelectorAll(".token-acts button")].find((one) => !one.hidden).click();
      return [document.getElementById("link-text").textContent, document.activeElement.id]; }`);
    assert.deepEqual(forgotten, ["Needs a token", "token"], "at once");
    await page.shows(".token-panel .why", "This broker asks for a token");
    await page.until(`document.querySelector(".token-acts button").hidden && document.body.dataset.link === "token"`);
    assert.deepEqual(await page.wrong(), []);

    // Who may read it all sees it all, also after somebody who may not.
    await page.paste(issue("carol", ["operator"]));
    await page.shows(".token-panel .why", "you are carol");
    assert.equal(await page.run("document.activeElement.hash"), "#/token");
    await page.run(`location.hash = "#/matches"`);
    await page.until(`document.querySelector(".cards li") && !document.querySelector(".match").hidden`);
    await page.run(`location.hash = "#/broker"`);
    await page.shows(".tile .more", "subscription");
    assert.deepEqual(await page.run(FIGURES), [false, false, false]);

    // After it was loaded anew, the page knows nothing of the token either.
    await page.open(broker.address, "#/markets");
    await page.shows(".token-panel", "This broker asks for a token");
  });
});

test("a user whose topics are no instruments is not told that there are none", async (t) => {
  const { broker, issue } = await filled(t);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/markets");
    await page.paste(issue("bob", ["fan"]));
    await page.shows(".watch-panel .hint", "There is no instrument yet that you may read. You may read sports.>.");
    await page.run(`location.hash = "#/matches"`);
    await page.until(`document.querySelector(".cards li") && !document.querySelector(".match").hidden`);
    // The link over the header leads into the view that is shown, and to no other.
    await page.run(`document.querySelector(".skip").click()`);
    await page.until(`location.hash === "#view" && document.querySelector(".cards li") !== null`);
    assert.equal(await page.run(`document.querySelector(".watch-panel")`), null);
  });
});

test("an operator sees the broker's figures and the panel, and a token that ends is asked for again", async (t) => {
  const { broker, issue } = await filled(t, ROLES, ["--token-leeway-ms", "0"]);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/broker");
    await page.paste(issue("carol", ["operator"]));
    await page.shows(".tile .more", "subscription");
    await page.until(`!document.querySelector(".operator-panel").hidden`);
    await page.run(`(document.getElementById("operator-session").value = "none", document.querySelector(".operator-panel form").requestSubmit())`);
    await page.shows(".operator-panel .said", "no connection with this session");
    await page.open(broker.address, "#/markets");
    await page.paste(issue("dave", ["trader"]));
    await page.shows(".watch tbody", "BBB");
    const close = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify({ sub: "dave" }) };
    assert.deepEqual(await (await fetch(`http://${broker.admin}/v1/connections/close`, close)).json(), { closed: 1 });
    await page.shows(`${SAID}[data-error]`, "operator");
    await page.shows("#link-text", "Needs a token");
    // Whether it ends before or after the page is shown.
    await page.paste(issue("dave", ["trader"], 3));
    await page.shows(`${SAID}[data-error]`, "expired");
    await page.paste(issue("dave", ["trader"]));
    await page.shows(".watch tbody", "BBB");
  });
});

test("without a token where that is allowed, with one on request, and over Server-Sent Events", async (t) => {
  const anonymous = `[[roles]]\nname = "anonymous"\nsub = ["fx.>"]\n${ROLES}`;
  const { broker, issue } = await filled(t, anonymous);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/token");
    await page.shows(".token-panel .why", "You are here without a token");
    await page.run(`document.getElementById("token").focus()`);
    await page.paste(issue("amy", ["trader"]));
    await page.shows(".token-panel .why", "you are amy");
    await page.run(`location.hash = "#/markets"`);
    await page.shows(".watch tbody", "BBB");
    // A network that blocks WebSockets.
    await page.devtools("Page.addScriptToEvaluateOnNewDocument", { source: `window.WebSocket = class { constructor() { throw new Error("blocked"); } };` });
    const strict = await filled(t);
    await page.open(strict.broker.address, "#/markets");
    await page.shows(".token-panel", "This broker asks for a token");
    await page.paste("not.a.token");
    await page.shows(`${SAID}[data-error]`, "neither one of this broker nor a signed JWT");
    await page.paste(strict.issue("carol", ["operator"]));
    await page.shows(".watch tbody", "BBB");
    await page.shows("#link-text", "Live over Server-Sent Events");
    // Here the broker says what is allowed only with a stream that it takes.
    await page.open(strict.broker.address, "#/markets");
    await page.paste(strict.issue("amy", ["trader"]));
    await page.shows(".watch-panel .hint", "The broker refuses *.*.");
    await page.shows(".watch-panel .hint", "stocks.>");
  });
});

test("the form on a phone, with the keyboard, and for axe-core, light and dark", async (t) => {
  const { broker, issue } = await filled(t);
  const axe = existsSync(AXE) ? readFileSync(AXE, "utf8") : null;
  if (axe === null) {
    console.error("** NOT RUN, not installed: axe-core");
    assert.notEqual(process.env.CI, "true");
  }
  const check = async (page, what) => {
    assert.equal(await page.run("document.documentElement.scrollWidth - innerWidth"), 0, `${what}: not wider than the window`);
    if (axe === null) return;
    const found = await page.run(`{ ${axe}; const { violations } = await window.axe.run(document, { resultTypes: ["violations"] });
      return violations.map(({ id, nodes }) => id + ": " + nodes.map(({ html, failureSummary }) => html.slice(0, 200) + " " + failureSummary).join(" | ")); }`);
    assert.deepEqual(found, [], what);
  };
  await withPage(async (page) => {
    for (const [size, theme] of [[DESKTOP, "light"], [DESKTOP, "dark"], [PHONE, "light"], [PHONE, "dark"]]) {
      await page.size(size);
      await page.theme(theme, "reduce");
      await page.open(broker.address, "#/markets");
      await page.paste("wrong");
      await page.shows(`${SAID}[data-error]`, "neither one of this broker");
      await check(page, `the form, ${theme}, ${size.width}`);
      await page.paste(issue("amy", ["trader"]));
      await page.shows(".watch tbody", "BBB");
      await page.run(`location.hash = "#/token"`);
      await page.shows(".token-panel .why", "you are amy");
      await check(page, `the user, ${theme}, ${size.width}`);
    }
    // From the field to the button, and with the keyboard alone.
    await page.run(`document.getElementById("token").focus()`);
    await page.press("Tab");
    await page.press("Tab");
    assert.equal(await page.run("document.activeElement.textContent"), "Forget the token");
    await page.press("Enter");
    await page.until(`document.activeElement === document.getElementById("token")`);
  });
});
