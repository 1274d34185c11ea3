/**
 * The live page: one client, and the view that the address names.
 *
 * A view is `{ title, element, enter(client, rest, within), leave() }`. It subscribes when it is entered and unsubscribes when
 * it is left, so a page costs the broker only what it shows. Messages change models; `frame.js` paints them.
 *
 * @module
 */
import { connect } from "/tickcast.js";
import { showBroker } from "./broker.js";
import { brokers } from "./brokers.js";
import { showChat } from "./chat.js";
import { showConnection } from "./connection.js";
import { el } from "./dom.js";
import { showLogin } from "./login.js";
import { showMarkets } from "./markets.js";
import { showMatches } from "./matches.js";
import { showRaw } from "./raw.js";
import { askAt, forgetToken, hasToken, withToken } from "./token.js";

/** How long after its greeting a broker that needs a token may say that it knows the page all the same. */
const KNOWN_MS = 1000;

/** In a cluster the page goes on at another broker when one is away; otherwise there is just the one that served it. */
const ADDRESSES = brokers.length === 0 ? undefined : [location.origin, ...brokers];

const main = document.getElementById("view"), key = document.getElementById("key");
document.getElementById("old").remove();
document.documentElement.dataset.ready = "";

const connection = showConnection(), login = showLogin(begin, forgotten);
const views = new Map([
  ["markets", showMarkets()], ["matches", showMatches()], ["chat", showChat()], ["raw", showRaw()], ["broker", showBroker()], ["token", login],
]);
const tabs = [...document.querySelectorAll(".tabs a"), key];
/** The close code of connections without a good token, and how the reason begins if the broker said it in a message. */
const CODE_TOKEN = 4001, BAD_TOKEN = "bad_token: ";
let client = null, shown = null, needed = false, events;
/** What the person was allowed when the view was entered, as JSON. */
let allowed = null;

/** Connects with the token that there is, in place of the connection so far. */
function begin() {
  events?.abort();
  events = new AbortController();
  leave();
  client?.close();
  client = connect(ADDRESSES, withToken());
  needed = false;
  connection.follow(client, events.signal);
  on("open", opened);
  on("authenticated", known);
  on("close", ({ code, reason, reconnect }) => {
    const isToken = code === CODE_TOKEN && !reconnect && (knowsTokens() || reason.startsWith(BAD_TOKEN));
    if (isToken) needToken(hasToken() ? reason.replace(BAD_TOKEN, "") : "");
  });
  // Most brokers ask nobody who they are: the view need not wait for their greeting.
  if (!hasToken()) route();
}

/** The person has taken the token back. */
function forgotten() {
  if (client.hello?.auth !== "required") return begin();
  // There is no need to ask: this broker takes nobody without one.
  events.abort();
  needToken("");
}

const on = (type, handle) => client.addEventListener(type, handle, { signal: events.signal });
const knowsTokens = () => client.hello?.features?.includes("auth") ?? false;

function opened({ hello, transport }) {
  if (ADDRESSES !== undefined) askAt(client.url);
  key.hidden = !knowsTokens();
  // Over Server-Sent Events the broker says who a client is only with what was subscribed.
  if (shown === null && (transport === "sse" || !knowsTokens())) route();
  if (shown === login) login.enter(client);
  if (hello.auth !== "required" || hasToken()) return;
  const [ours, { signal }] = [client, events];
  // A proxy may have added a token of its own.
  setTimeout(() => { if (!signal.aborted && ours.state === "open" && ours.authenticated === null) needToken(""); }, KNOWN_MS);
}

/** The broker says who the person is, or what is allowed has changed: the views ask for other patterns. */
function known({ allow }) {
  key.hidden = false;
  if (shown === login) return login.enter(client);
  if (shown !== null && JSON.stringify(allow) === allowed) return;
  leave();
  route();
}

/** Shows the form for a token instead of any view. */
function needToken(reason) {
  leave();
  client.close();
  forgetToken();
  needed = true;
  connection.needsToken();
  key.hidden = false;
  show("token", login);
  login.need(reason);
}

function leave() {
  shown?.leave();
  shown = null;
}

/** Shows the view of the address: `#/markets/stocks.AAPL` is the view `markets` with the rest `stocks.AAPL`. */
function route() {
  // Without a token that the broker takes there is nothing else to show.
  if (needed) return;
  // The link that skips the header names no view: the one that is shown stays.
  if (location.hash === "#view" && shown !== null) return;
  const [, name, ...rest] = location.hash.split("/");
  const wanted = views.has(name) ? name : "markets", view = views.get(wanted);
  const within = view === shown;
  if (!within) {
    // The form for a token, for one, had the focus and is gone: without another place the keyboard would begin anew.
    const hadFocus = main.contains(document.activeElement);
    leave();
    show(wanted, view);
    if (hadFocus) tabs.find((tab) => tab.hash === `#/${wanted}`).focus();
  }
  allowed = JSON.stringify(client.authenticated?.allow ?? null);
  view.enter(client, decoded(rest.join("/")), within);
}

function show(name, view) {
  for (const tab of tabs) {
    if (tab.hash === `#/${name}`) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = `${view.title} · Tickcast`;
  shown = view;
  main.replaceChildren(el("h1", { class: "unseen" }, view.title), view.element);
  scrollTo(0, 0);
}

/** Decodes a part of the address. It may be typed by hand, so an invalid encoding is taken literally. */
function decoded(text) {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

addEventListener("hashchange", route);
begin();
