// A headless Chromium, driven through chromedriver.
const { spawn } = require("child_process");

// chromedriver takes a free port and prints it. Now and then it finds that port taken a moment later, and ends.
async function start(attempts = 5) {
  try {
    return await startOnce();
  } catch (error) {
    if (attempts === 1) throw error;
    return start(attempts - 1);
  }
}

function startOnce() {
  const driver = spawn("chromedriver", ["--port=0"], { stdio: ["ignore", "pipe", "inherit"] });
  return new Promise((yes, no) => {
    let output = "";
    driver.stdout.on("data", (text) => {
      const port = /successfully on port (\d+)/.exec((output += text));
      if (port) yes([driver, `http://127.0.0.1:${port[1]}`]);
    });
    driver.on("exit", () => no(new Error(`chromedriver ended: ${output}`)));
    driver.on("error", no);
  });
}

async function command(method, url, body) {
  const answer = await (await fetch(url, { method, body: body && JSON.stringify(body) })).json();
  if (answer.value?.error) throw new Error(`${answer.value.error}: ${answer.value.message}`);
  return answer.value;
}

// In the page: returns the promise's value, or its error's text.
const wrap = (expression) => `const done = arguments[arguments.length - 1];
  (async () => ${expression})().then((value) => done({ value }), (error) => done({ error: String(error) }));`;

// Opens a browser for `use({ go, run, devtools })`, which go to a URL, run an expression in the page (it may be a
// promise), and execute a command of the DevTools protocol. `flags` are further ones of the browser.
async function withChromium(use, flags = []) {
  const [driver, url] = await start();
  try {
    const args = ["--headless=new", "--disable-gpu", "--disable-dev-shm-usage", ...flags];
    // Chromium's sandbox does not start as root, as in most containers.
    if (process.getuid() === 0) args.push("--no-sandbox");
    const capabilities = { alwaysMatch: { "goog:chromeOptions": { args }, timeouts: { script: 60000 } } };
    const { sessionId } = await command("POST", `${url}/session`, { capabilities });
    const session = `${url}/session/${sessionId}`;
    try {
      await use({
        go: (to) => command("POST", `${session}/url`, { url: to }),
        run: async (expression) => {
          const result = await command("POST", `${session}/execute/async`, { script: wrap(expression), args: [] });
          if (result.error) throw new Error(result.error);
          return result.value;
        },
        devtools: (cmd, params = {}) => command("POST", `${session}/goog/cdp/execute`, { cmd, params }),
      });
    } finally {
      await command("DELETE", session);
    }
  } finally {
    driver.removeAllListeners("exit");
    driver.kill();
  }
}

module.exports = { withChromium };
