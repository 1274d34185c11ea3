/**
 * Subscriptions that begin with retained updates, whatever the transport. Over a WebSocket the broker sends them. Over
 * Server-Sent Events a topic begins with its image, and event topics have none: there they are fetched with plain requests.
 *
 * @module
 */
import { ask } from "./token.js";

/** The most messages of one topic that wait until its history has come; the oldest are dropped. */
const HELD_MAX = 500;

/** Like `client.subscribe(topics, { from: { last }, ... }, take)`, but the result only has `unsubscribe()`. */
export function subscribeFrom(client, topics, last, options, take) {
  /** By topic: the messages that came while its history was being fetched. */
  const held = new Map();
  let ended = false, turn = Promise.resolve();

  const subscription = client.subscribe(topics, { ...options, from: { last } }, (message) => {
    const waiting = held.get(message.topic);
    if (waiting) {
      waiting.push(message);
      if (waiting.length > HELD_MAX) waiting.shift();
      return;
    }
    take(message);
    const { op, topic, kind, start, seq, epoch } = message;
    if (op !== "topic" || kind !== "event" || start !== "live" || seq === 0) return;
    held.set(topic, []);
    // One after the other: a pattern may cover hundreds of topics.
    turn = turn.then(() => (ended ? null : lookBack(topic, epoch, seq)));
  });

  async function lookBack(topic, epoch, until) {
    const answer = await history(topic, last);
    if (ended) return;
    const waiting = held.get(topic);
    held.delete(topic);
    if (answer?.epoch === epoch)
      for (const update of answer.updates) if (update.seq <= until) take({ ...update, op: "update", topic, epoch });
    for (const message of waiting) take(message);
  }

  return {
    unsubscribe() {
      ended = true;
      subscription.unsubscribe();
    },
  };
}

/** Fetches the last retained updates of a topic, with its epoch and `seq`; null if there are none. */
export async function history(topic, last) {
  const answer = await ask(`/v1/topics/${encodeURIComponent(topic)}/history?last=${last}`);
  return answer?.updates ? answer : null;
}
