/**
 * Plain HTTP requests of a client without a WebSocket: publishing, and the reasons of refusals.
 *
 * @module
 */
import { isPattern } from "./patterns.js";

const JSON_TYPE = { "Content-Type": "application/json" };
/** HTTP statuses after which the same request may work later. */
const RETRIED = [408, 429, 503];

/** Publishes one update with `post(path, options)`. Returns an answer in the protocol's own words. */
export async function publish(post, { id, topic, data, ...options }) {
  const query = ["kind", "source", "source_seq", "source_ts"].filter((name) => options[name] !== undefined)
    .map((name) => `${name}=${encodeURIComponent(options[name])}`);
  try {
    const path = `/v1/topics/${encodeURIComponent(topic)}?${query.join("&")}`;
    const answer = await post(path, { method: "POST", headers: JSON_TYPE, body: JSON.stringify(data) });
    if (answer.ok) return { op: "published", id, ...(await answer.json()) };
    const { status, error } = await refusal(answer);
    return { op: "error", id, ...error, retry: RETRIED.includes(status) };
  } catch (error) {
    return { op: "error", id, code: "unanswered", message: `no answer: it may have been published (${error.message})`, retry: false };
  }
}

/** The reason of a refusal; `isOurs` if it is the broker's own, which it would repeat. */
export async function refusal(answer) {
  const said = await answer.json().catch(() => null);
  const error = said?.error?.code ? said.error : null;
  return {
    status: answer.status,
    isOurs: error !== null && answer.status < 500,
    error: error ?? { code: "unavailable", message: `HTTP status ${answer.status}` },
  };
}

/** Asks about each entry with `get(path)`, and returns errors for those that the broker refuses by themselves. */
export async function wrongEntries(get, entries) {
  const errors = [];
  for (const topic of entries) {
    const answer = await get(isPattern(topic) ? `/v1/topics?limit=1&match=${encodeURIComponent(topic)}` : `/v1/topics/${encodeURIComponent(topic)}`);
    if (answer.ok) await answer.arrayBuffer();
    // A topic that does not exist yet, or that has no image, is not wrong.
    else if (answer.status !== 404) errors.push({ topic, retry: false, ...(await refusal(answer)).error });
  }
  return errors;
}
