/** Two brokers of a cluster: the page that one of them served goes on at the other. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { Broker } from "../../../../broker/clients/js/tests/support/broker.js";
import { open } from "../support/market.js";
import { withPage, DESKTOP } from "../support/live_page.js";

test("the page of a broker that is killed goes on at the other one, and comes back when that is killed", async (t) => {
  const flags = [];
  const brokers = [await Broker.start(t, flags), await Broker.start(t, flags)];
  // Their addresses are known only now.
  flags.push("--brokers", brokers.map(({ address }) => `http://${address}`).join(","));
  for (const broker of brokers) {
    await broker.restart();
    await open(broker, ["AAA"]);
  }
  const [one, other] = brokers;
  await withPage(async (page) => {
    await page.size(DESKTOP);
    await page.open(one.address, "#/broker");
    const connected = async (broker) => {
      await page.shows("#link-text", "Live");
      await page.shows("#strip-where", broker.address);
    };
    await page.shows("#link-text", "Live");
    // It begins at either of them.
    const where = await page.text("#strip-where");
    const first = where.startsWith(one.address) ? one : other, second = first === one ? other : one;
    await connected(first);
    await page.shows(".busy-panel", "stocks.AAA.quote");
    await first.kill();
    await connected(second);
    // Its lists are those of the broker that it is connected to.
    await second.publish("only.there", "state", { n: 1 });
    await page.shows(".busy-panel", "only.there");
    await first.start();
    await second.kill();
    await connected(first);
    assert.deepEqual(await page.wrong(), []);
  });
});
