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
import { showChat } from "./chat.js";
import { showConnection } from "./connection.js";
import { el } from "./dom.js";
import { showMarkets } from "./markets.js";
import { showMatches } from "./matches.js";
import { showRaw } from "./raw.js";

const client = connect();
const main = document.getElementById("view");
document.getElementById("old").remove();
document.documentElement.dataset.ready = "";
showConnection(client);

const views = new Map([
  ["markets", showMarkets()], ["matches", showMatches()], ["chat", showChat()], ["raw", showRaw()], ["broker", showBroker()],
]);
const tabs = [...document.querySelectorAll(".tabs a")];
let shown = null;

/** Shows the view of the address: `#/markets/stocks.AAPL` is the view `markets` with the rest `stocks.AAPL`. */
function route() {
  const [, name, ...rest] = location.hash.split("/");
  const key = views.has(name) ? name : "markets", view = views.get(key);
  for (const tab of tabs) {
    if (tab.hash === `#/${key}`) tab.setAttribute("aria-current", "page");
    else tab.removeAttribute("aria-current");
  }
  document.title = `${view.title} · Tickcast`;
  const within = view === shown;
  if (!within) {
    shown?.leave();
    shown = view;
    main.replaceChildren(el("h1", { class: "unseen" }, view.title), view.element);
    scrollTo(0, 0);
  }
  view.enter(client, decoded(rest.join("/")), within);
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
route();
