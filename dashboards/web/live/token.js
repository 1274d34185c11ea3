/**
 * The token that a person gave this page, and plain requests with it. It is in this module's memory alone: in no address,
 * no cookie and no storage, so it is gone when the page is closed or loaded again.
 *
 * @module
 */
let token;

/** The options of a client with this token. */
export const withToken = () => (token === undefined ? {} : { token });

/** Whether there is one. */
export const hasToken = () => token !== undefined;

/** Takes a token, alone or with the name of its header before it. Returns whether there is one in the text. */
export function takeToken(text) {
  const found = text.trim().replace(/^authorization:\s*/i, "").replace(/^bearer(\s+|$)/i, "");
  if (found !== "") token = found;
  return found !== "";
}

export function forgetToken() {
  token = undefined;
}

/** Where plain requests go: to the broker at which the page is connected. */
let base = location.origin;

/** Has them go to the broker with this address for WebSockets or for HTTP. */
export function askAt(url) {
  base = new URL(url).origin.replace(/^ws/, "http");
}

/** Asks the broker with a plain request. Returns its JSON, or null. */
export async function ask(path) {
  const headers = token === undefined ? {} : { authorization: `Bearer ${token}` };
  const answer = await fetch(new URL(path, base), { headers }).catch(() => null);
  return answer === null ? null : answer.json().catch(() => null);
}
