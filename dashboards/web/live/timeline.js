/**
 * The events of a match, newest first. An event that a later one takes back or corrects is struck out and shows why; the
 * correction itself names the event that it corrects.
 *
 * @module
 */
import { el, setAttribute, setText } from "./dom.js";
import { NOTHING, words } from "./format.js";
import { paintSoon } from "./frame.js";

/** The most events that are kept; the oldest are dropped. */
const EVENTS_MAX = 400;
/** Events that may decide a match are highlighted. */
const WEIGHTY = ["goal", "red_card", "yellow_card", "goal_disallowed", "card_rescinded", "correction", "basket_cancelled", "interrupted", "coverage_suspended"];

/** The element, and the function that adds an event. */
export function timeline() {
  const list = el("ol", { class: "timeline" });
  const none = el("p", { class: "hint" }, "Nothing has happened yet");
  const element = el("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Events" }, none, list);
  /** By id. */
  const events = new Map();
  let fresh = [], match;

  function paint() {
    for (const event of fresh.splice(0)) {
      // It may have been replaced or dropped before it was painted.
      if (events.get(event.data.id) === event) list.prepend(drawn(event));
    }
    none.hidden = events.size > 0;
    for (const { data } of events.values()) if (data.corrects !== undefined) strike(data);
  }

  /** Marks the event that a correction is about. */
  function strike(correction) {
    const about = events.get(correction.corrects);
    if (!about?.element || about.struck === correction.id) return;
    about.struck = correction.id;
    const changed = correction.type === "correction";
    setAttribute(about.element, "data-corrected", changed ? "changed" : "taken-back");
    setText(about.note, changed ? ` corrected: ${changes(correction.set)}` : ` ${taken(correction)}`);
  }

  function drawn(event) {
    const { data } = event, about = events.get(data.corrects)?.data;
    event.note = el("span", { class: "note" }, "");
    const details = el("span", {}, el("span", { class: "who" }, who(data)), event.note);
    if (data.corrects !== undefined) {
      const named = about ? `${words(about.type)} of ${about.clock ?? NOTHING}` : `event ${data.corrects}`;
      const how = data.set === undefined ? "" : `: ${changes(data.set)}`;
      details.append(el("span", { class: "note" }, ` corrects: ${named}${how}`));
    }
    const weight = WEIGHTY.includes(data.type) || data.points !== undefined ? "weighty" : "";
    event.element = el("li", { class: weight, "data-type": String(data.type), "data-team": data.team },
      el("span", { class: "clock" }, String(data.clock ?? "")), el("span", { class: "mark", "aria-hidden": "true" }),
      el("span", { class: "what" }, el("span", { class: "type" }, title(data)), " ", details));
    return event.element;
  }

  function clear() {
    events.clear();
    fresh = [];
    list.replaceChildren();
    paintSoon(paint);
  }

  return {
    element, clear,
    add(data) {
      if (typeof data !== "object" || data.id === undefined) return;
      // Matches follow each other on a topic: a new match begins with an empty list.
      const number = data.match ?? data.game;
      if (number !== match) clear();
      match = number;
      const event = { data };
      events.set(data.id, event);
      fresh.push(event);
      if (events.size > EVENTS_MAX) {
        const [oldest] = events.keys();
        events.get(oldest).element?.remove();
        events.delete(oldest);
        fresh = fresh.filter((one) => events.get(one.data.id) === one);
      }
      paintSoon(paint);
    },
  };
}

function title(data) {
  const missed = data.made === false ? ", missed" : "", target = data.type === "shot" && data.on_target !== undefined ? (data.on_target ? " on target" : " off target") : "";
  const worth = data.points !== undefined && data.made !== false ? `, ${data.points} point${data.points === 1 ? "" : "s"}` : "";
  return `${words(data.type ?? "event")}${data.second_yellow ? " (second yellow)" : ""}${target}${missed}${worth}`;
}

function who({ club, team, player, player_on, reason, corrects }) {
  const shirt = player === undefined ? "" : `No. ${player}`, on = player_on === undefined ? "" : ` off, No. ${player_on} on`;
  const why = reason !== undefined && corrects === undefined ? words(reason) : "";
  return [club ?? (team ? words(team) : ""), `${shirt}${on}`, why].filter(Boolean).join(", ");
}

const taken = ({ type, reason }) => [words(type.replace(/^.*_/, "")).toLowerCase(), reason && words(reason).toLowerCase()].filter(Boolean).join(": ");
const changes = (set) => Object.entries(set ?? {}).map(([key, value]) => `${words(key).toLowerCase()} ${value}`).join(", ");
