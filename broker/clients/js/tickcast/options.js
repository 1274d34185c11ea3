/**
 * What a program gave us: options, and the address of a broker.
 *
 * @module
 */

/** The options that a program gave, and the defaults of the others. */
export function withDefaults(options, defaults, what) {
  for (const name of Object.keys(options ?? {}))
    if (!Object.hasOwn(defaults, name)) throw new TypeError(`${what} has no option ${name}: there are ${Object.keys(defaults).join(", ")}`);
  const given = Object.entries(options ?? {}).filter(([, value]) => value !== undefined);
  return { ...defaults, ...Object.fromEntries(given) };
}

/** The WebSocket endpoint that a URL means: http is ws, no path is /v1/ws, none at all is where this module came from. */
export function endpoint(url) {
  const own = url === undefined && import.meta.url.startsWith("http");
  if (url === undefined && !own) throw new TypeError("connect needs the broker's URL here, such as ws://127.0.0.1:9000");
  const address = own ? new URL("/", import.meta.url) : new URL(url, globalThis.location?.href);
  address.protocol = address.protocol.replace(/^http/, "ws");
  if (!/^wss?:$/.test(address.protocol)) throw new TypeError(`${url} is no address of a broker: it begins with ws, wss, http or https`);
  if (address.pathname === "/") address.pathname = "/v1/ws";
  address.hash = "";
  return address.href;
}
