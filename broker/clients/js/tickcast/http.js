/**
 * Plain HTTP requests of a client that has no WebSocket: publishing, and what an answer says that is none.
 *
 * @module
 */

const JSON_TYPE = { "Content-Type": "application/json" };
/** These may work later. */
const RETRIED = [408, 429, 503];

/** Publishes one update with `post(path, options)`. Gives an answer in the protocol's own words. */
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

/** Why an answer is none; `isOurs` where the broker said so, and it would say so again. */
export async function refusal(answer) {
  const said = await answer.json().catch(() => null);
  const error = said?.error?.code ? said.error : null;
  return {
    status: answer.status,
    isOurs: error !== null && answer.status < 500,
    error: error ?? { code: "unavailable", message: `HTTP status ${answer.status}` },
  };
}
