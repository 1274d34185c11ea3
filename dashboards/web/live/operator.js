/**
 * What operators do on the Broker view: look at a connection, close it, reload the configuration. The page asks the broker's
 * admin listener, which takes requests of this page only if it was opened from the broker itself, and may ask for its token.
 * The token stays in this page's memory.
 *
 * @module
 */
import { el, panel, setText, table } from "./dom.js";
import { NOTHING, bytes, count, rate, span } from "./format.js";

/** The most subscriptions of a connection that are shown. */
const SHOWN_MAX = 200;

/**
 * The panel, which is hidden until `at(port)` says where the admin listener is, and again when the port is null;
 * `look(session)` shows a connection.
 */
export function showOperator() {
  let port = null, token = "", shown = null;
  const said = el("p", { class: "said", role: "status" }, "");
  const session = el("input", { id: "operator-session", autocomplete: "off", spellcheck: "false", maxlength: "16", required: true });
  const secret = el("input", { id: "operator-token", type: "password", autocomplete: "off" });
  const asks = el("form", { class: "chat-form", hidden: true }, el("label", { for: "operator-token" }, "Token"), secret, el("button", { type: "submit" }, "Use"));
  const finds = el("form", { class: "chat-form" }, el("label", { for: "operator-session" }, "Session"), session, el("button", { type: "submit" }, "Look"));
  const reload = el("button", { type: "button", onclick: () => reloadNow() }, "Reload the configuration");
  const close = el("button", { type: "button", hidden: true, onclick: () => closeShown() }, "Close this connection");
  const facts = el("p", { class: "hint" }, "");
  const list = table("What the connection is subscribed to", [["Topic or pattern", ""], ["Begins with", ""], ["Interval", "number"]], "plain");
  const subscriptions = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Subscriptions" }, list.table);
  subscriptions.hidden = true;
  const element = panel("Operator", "operator-panel", finds, asks, said, facts, subscriptions, el("div", { class: "operator-acts" }, close, reload)).panel;
  // Only those who may see the broker's figures learn where its admin listener is.
  element.hidden = true;
  finds.addEventListener("submit", (event) => { event.preventDefault(); look(session.value.trim()); });
  asks.addEventListener("submit", (event) => {
    event.preventDefault();
    [token, secret.value] = [secret.value, ""];
    say("The token is used from now on.");
    if (session.value.trim() !== "") look(session.value.trim());
  });

  const say = (text) => setText(said, text);

  /** Asks the admin listener. Returns its answer, or null after the reason was shown. */
  async function ask(method, path, body) {
    const headers = { ...(token !== "" && { authorization: `Bearer ${token}` }), ...(body && { "content-type": "application/json" }) };
    const request = { method, headers, cache: "no-store", credentials: "omit", ...(body && { body: JSON.stringify(body) }) };
    let response, answer;
    try {
      response = await fetch(`http://${location.hostname}:${port}${path}`, request);
      answer = await response.json();
    } catch {
      const near = location.protocol === "https:" ? " Browsers let a page over https ask it on their own machine only." : "";
      return say(`The admin listener does not answer this page. It takes requests of pages that were opened from the broker itself, not through a proxy, and listens on port ${port} of ${location.hostname}.${near}`), null;
    }
    if (response.ok) return answer;
    if (response.status === 401) {
      asks.hidden = false;
      secret.focus();
    }
    return say(answer.error?.message ?? `It answers ${response.status}.`), null;
  }

  async function look(wanted) {
    session.value = wanted;
    const detail = await ask("GET", `/v1/connections/${encodeURIComponent(wanted)}`);
    shown = detail?.session ?? null;
    close.hidden = detail === null;
    subscriptions.hidden = detail === null || detail.subscriptions.length === 0;
    if (detail === null) return setText(facts, "");
    say("");
    const since = (Date.now() * 1000 - detail.connected_ts) / 1e6;
    const who = detail.sub ? `${detail.sub}, ` : "";
    setText(facts, `${who}${detail.remote}, for ${span(since)}. Sent ${rate(detail.sent_per_s)}/s, received ${rate(detail.received_per_s)}/s. ` +
      `${detail.lag_updates === 0 ? "Nothing is waiting" : `${count(detail.lag_updates)} updates (${bytes(detail.lag_bytes)}) are waiting`}.` +
      (subscriptions.hidden ? " It is subscribed to nothing." : ""));
    const rows = detail.subscriptions.slice(0, SHOWN_MAX).map(({ topic, pattern, from, conflate_ms }) =>
      [topic ?? pattern, typeof from === "string" ? from : `last ${from.last}`, conflate_ms === 0 ? NOTHING : `${conflate_ms} ms`]);
    const more = detail.subscriptions.length - rows.length + (detail.subscriptions_left_out ?? 0);
    if (more > 0) rows.push([`and ${count(more)} more`, "", ""]);
    list.body.replaceChildren(...rows.map(([name, from, interval]) =>
      el("tr", {}, el("td", { class: "topic" }, name), el("td", {}, from), el("td", { class: "number" }, interval))));
  }

  async function closeShown() {
    if (shown === null || !confirm(`Close the connection ${shown}?`)) return;
    const answer = await ask("POST", "/v1/connections/close", { session: shown });
    if (answer === null) return;
    say(answer.closed === 1 ? `${shown} is closed.` : `${shown} had gone already.`);
    [shown, close.hidden, subscriptions.hidden] = [null, true, true];
    setText(facts, "");
  }

  async function reloadNow() {
    const answer = await ask("POST", "/v1/reload");
    if (answer === null) return;
    const restart = answer.needs_restart.length === 0 ? "" : ` These need a restart: ${answer.needs_restart.join(", ")}.`;
    say(`The configuration was read again (${answer.reloaded.join(", ")}).${restart}`);
  }

  return {
    element, look,
    at(admin) {
      port = admin;
      element.hidden = admin === null;
    },
  };
}
