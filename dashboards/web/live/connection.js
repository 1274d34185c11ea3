/**
 * The state of the connection: the word in the header, the note when data is old, and the figures in the footer.
 *
 * @module
 */
import { setText } from "./dom.js";
import { count, rate, span } from "./format.js";

/** How often the ages on the page are updated. */
const TICK_MS = 500;

/** Shows the state of the client that it follows. */
export function showConnection() {
  const [link, text, note, why, age, stripRate, stripLast, stripWhere] =
    ["link", "link-text", "stale-note", "stale-why", "stale-age", "strip-rate", "strip-last", "strip-where"].map((id) => document.getElementById(id));
  let client = null, needsToken = false, messages = 0, countedAt = performance.now(), heardAt = null, reason = "", total = 0;

  /** Follows a client, until the signal ends it. */
  function follow(next, signal) {
    const on = (type, handle) => next.addEventListener(type, handle, { signal });
    [client, needsToken, heardAt, reason] = [next, false, null, ""];
    on("message", () => {
      const isFirst = heardAt === null;
      messages += 1;
      heardAt = performance.now();
      if (isFirst) tick();
    });
    on("close", (event) => {
      reason = event.reason;
      show();
    });
    on("goaway", () => { reason = "the broker is stopping"; });
    on("statechange", show);
    show();
  }
  setInterval(tick, TICK_MS);

  function show() {
    const state = needsToken ? "token" : client.state;
    document.body.dataset.link = state;
    const live = client.transport === "sse" ? "Live over Server-Sent Events" : "Live";
    setText(text, { connecting: "Connecting", open: live, stale: "Reconnecting", closed: "Disconnected", token: "Needs a token" }[state]);
    link.dataset.state = state;
    note.hidden = needsToken || state === "open" || (state === "connecting" && reason === "");
    if (!note.hidden) setText(why, whatHappened(state));
    tick();
  }

  function whatHappened(state) {
    const because = reason === "" ? "" : ` (${reason})`;
    if (state === "closed") return `The broker closed the connection for good${because}. Reload the page to try again.`;
    if (state === "stale") return `The connection to the broker is lost${because}. Reconnecting; what you see is old.`;
    return `The broker cannot be reached${because}. Trying again.`;
  }

  function tick() {
    const now = performance.now(), old = heardAt === null ? null : (now - heardAt) / 1000;
    if (!note.hidden) setText(age, old === null ? "" : `Data is ${span(old)} old.`);
    const seconds = (now - countedAt) / 1000;
    if (seconds >= 1) {
      total += messages;
      const shown = rate(messages / seconds);
      setText(stripRate, shown === "1" ? "1 update/s" : `${shown} updates/s`);
      [messages, countedAt] = [0, now];
    }
    setText(stripLast, old === null ? "nothing yet" : old < 2 ? `${count(total + messages)} received` : `last one ${span(old)} ago`);
    const server = client.hello?.server ?? "";
    setText(stripWhere, `${new URL(client.url).host}${server === "" ? "" : ` · ${server}`}`);
  }

  return {
    follow,
    /** The broker takes no request without another token. */
    needsToken() {
      needsToken = true;
      show();
    },
  };
}
