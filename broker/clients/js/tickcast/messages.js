/**
 * Requests as messages that the broker takes.
 *
 * @module
 */

/** What a message has besides its topics, with some room to spare. */
const ENVELOPE_BYTES = 512;

const encoder = new TextEncoder();
export const utf8Length = (text) => encoder.encode(text).length;

/** Divides a list so that a message with each part has at most `bytes_max` bytes. An element that is larger is alone. */
export function inMessagesOf(bytes_max, elements, written = (element) => element) {
  const parts = [];
  let bytes = Infinity;
  for (const element of elements) {
    const more = utf8Length(JSON.stringify(written(element))) + 1;
    bytes += more;
    if (bytes > bytes_max) {
      parts.push([]);
      bytes = ENVELOPE_BYTES + more;
    }
    parts.at(-1).push(element);
  }
  return parts;
}

/**
 * The `subscribe` messages for items of a plan: `{ items, fields }` each, as many as their options and sizes need.
 * `isNew`: the broker knows `ready`.
 */
export function subscribeMessages(bytes_max, items, isNew) {
  const groups = new Map();
  for (const item of items) {
    const { entry, id, from } = item, { conflate_ms, on_slow } = entry;
    const options = { ...(id ? { resume: id } : { from }), conflate_ms, on_slow, ...(isNew ? { ready: true } : {}) };
    const key = JSON.stringify(options);
    if (!groups.has(key)) groups.set(key, { options, items: [] });
    groups.get(key).items.push(item);
  }
  const written = ({ text, resume }) => (resume ? { topic: text, ...resume } : text);
  return [...groups.values()].flatMap(({ options, items }) =>
    inMessagesOf(bytes_max, items, written).map((part) => ({ items: part, fields: { topics: part.map(written), ...options } })));
}
