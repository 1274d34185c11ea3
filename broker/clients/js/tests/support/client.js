/** A client for a test: it reconnects fast, is closed with the test, and records everything that went wrong. */
import { connect } from "../../tickcast.js";
import { WebSocket } from "./broker.js";
import { event, until } from "./wait.js";

export function client(test, url, options = {}) {
  const made = connect(url, { WebSocket, reconnect_first_ms: 20, reconnect_max_ms: 100, ...options });
  test.after(() => made.close());
  made.errors = [];
  made.addEventListener("error", ({ error }) => made.errors.push(error));
  return made;
}

/** Makes a connected client. */
export async function connected(test, url, options) {
  const made = client(test, url, options);
  await event(made, "open");
  return made;
}

/** A subscription that keeps what it gets in `messages`, with the questions that tests ask most. */
export function watch(client, topics, options = {}) {
  const messages = [];
  const subscription = client.subscribe(topics, options, (message) => messages.push(message));
  const brief = () => messages.map((message) => {
    const { op, topic, seq, from, to } = message;
    if (op === "gap") return `gap ${topic} ${from}-${to} ${message.reason}`;
    if (op === "topic") return `topic ${topic} ${message.start}`;
    return seq === undefined ? `${op} ${topic}` : `${op} ${topic} ${seq}`;
  });
  return {
    subscription, messages, brief,
    data: (topic) => messages.filter((one) => one.topic === topic && one.op === "update").map((one) => one.data),
    came: (text) => until(() => brief().includes(text), `a message "${text}"`),
  };
}
