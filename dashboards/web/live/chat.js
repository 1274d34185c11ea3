/**
 * Chat rooms: `chat.ROOM.message` with edits, deletions and replies, `chat.ROOM.presence`, and plain `chat.ROOM`. What people
 * typed is always shown as text, whatever it looks like.
 *
 * @module
 */
import { narrowed, notAllowed } from "./allowed.js";
import { el, panel, setAttribute, setText } from "./dom.js";
import { timeOfDay } from "./format.js";
import { paintSoon } from "./frame.js";
import { subscribeFrom } from "./history.js";

const PATTERN = "chat.>";
const ROOMS_MAX = 50, LINES_MAX = 200, BEFORE = 100;
/** The most characters of a line that a person may send. */
const LINE_MAX = 2000;

/** The view. */
export function showChat() {
  const rooms = new Map(), list = el("nav", { class: "rooms", "aria-label": "Rooms" });
  const lines = el("ol", { class: "lines" }), here = el("p", { class: "here" }, "");
  const log = el("div", { class: "scroll", tabindex: "0", role: "log", "aria-label": "Messages" }, lines);
  const name = el("input", { id: "chat-name", autocomplete: "nickname", maxlength: "40", value: "guest" });
  const text = el("input", { id: "chat-text", autocomplete: "off", maxlength: String(LINE_MAX) });
  const said = el("p", { class: "said", role: "status" }, "");
  const form = el("form", { class: "chat-form" }, el("label", { for: "chat-name" }, "Name"), name,
    el("label", { for: "chat-text" }, "Message"), text, el("button", { type: "submit", class: "primary" }, "Send"));
  const { panel: whole, heading } = panel("Chat", "chat-panel", list, here, log, form, said);
  const element = el("div", { class: "single" }, whole);
  let client = null, subscription = null, wanted = "", painted = null;

  const current = () => rooms.get(wanted) ?? rooms.values().next().value;

  function roomOf(id) {
    const known = rooms.get(id);
    if (known || rooms.size >= ROOMS_MAX) return known;
    const room = { id, topic: `chat.${id}`, lines: new Map(), presence: {}, link: el("a", { href: `#/chat/${encodeURIComponent(id)}` }, id), changed: true };
    rooms.set(id, room);
    list.append(room.link);
    return room;
  }

  function take({ op, topic, seq, ts, data, state, code, message }) {
    if (op === "error") return setText(said, `The broker refuses ${topic}: ${message} (${code}).`);
    const [, id, what] = topic.split("."), room = data === undefined ? undefined : roomOf(id);
    if (!room) return;
    if (what === "presence") room.presence = state ?? {};
    else if (op === "update" && (what === undefined || what === "message")) {
      room.topic = topic;
      say(room, seq, ts, typeof data === "object" && data !== null ? data : { text: data });
    } else return;
    room.changed = true;
    paintSoon(paint);
  }

  /** Adds a line, or applies a change to an earlier one. */
  function say(room, seq, ts, { id, type, name: by, text: said, corrects, reply_to }) {
    const line = room.lines.get(corrects);
    if (type === "edit" || type === "delete") {
      if (line) [line.text, line.fate] = type === "edit" ? [String(said), "edited"] : ["", "deleted"];
      return;
    }
    room.lines.set(id ?? `#${seq}`, { ts, by: String(by ?? "somebody"), text: String(said ?? ""), to: room.lines.get(reply_to), fate: "" });
    if (room.lines.size > LINES_MAX) room.lines.delete(room.lines.keys().next().value);
  }

  function paint() {
    const room = current();
    for (const one of rooms.values()) setAttribute(one.link, "aria-current", one === room ? "true" : null);
    setText(heading, room ? `Chat: ${room.id}` : "Chat");
    list.hidden = rooms.size < 2;
    if (!room || (painted === room && !room.changed)) return;
    room.changed = false;
    const atEnd = painted !== room || log.scrollHeight - log.scrollTop - log.clientHeight < 40;
    painted = room;
    // An existing line keeps its element, so that a screen reader announces only new ones.
    const elements = [...room.lines.values()].map((line) => drawn(line));
    for (const child of [...lines.children]) if (!elements.includes(child)) child.remove();
    elements.forEach((child, at) => lines.children[at] !== child && lines.insertBefore(child, lines.children[at] ?? null));
    const people = Object.values(room.presence ?? {}).filter((one) => typeof one === "object" && one !== null);
    setText(here, people.length === 0 ? "" : `Here: ${people.map(({ name: who, status, typing }) => `${who}${typing ? " (typing)" : status === "away" ? " (away)" : ""}`).join(", ")}`);
    if (atEnd) log.scrollTop = log.scrollHeight;
  }

  function drawn(line) {
    if (!line.element) {
      const reply = line.to ? [el("span", { class: "reply" }, `to ${line.to.by}: ${line.to.text}`)] : [];
      line.body = el("span", { class: "body" }, "");
      line.element = el("li", {}, el("time", {}, timeOfDay(line.ts)), el("b", {}, line.by), ...reply, line.body);
    }
    setText(line.body, line.fate === "deleted" ? "(deleted)" : line.fate === "edited" ? `${line.text} (edited)` : line.text);
    setAttribute(line.element, "data-fate", line.fate || null);
    return line.element;
  }

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (text.value.trim() === "") return;
    const topic = current()?.topic ?? `chat.${wanted || "lobby"}`;
    try {
      const sent = text.value;
      text.value = "";
      await client.publish(topic, { type: "message", name: name.value.trim() || "guest", text: sent }, { kind: "event" });
      setText(said, "");
    } catch (error) {
      setText(said, `It was not sent: ${error.message}`);
    }
  });

  function subscribe() {
    const patterns = narrowed(client, [PATTERN]);
    setText(said, patterns.length === 0 ? notAllowed(client, [PATTERN]) : "");
    subscription = patterns.length === 0 ? null : subscribeFrom(client, patterns, BEFORE, {}, take);
  }

  return {
    title: "Chat",
    element,
    enter(ours, rest, within) {
      client = ours;
      wanted = rest;
      if (!within) subscribe();
      paintSoon(paint);
    },
    leave() {
      subscription?.unsubscribe();
      rooms.clear();
      painted = null;
      for (const node of [list, lines]) node.replaceChildren();
      setText(here, "");
    },
  };
}
