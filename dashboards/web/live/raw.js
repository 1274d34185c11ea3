/**
 * Any topic or pattern, typed by hand, with its messages as they come. An error in the input is explained in a sentence.
 *
 * @module
 */
import { el, panel, setAttribute, setText } from "./dom.js";
import { count, things, timeOfDay } from "./format.js";
import { paintSoon } from "./frame.js";
import { subscribeFrom } from "./history.js";
import { ask } from "./token.js";

/** The most messages on the page; the oldest are dropped. */
const ROWS_MAX = 100;
/** Messages of this many milliseconds appear together, because new lines move all others. */
const TOGETHER_MS = 50;
/** The most characters of one message that are shown. */
const TEXT_MAX = 2000;
/** The most retained updates that a topic begins with. */
const LAST = 20;
const EXAMPLES = ["stocks.>", "stocks.AAPL.book", "sports.*.*.event", "status.*.health", "$SYS.stats"];
const SUGGESTED = 200;

/** The view. */
export function showRaw() {
  const input = el("input", { id: "raw-topic", name: "topic", list: "raw-topics", autocomplete: "off", autocapitalize: "off", spellcheck: "false", placeholder: "stocks.*.quote", "aria-describedby": "raw-said" });
  const known = el("datalist", { id: "raw-topics" });
  const from = el("select", { id: "raw-from" }, ...[["image", "the image"], ["live", "live only"], ["last", `the last ${LAST}`]].map(([value, label]) => el("option", { value }, label)));
  const said = el("p", { id: "raw-said", class: "said", role: "status" }, "");
  const pause = el("button", { type: "button", "aria-pressed": "false" }, "Pause"), clear = el("button", { type: "button" }, "Clear");
  const counted = el("span", { class: "counted" }, "");
  const form = el("form", { class: "raw-form" },
    el("label", { for: "raw-topic" }, "Topic or pattern"), input, known,
    el("label", { for: "raw-from" }, "Begin with"), from, el("button", { type: "submit", class: "primary" }, "Subscribe"));
  const examples = el("p", { class: "examples" }, "For example ", ...EXAMPLES.map((text) => el("a", { href: `#/raw/${encodeURIComponent(text)}` }, text)));
  const help = el("p", { class: "hint small" }, "* stands for one segment, > for all that follow. Newest first.");
  const list = el("ol", { class: "raw" });
  const log = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Messages" }, list);
  const { panel: whole } = panel("Any topic", "raw-panel", form, examples, said, el("div", { class: "raw-tools" }, pause, clear, counted, help), log);
  const element = el("div", { class: "single" }, whole);
  let client = null, subscription = null, waiting = [], paused = false, received = 0, unseen = 0, refused = false;

  function paint() {
    setText(counted, `${count(received)} received${paused ? `, ${count(unseen)} since the pause` : ""}`);
    if (paused) return;
    list.prepend(...waiting.splice(0).reverse().map(drawn));
    while (list.childElementCount > ROWS_MAX) list.lastElementChild.remove();
  }

  function drawn({ message, at }) {
    const { op, topic, seq, ts, data, from, to, reason } = message;
    const text = data === undefined ? [reason, from && `${from} to ${to}`].filter(Boolean).join(": ") : JSON.stringify(data);
    const cut = text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)} … and ${things(text.length - TEXT_MAX, "character")} more` : text;
    return el("li", { "data-op": op }, el("span", { class: "time" }, timeOfDay(ts ?? at)), el("span", { class: "op" }, op),
      el("span", { class: "topic" }, topic), el("span", { class: "seq" }, seq === undefined ? "" : `#${seq}`), el("code", {}, cut));
  }

  function take(message) {
    const { op, topic, epoch } = message;
    if (op === "error") return say(sentence(message), true);
    if (op === "topic") return epoch === null && say(`There is no topic ${topic} yet. Its updates will appear here as soon as it is published.`);
    received += 1;
    if (paused) unseen += 1;
    else {
      waiting.push({ message, at: Date.now() * 1000 });
      if (waiting.length > ROWS_MAX) waiting.shift();
    }
    if (received === 1 && !refused) say("");
    paintSoon(paint, TOGETHER_MS);
  }

  function say(text, isError = false) {
    refused ||= isError;
    setText(said, text);
    setAttribute(said, "data-error", isError ? "" : null);
    setAttribute(input, "aria-invalid", isError ? "true" : null);
  }

  const sentence = ({ topic, message, code }) => `${topic} cannot be subscribed: ${message} (${code}).`;

  function subscribe(text) {
    subscription?.unsubscribe();
    [subscription, waiting, received, unseen, refused] = [null, [], 0, 0, false];
    list.replaceChildren();
    say("");
    if (text === "") return paintSoon(paint);
    try {
      subscription = from.value === "last" ? subscribeFrom(client, text, LAST, {}, take) : client.subscribe(text, { from: from.value }, take);
      say(`Subscribed to ${text}. Nothing has come yet.`);
    } catch (error) {
      say(`${text} cannot be subscribed: ${error.message}`, true);
    }
    paintSoon(paint);
  }

  async function suggest() {
    const answer = await ask(`/v1/topics?limit=${SUGGESTED}`);
    known.replaceChildren(...(answer?.topics ?? []).map(({ topic }) => el("option", { value: topic })));
  }

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const address = `#/raw/${encodeURIComponent(input.value.trim())}`;
    if (location.hash === address) subscribe(input.value.trim());
    else location.hash = address;
  });
  pause.addEventListener("click", () => {
    [paused, unseen] = [!paused, 0];
    pause.setAttribute("aria-pressed", String(paused));
    setText(pause, paused ? "Continue" : "Pause");
    paintSoon(paint);
  });
  clear.addEventListener("click", () => {
    waiting = [];
    list.replaceChildren();
    paintSoon(paint);
  });

  return {
    title: "Raw",
    element,
    enter(ours, rest) {
      client = ours;
      input.value = rest;
      suggest();
      subscribe(rest);
    },
    leave() {
      subscription?.unsubscribe();
      subscription = null;
    },
  };
}
