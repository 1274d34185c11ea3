// The page of deploy/internet in Chromium: login_page.cjs DESK PAGE-PORT BROKER-PORT PASSWORD SECONDS
// Prints "ok" once a user has logged in, has seen what is allowed and nothing else, and stays for SECONDS, in which the first token ends.
const { X509Certificate, createHash } = require("node:crypto");
const { readFileSync } = require("node:fs");
const { withChromium } = require("../../broker/tests/foreign/chromium.cjs");

const [desk, page, broker, password, seconds] = process.argv.slice(2);
const feed = readFileSync(`${desk}/feed-a.token`, "utf8").trim();
const rows = `Object.fromEntries([...document.querySelectorAll("#rows tr")].map((row) => [row.id, row.textContent]))`;
const who = `document.getElementById("who").textContent`;

async function publish(topic, data) {
  const headers = { "Content-Type": "application/json", Authorization: `Bearer ${feed}` };
  const answer = await fetch(`http://127.0.0.1:${broker}/v1/topics/${topic}?kind=state`, { method: "POST", headers, body: JSON.stringify(data) });
  if (!answer.ok) throw new Error(`publishing ${topic}: ${answer.status} ${await answer.text()}`);
}

// The certificate is of an authority that the browser does not know, so its key is named.
const { publicKey } = new X509Certificate(readFileSync(`${desk}/certificate.pem`));
const key = createHash("sha256").update(publicKey.export({ type: "spki", format: "der" })).digest("base64");

async function visit({ go, run }) {
  const until = async (what, look) => {
    const end = Date.now() + 20000;
    for (;;) {
      const seen = await look();
      if (seen) return seen;
      if (Date.now() > end) throw new Error(`not within 20 s: ${what}; ${await run(who)}; ${JSON.stringify(await run(rows))}`);
    }
  };
  const shows = (topic, text) => until(`${topic} ${text}`, async () => (await run(rows))[topic]?.includes(text));
  const logIn = (name, word) => run(`{
    const form = document.getElementById("login");
    form.elements.name.value = ${JSON.stringify(name)};
    form.elements.password.value = ${JSON.stringify(word)};
    form.querySelector("button").click();
  }`);
  const only = async (...topics) => {
    const seen = Object.keys(await run(rows)).sort();
    if (seen.join() !== topics.join()) throw new Error(`the page shows ${seen}, not ${topics}`);
  };

  await publish("news.headline", "first");
  await publish("stocks.AAPL.quote", { bid: "1.00" });
  await publish("stocks.AAPL.internal", "secret");
  await go(`https://localhost:${page}/`);
  await shows("news.headline", "first");
  await only("news.headline");
  await logIn("amy", "a guess");
  await until("that the password is wrong", async () => (await run(who)) === "Wrong name or password");
  await shows("news.headline", "first");
  await only("news.headline");

  await logIn("amy", password);
  await shows("stocks.AAPL.quote", "1.00");
  await until("who it is", async () => (await run(who)) === "amy may read news.>, stocks.*.quote, users.amy.>");
  const end = Date.now() + 1000 * Number(seconds) + 500;
  for (let price = 2; Date.now() < end; price += 1) {
    await publish("stocks.AAPL.quote", { bid: `${price}.00` });
    await publish("stocks.AAPL.internal", `secret ${price}`);
    await shows("stocks.AAPL.quote", `${price}.00`);
  }
  await only("news.headline", "stocks.AAPL.quote");
  console.log("ok");
}

withChromium(visit, [`--ignore-certificate-errors-spki-list=${key}`])
  .then(() => process.exit(0), (error) => { console.error(error.stack); process.exit(1); });
