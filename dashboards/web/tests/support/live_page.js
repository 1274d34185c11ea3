/** The live page in Chromium: sizes, themes, keys, photographs, and waiting for what it shows. */
import { createRequire } from "node:module";

const { withChromium } = createRequire(import.meta.url)("../../../../broker/tests/foreign/chromium.cjs");

/** How long the page may take for anything, in milliseconds: a busy machine draws slowly. */
const PATIENCE_MS = 20_000;
export const DESKTOP = { width: 1180, height: 740 }, PHONE = { width: 360, height: 740, deviceScaleFactor: 2 };
const KEYS = { Tab: 9, Enter: 13, " ": 32 };

/** Opens a browser for `use(page)`; `flags` are further ones of the browser. */
export function withPage(use, flags = []) {
  return withChromium(async ({ go, run, devtools }) => use(new Page(go, run, devtools)), flags);
}

class Page {
  constructor(go, run, devtools) {
    Object.assign(this, { go, run, devtools });
  }

  /**
   * Opens `http://HOST:PORT/#/view` (or with the scheme of the address) anew, and records everything that goes wrong in it
   * from the start.
   */
  async open(address, hash = "") {
    await this.go("about:blank");
    const noted = `window.wrong = [];
      addEventListener("error", (event) => wrong.push(event.message));
      addEventListener("unhandledrejection", (event) => wrong.push(String(event.reason)));
      addEventListener("securitypolicyviolation", (event) => wrong.push("policy: " + event.violatedDirective + " " + event.blockedURI));`;
    if (!this.noted) await this.devtools("Page.addScriptToEvaluateOnNewDocument", { source: noted });
    this.noted = true;
    await this.go(`${address.includes("://") ? address : `http://${address}`}/${hash}`);
    await this.until(`document.documentElement.dataset.ready === ""`);
  }

  /** Returns what went wrong since the page was opened: errors, and violations of the policy. */
  wrong() {
    return this.run("window.wrong");
  }

  /** Waits in the page until an expression is true, and returns its value. */
  until(expression) {
    return this.run(`new Promise((resolve, reject) => {
      const end = Date.now() + ${PATIENCE_MS};
      const look = () => {
        const value = (() => ${expression})();
        if (value) resolve(value);
        else if (Date.now() > end) reject(new Error("not within ${PATIENCE_MS} ms: " + ${JSON.stringify(expression)} + " of " + document.body.innerText.slice(0, 1500)));
        else setTimeout(look, 20);
      };
      look();
    })`);
  }

  /** Returns the text of the first matching element. */
  text(selector) {
    return this.run(`document.querySelector(${JSON.stringify(selector)})?.innerText ?? null`);
  }

  /** Waits until an element contains a text. */
  shows(selector, text) {
    return this.until(`document.querySelector(${JSON.stringify(selector)})?.textContent.includes(${JSON.stringify(text)})`);
  }

  size({ width, height, deviceScaleFactor = 1 }) {
    return this.devtools("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor, mobile: width < 600 });
  }

  theme(value, motion = "no-preference") {
    const features = [{ name: "prefers-color-scheme", value }, { name: "prefers-reduced-motion", value: motion }];
    return this.devtools("Emulation.setEmulatedMedia", { features });
  }

  async photograph() {
    const { data } = await this.devtools("Page.captureScreenshot", { format: "png" });
    return Buffer.from(data, "base64");
  }

  /** Presses a key as a person does. */
  async press(key, modifiers = 0) {
    const code = { key, code: key === " " ? "Space" : key, windowsVirtualKeyCode: KEYS[key], modifiers };
    const text = { Enter: "\r", " ": " " }[key];
    await this.devtools("Input.dispatchKeyEvent", { type: "keyDown", ...code, text });
    await this.devtools("Input.dispatchKeyEvent", { type: "keyUp", ...code });
  }

  type(text) {
    return this.devtools("Input.insertText", { text });
  }

  /** Pastes a token into the form, which has the focus, and presses Enter. */
  async paste(text) {
    await this.until(`document.activeElement === document.getElementById("token")`);
    await this.type(text);
    await this.press("Enter");
  }
}
