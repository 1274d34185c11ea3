// A headless Chromium through chromedriver: browser.cjs HOST:PORT ADMIN-HOST:PORT
// Runs the scenario on a page of the broker's own origin, and tries to get in from a page of another one.
const { spawn } = require("child_process");
const { scenario } = require("./scenario.cjs");

const [client, admin] = process.argv.slice(2);

// chromedriver takes a free port and says which.
function start() {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((yes, no) => {
    let said = "";
    driver.stdout.on("data", (text) => {
      const port = /successfully on port (\d+)/.exec((said += text));
      if (port) yes([driver, `http://127.0.0.1:${port[1]}`]);
    });
    driver.on("exit", () => no(new Error(`chromedriver ended: ${said}`)));
    driver.on("error", no);
  });
}

async function command(method, url, body) {
  const answer = await (await fetch(url, { method, body: body && JSON.stringify(body) })).json();
  if (answer.value?.error) throw new Error(`${answer.value.error}: ${answer.value.message}`);
  return answer.value;
}

// In the page: comes back with what the promise gives, or with its error's text.
const wrap = (expression) => `const done = arguments[arguments.length - 1];
  (async () => ${expression})().then((value) => done({ value }), (error) => done({ error: String(error) }));`;

async function main() {
  const [driver, url] = await start();
  try {
    const args = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage"];
    // Chromium's sandbox does not start as root, as in most containers.
    if (process.getuid() === 0) args.push("--no-sandbox");
    const capabilities = { alwaysMatch: { "goog:chromeOptions": { args }, timeouts: { script: 60000 } } };
    const { sessionId } = await command("POST", `${url}/session`, { capabilities });
    const session = `${url}/session/${sessionId}`;
    const go = (to) => command("POST", `${session}/url`, { url: to });
    const run = async (expression) => {
      const result = await command("POST", `${session}/execute/async`, { script: wrap(expression), args: [] });
      if (result.error) throw new Error(result.error);
      return result.value;
    };
    try {
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
    } finally {
      await command("DELETE", session);
    }
  } finally {
    driver.removeAllListeners("exit");
    driver.kill();
  }
}

main().then(() => process.exit(0), (error) => { console.error(error.stack); process.exit(1); });
