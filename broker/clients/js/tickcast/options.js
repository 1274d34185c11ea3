/**
 * What a program passes in: options, and the address of a broker.
 *
 * @module
 */

/** Fills a program's options up with defaults. */
export function withDefaults(options, defaults, what) {
  for (const name of Object.keys(options ?? {}))
    if (!Object.hasOwn(defaults, name)) throw new TypeError(`${what} has no option ${name}; its options are ${Object.keys(defaults).join(", ")}`);
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

/** An address as it may be shown: a token in its query is left out. */
export function withoutToken(url) {
  return url.replace(/([?&]token=)[^&]*/, "$1…");
}

/** The WebSocket endpoint for a URL: http becomes ws, no path becomes /v1/ws, and without a URL it is the broker that served this module. */
export function endpoint(url) {
  const own = url === undefined && import.meta.url.startsWith("http");
  if (url === undefined && !own) throw new TypeError("connect needs the broker's URL here, such as ws://127.0.0.1:9000");
  const address = own ? new URL("/", import.meta.url) : parse(url);
  address.protocol = address.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(address.protocol)) throw notAnAddress(url);
  if (address.pathname === "/") address.pathname = "/v1/ws";
  address.hash = "";
  return address.href;
}

function parse(url) {
  try {
    return new URL(url, globalThis.location?.href);
  } catch {
    throw notAnAddress(url);
  }
}

const notAnAddress = (url) =>
  new TypeError(`${withoutToken(String(url))} is not the address of a broker: it must begin with ws, wss, http or https, as ws://127.0.0.1:9000 does`);
