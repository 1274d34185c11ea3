/** `tickcast demo --secure` as a person sees it: what it prints leads to the page, and each token to what is its user's. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { until } from "../../../../broker/clients/js/tests/support/wait.js";
import { withPage, DESKTOP } from "../support/live_page.js";

test("the demo says where the page is, which takes its users' tokens, without TLS and with it", async (t) => {
  const broker = await Broker.start(t, ["--secure", "--tls-listen", "127.0.0.1:0", "--shards", "1"], "demo");
  await until(() => broker.said.includes("Ctrl-C stops the broker"), "the greeting");
  const [, page_url] = /open (http:\S+)\/ in a browser/.exec(broker.said), [, secure_url] = /(https:\/\/localhost:\d+)\//.exec(broker.said);
  const [, folder] = /^(\/\S+)\/amy, bob or carol/m.exec(broker.said);
  // As it is in the file, with the name of the header.
  const token = (user) => readFileSync(`${folder}/${user}`, "utf8").trim();
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(page_url, "#/markets");
    await page.paste(token("amy"));
    await page.shows(".watch tbody", "AAPL");
    await page.run(`location.hash = "#/matches"`);
    await page.shows(".matches-panel .hint", "does not allow this");
    await page.open(page_url, "#/matches");
    await page.paste(token("bob"));
    await page.until(`document.querySelectorAll(".cards li").length > 0`);
    // Over TLS, in a browser that trusts the certificate, and for an operator the admin listener as well.
    await page.open(secure_url, "#/broker");
    await page.paste(token("carol"));
    await page.shows(".tile .more", "subscription");
    await page.until(`!document.querySelector(".operator-panel").hidden`);
    await page.run(`(document.getElementById("operator-session").value = "none", document.querySelector(".operator-panel form").requestSubmit())`);
    await page.shows(".operator-panel .said", "no connection with this session");
    assert.equal(await page.run("location.protocol"), "https:");
    assert.deepEqual(await page.wrong(), []);
  }, ["--ignore-certificate-errors"]);
});
