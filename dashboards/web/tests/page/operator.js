/** What operators do on the Broker view: a connection in detail, closing it, reloading, and the admin listener's token. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { withPage, DESKTOP } from "../support/live_page.js";

/** The digest of "abc" (FIPS 180-2, appendix B.1). */
const DIGEST = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

/** Looks a session up, as a person types it. */
async function lookUp(page, session) {
  await page.run(`(document.getElementById("operator-session").value = ${JSON.stringify(session)}, document.querySelector(".operator-panel form").requestSubmit())`);
}

/** Presses a button of the panel. */
async function press(page, begin) {
  await page.run(`[...document.querySelectorAll(".operator-acts button")].find((one) => one.textContent.startsWith(${JSON.stringify(begin)})).click()`);
}

/** Opens a second connection in the page, and returns its session. `window.code` becomes its close code. */
function connect(page) {
  return page.run(`new Promise((resolve) => {
    const socket = new WebSocket("ws://" + location.host + "/v1/ws");
    socket.addEventListener("close", (event) => { window.code = event.code; });
    socket.addEventListener("message", ({ data }) => {
      const message = JSON.parse(data);
      if (message.op === "hello") {
        socket.send(JSON.stringify({ op: "subscribe", topics: ["orders.*"], from: { last: 5 }, conflate_ms: 100 }));
        window.session = message.session;
      } else if (message.op === "subscribed") resolve(window.session);
    });
  })`);
}

test("a connection is looked up and closed, and the configuration reloaded", async (t) => {
  const broker = await Broker.start(t);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/broker");
    await page.shows(".tile .more", "subscription");
    await page.until(`document.getElementById("operator-session").getBoundingClientRect().height > 20`);
    await page.until(`document.querySelector(".operator-panel").getBoundingClientRect().height > 80`);
    await page.run("(window.confirm = () => true, null)");
    const session = await connect(page);
    await lookUp(page, session);
    await page.shows(".operator-panel tbody", "orders.*");
    await page.shows(".operator-panel tbody", "last 5");
    await page.shows(".operator-panel .hint", "Nothing is waiting");
    await press(page, "Close");
    await page.shows(".operator-panel .said", `${session} is closed`);
    await page.until("window.code === 4001");
    await lookUp(page, session);
    await page.shows(".operator-panel .said", "no connection with this session");
    await press(page, "Reload");
    await page.shows(".operator-panel .said", "read again (logs, limits, topics, access");
    await page.run(`new Promise((resolve) => {
      const socket = new WebSocket("ws://" + location.host + "/v1/ws");
      socket.addEventListener("message", ({ data }) => resolve(window.idle = JSON.parse(data).session));
    })`);
    await lookUp(page, await page.run("window.idle"));
    await page.shows(".operator-panel .hint", "It is subscribed to nothing.");
    assert.equal(await page.run(`document.querySelector(".operator-panel .scroll").hidden`), true, "no empty table");
    assert.deepEqual(await page.wrong(), []);
  });
});

test("the page asks for the token where it is needed", async (t) => {
  const broker = await Broker.start(t, ["--admin-token-sha256", DIGEST]);
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(broker.address, "#/broker");
    await page.shows(".tile .more", "subscription");
    await lookUp(page, "none");
    await page.shows(".operator-panel .said", "asks for its token");
    await page.run(`(document.getElementById("operator-token").value = "abc", document.querySelectorAll(".operator-panel form")[1].requestSubmit())`);
    await page.shows(".operator-panel .said", "no connection with this session");
    assert.equal(await page.run(`document.getElementById("operator-token").value`), "");
    assert.deepEqual(await page.wrong(), []);
  });
});
