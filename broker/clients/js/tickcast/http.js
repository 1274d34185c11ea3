/**
 * Plain HTTP requests of a client without a WebSocket: publishing, and the reasons of refusals.
 *
 * @module
 */
import { isPattern } from "./patterns.js";

const JSON_TYPE = { "Content-Type": "application/json" };
/** HTTP statuses after which the same request may work later. */
const RETRIED = [408, 429, 503];
/** HTTP statuses with which the broker refuses an entry. With any other it has said nothing about the entry. */
const OF_ENTRY = [400, 403];

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
  const retry_ms = retryAfterMs(answer);
  return {
    status: answer.status,
    isOurs: error !== null && answer.status < 500,
    error: { ...(error ?? { code: "unavailable", message: `HTTP status ${answer.status}` }), ...(retry_ms > 0 && { retry_ms }) },
  };
}

/** The wait that the header `Retry-After` asks for (RFC 9110, §10.2.3): seconds, or a date; 0 without one. */
function retryAfterMs(answer) {
  const said = answer.headers.get("Retry-After") ?? "";
  return /^\d+$/.test(said) ? Number(said) * 1_000 : Math.max(0, Date.parse(said) - Date.now() || 0);
}

/**
 * Asks about each entry with `get(path)`. Returns `errors` for those that the broker refuses by themselves, and as
 * `refused` a refusal that concerns none of them, after which no more are asked about. They are asked about in a random
 * order: where the broker allows fewer questions than there are entries, the next time others have their turn.
 */
export async function wrongEntries(get, entries) {
  const order = [...entries], left = [...order], wrong = new Map();
  const found = (refused) => ({ errors: order.filter((topic) => wrong.has(topic)).map((topic) => wrong.get(topic)), refused });
  while (left.length > 0) {
    const at = Math.floor(Math.random() * left.length), topic = left[at], last = left.pop();
    if (at < left.length) left[at] = last;
    // A listing leaves out what is forbidden, so only a stream shows whether a pattern is.
    const name = encodeURIComponent(topic), answer = await get(isPattern(topic) ? `/v1/sse?topic=${name}` : `/v1/topics/${name}`);
    if (answer.ok) {
      await answer.body?.cancel();
    // A topic that does not exist yet, or that has no image, is not wrong.
    } else if (answer.status !== 404) {
      const refused = await refusal(answer);
      if (!OF_ENTRY.includes(answer.status)) return found(refused);
      wrong.set(topic, { topic, retry: false, ...refused.error });
    }
  }
  return found(null);
}
