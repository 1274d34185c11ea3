/**
 * Subscriptions that begin with what is retained, however the page is connected. Over a WebSocket the broker sends it. Over
 * Server-Sent Events a topic begins with its image, of which events have none: there it is asked for with plain requests.
 *
 * @module
 */

/** Messages of one topic that wait until what was before them has come; of more the oldest go. */
const HELD_MAX = 500;

/** As `client.subscribe(topics, { from: { last }, ... }, take)`; of what comes back only `unsubscribe()` is here. */
export function subscribeFrom(client, topics, last, options, take) {
  /** By topic: what came while its history was asked for. */
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

/** The last retained updates of a topic, with its epoch and where it is; null where there are none. */
export async function history(topic, last) {
  const answer = await fetch(`/v1/topics/${encodeURIComponent(topic)}/history?last=${last}`).then((response) => response.json()).catch(() => null);
  return answer?.updates ? answer : null;
}
