// A headless Chromium through chromedriver: browser.cjs HOST:PORT ADMIN-HOST:PORT
// Runs the scenario on a page of the broker's own origin, and tries to connect from a page of another origin.
const { withChromium } = require("./chromium.cjs");
const { scenario } = require("./scenario.cjs");

const [client, admin] = process.argv.slice(2);

async function visit({ go, run }) {
  await go(`http://${client}/v1/topics`);
  await run(`(${scenario})(WebSocket, ${JSON.stringify(client)}, "browser")`);

  // The admin listener's page has another port, so it is a foreign one.
  await go(`http://${admin}/healthz`);
  const foreign = await run(`{
    const socket = new WebSocket("ws://${client}/v1/ws");
    const opened = await new Promise((yes) => { socket.onopen = () => yes(true); socket.onclose = () => yes(false); });
    const text = { method: "POST", mode: "no-cors", headers: { "Content-Type": "text/plain" }, body: "1" };
    await fetch("http://${client}/v1/topics/browser.stolen", text).catch(() => {});
    const json = { method: "POST", headers: { "Content-Type": "application/json" }, body: "1" };
    const refused = await fetch("http://${client}/v1/topics/browser.stolen", json).then(() => false, () => true);
    return [opened, refused];
  }`);
  if (JSON.stringify(foreign) !== "[false,true]") throw new Error(`a foreign page got in: ${JSON.stringify(foreign)}`);
  const stolen = await fetch(`http://${client}/v1/topics/browser.stolen/history`);
  if (stolen.status !== 404) throw new Error("a foreign page published");
}

withChromium(visit).then(() => process.exit(0), (error) => { console.error(error.stack); process.exit(1); });
