/**
 * Types of Tickcast's client for browsers and Node. Durations are in milliseconds and end in `_ms`; times called `ts`
 * are microseconds since 1970.
 */

/** Any JSON value. Numbers have a double's digits: 0.1 and 2^53 are fine, but use strings for prices and quantities. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/**
 * Connects to a broker, and stays connected until `close()`. `url` may be a list of brokers that serve the same topics
 * from one journal: the client begins at a random one, and goes to another one when a connection fails or is lost, and
 * when its broker is stale or stops.
 */
export function connect(url?: string | URL | readonly (string | URL)[], options?: ConnectOptions): Client;

export interface ConnectOptions {
  /**
   * The token that authenticates the client; or a function that is called for it before every attempt to connect, and
   * again before the token ends. A function may return nothing if the user is not logged in.
   */
  token?: string | TokenFunction;
  /** The WebSocket class; by default the platform's, else that of the package `ws`. */
  WebSocket?: unknown;
  /** The function to use for Server-Sent Events; by default the platform's. */
  fetch?: typeof fetch;
  /** The ways to connect, in the order in which they are tried: the second if no WebSocket opens, or each is cut at once. */
  transports?: Transport[];
  /**
   * Over Server-Sent Events: the wait before a WebSocket is tried again, and how long it must stay open before the
   * client switches to it. 5000 by default; the wait doubles up to ten minutes.
   */
  websocket_again_ms?: number;
  /** The longest time from the start of an attempt to the broker's greeting. 5000 by default. */
  connect_timeout_ms?: number;
  /** How long `publish` and `ping` wait for their answer, reconnecting included. 30000 by default. */
  answer_timeout_ms?: number;
  /** The longest first wait before another attempt to connect; it doubles from attempt to attempt. 250 by default. */
  reconnect_first_ms?: number;
  /** The longest wait of all. 10000 by default. */
  reconnect_max_ms?: number;
  /** How many publishes and pings may wait for their answer. 1000 by default. */
  requests_max?: number;
  /** Returns a random number from 0 to 1 for the waits; `Math.random` by default. */
  random?: () => number;
}

export type TokenFunction = () => string | null | undefined | Promise<string | null | undefined>;

export type Transport = "websocket" | "sse";

/**
 * - `connecting`: there has been no connection yet
 * - `open`: connected; the data is live
 * - `stale`: the connection is lost and being reconnected; the data is old
 * - `closed`: ended for good
 */
export type ConnectionState = "connecting" | "open" | "stale" | "closed";

/** A connection to a broker that replaces itself when it is lost, and everything that goes over it. Made by {@link connect}. */
export interface Client extends EventTarget {
  readonly state: ConnectionState;
  /**
   * Whether the broker of the present connection has said that it is cut off from its journal, so that what it sends may
   * be old. What is shown may be old if this is true or `state` is `stale`, which means that there is no connection.
   */
  readonly isStale: boolean;
  /** The address of the WebSocket endpoint of the present connection, or of the next attempt. */
  readonly url: string;
  /** The broker's greeting on the current or last connection; null before the first. */
  readonly hello: Hello | null;
  /** Who this client is for the broker, and what it may. Null if the broker has not said on the current or last connection. */
  readonly authenticated: Authenticated | null;
  /** The transport of the connection; null unless `open`. */
  readonly transport: Transport | null;

  /** Subscribes to topics and patterns; `handler` gets their messages. Without a handler, iterate over the subscription. */
  subscribe(topics: Entry | Entry[], handler?: Handler): Subscription;
  subscribe(topics: Entry | Entry[], options: SubscribeOptions, handler?: Handler): Subscription;

  /**
   * Publishes one update, after waiting for the connection to open. Rejects with a {@link TickcastError}; if its code
   * is `unanswered`, the update may or may not have been published.
   */
  publish(topic: string, data: Json, options?: PublishOptions): Promise<Published>;

  /** Resolves to the broker's clock (microseconds since 1970) and the round-trip time. */
  ping(): Promise<{ ts: number; rtt_ms: number }>;

  /** Ends the connection and every subscription. */
  close(): void;

  addEventListener<K extends keyof ClientEvents>(
    type: K, listener: (event: ClientEvents[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | AddEventListenerOptions): void;
  removeEventListener<K extends keyof ClientEvents>(
    type: K, listener: (event: ClientEvents[K]) => void, options?: boolean | EventListenerOptions): void;
  removeEventListener(type: string, listener: EventListenerOrEventListenerObject, options?: boolean | EventListenerOptions): void;
}

export interface ClientEvents {
  /** A connection is open, or has replaced the one before without a break; everything subscribed is asked for again. */
  open: Event & { readonly hello: Hello; readonly transport: Transport };
  /** The broker has accepted the token, or what this client may has changed. */
  authenticated: Event & Authenticated;
  /** Every message of every topic, as it came; handlers get the same object. */
  message: Event & { readonly data: TopicMessage };
  /** Updates were lost; handlers get this as a message too. */
  gap: Event & Pick<GapMessage, "topic" | "epoch" | "from" | "to" | "reason">;
  /**
   * Something is wrong: the broker refused an entry, the token or a renewal of it, or broke continuity; no connection can
   * be made (`unreachable`) or the token function failed (`token`), each once per outage; or the client was closed for good.
   */
  error: Event & { readonly error: TickcastError };
  /** A connection, or an attempt at one, ended; `reconnect` says whether another follows, `delay_ms` when. */
  close: Event & { readonly code: number; readonly reason: string } & (
    | { readonly reconnect: true; readonly delay_ms: number }
    | { readonly reconnect: false; readonly delay_ms: null });
  /**
   * The broker is cut off from its journal since then (microseconds since 1970): what it sends may be old. The client
   * looks for a better one at its other addresses. It ends with `fresh` or, if the connection is lost, with `statechange`.
   */
  stale: Event & { readonly since: number };
  /** The broker is not cut off any more, or one that is not has taken over. */
  fresh: Event;
  /** `client.state` changed. */
  statechange: Event & { readonly state: ConnectionState };
  /** The broker is about to close the connection; the client reconnects after `after_ms`, or at once at another address. */
  goaway: Event & { readonly reason: string; readonly after_ms: number };
}

/** Whom the broker takes the client for. */
export interface Authenticated {
  /** The user, or the name of a static token, or the name in a client certificate. */
  readonly sub: string;
  /** When the token ends; null if it does not. Microseconds since 1970. */
  readonly expires_ts: number | null;
  /** The patterns that may be subscribed and published, and those that are taken out of both. */
  readonly allow: { readonly sub: string[]; readonly pub: string[]; readonly deny?: string[] };
}

/** A topic (`stocks.AAPL.quote`), a pattern (`stocks.*.quote`, `sports.>`), or a position to resume from. */
export type Entry = string | { topic: string; epoch?: string | null; seq?: number };

export interface SubscribeOptions {
  /**
   * How topics begin: `image` (the default: the state if there is one, then live updates), `live` (only what is
   * published from now on) or the last N retained updates. After a reconnect they continue where they were.
   */
  from?: "image" | "live" | { last: number };
  /** At most one message per topic in each interval of this length, with the newest state; 0, the default, means every update. */
  conflate_ms?: number;
  /** What the broker does when this client does not keep up. `conflate` by default. */
  on_slow?: "conflate" | "retain" | "disconnect";
  /** How many messages wait for a loop that iterates over the subscription. 1024 by default. */
  buffer_max?: number;
}

export type Handler = (message: Message, subscription: Subscription) => void;

export interface Subscription extends AsyncIterable<Message> {
  /** The topics and patterns, as they were subscribed. */
  readonly entries: readonly string[];
  /** Whether one of the entries is this topic or a pattern that matches it. */
  covers(topic: string): boolean;
  /** The state of a topic; undefined if it has none or it is not known yet, and for topics of events. */
  state(topic: string): Json | undefined;
  /**
   * Resolves when everything has begun: each existing topic, by name or by pattern, has been delivered with its image
   * or the earlier updates that were asked for. After a lost connection it waits until everything continues. Rejects
   * with a {@link TickcastError} if the subscription ends before that, or if all of its entries are refused.
   */
  ready(): Promise<void>;
  /** Ends the subscription. */
  unsubscribe(): void;
  /** Iterates over the messages from here on, beginning with the images of what is known. `break` does not unsubscribe. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

/** What a topic carries. */
export type Kind = "event" | "state";
/** The kind of an update: a `patch` changes the state of a topic of kind `state` (RFC 7396). */
export type UpdateKind = Kind | "patch";

/** What a handler gets. Do not change the message or its `state`: other handlers get the same object. */
export type Message = TopicMessage | RefusedMessage;
export type TopicMessage = StartMessage | ImageMessage | UpdateMessage | PatchMessage | GapMessage | ClosedMessage;

/** A topic begins; sent once per epoch. If the epoch is another one than before, forget the state you had. */
export interface StartMessage {
  op: "topic";
  topic: string;
  /** Null if the topic does not exist yet. */
  kind: Kind | null;
  epoch: string | null;
  seq: number;
  oldest: number;
  start: "live" | "image" | "history" | "resumed" | "reset";
  conflate_ms: number;
}

interface Numbered {
  topic: string;
  epoch: string;
  seq: number;
  /** When the broker accepted the update. */
  ts: number;
  /** When the update was made, if its producer gave that time. */
  source_ts?: number;
  data: Json;
  /** The topic's state after this message; undefined for topics of events, and if the state is not known. */
  state?: Json;
}
/** The whole state. It replaces everything up to its `seq`. */
export interface ImageMessage extends Numbered { op: "image" }
/** An event, or a whole new state. With `from` it replaces the updates `from` to `seq`. */
export interface UpdateMessage extends Numbered { op: "update"; from?: number }
/** A change of the state (RFC 7396), which is already applied to `state`. */
export interface PatchMessage extends Numbered { op: "patch"; from?: number }

/** The updates `from` to `to`, both included, are lost to this client. */
export interface GapMessage {
  op: "gap";
  topic: string;
  epoch: string;
  from: number;
  to: number;
  /**
   * From the broker: `slow` (this client did not keep up), `expired` (no longer retained). From this client:
   * `disconnected` (published while there was no connection, and no longer available), `reader` (the iterating loop did
   * not keep up).
   */
  reason: "slow" | "expired" | "disconnected" | "reader";
}

/** The topic ended. The subscription did not: when the topic is published again, `topic` comes with a new epoch. */
export interface ClosedMessage { op: "closed"; topic: string; epoch: string }

/**
 * The broker refused an entry. If `retry` is true, the client asks for it again, after longer and longer waits, until
 * the broker accepts it, and this message comes once. Otherwise the entry is no longer part of the subscription. With
 * the code `forbidden` it may also be a topic that a pattern has brought in: the pattern stays.
 */
export interface RefusedMessage { op: "error"; topic: string; code: string; message: string; retry: boolean }

export interface PublishOptions {
  /**
   * By default the topic's own kind, and `event` for a new topic. A `patch` of a topic without a state is refused with
   * the code `no_state`: publish a `state` first.
   */
  kind?: UpdateKind;
  /** The name of the source, at most 64 bytes. Together with `source_seq`, an update that is sent twice is published once. */
  source?: string;
  source_seq?: number;
  /** The producer's own time, in microseconds since 1970. Subscribers receive it. */
  source_ts?: number;
}

export interface Published { topic: string; epoch: string; seq: number; duplicate?: true }

export interface Hello {
  protocol: string;
  server: string;
  session: string;
  heartbeat_ms: number;
  features: string[];
  /** The broker's name, if it is one of several that serve the same topics. */
  node?: string;
  /** Whether a token is needed. Only if `features` has `auth`. */
  auth?: "required" | "optional";
  limits: {
    subscriptions: number;
    message_bytes: number;
    image_bytes: number;
    behind_bytes: number;
    retain_updates: number;
    stall_ms: number;
  };
}

/** An error of the client. */
export class TickcastError extends Error {
  /**
   * A code of the protocol (`bad_topic`, `no_state`, `limit`, `forbidden`, `bad_token`, …), or of this client:
   * `continuity` (a breach by the broker), `unreachable`, `token` (the token function failed), `closed`, `timeout`,
   * `unanswered`, `unavailable`, `too_large`.
   */
  readonly code: string;
  /** The topic or pattern that it concerns, if it concerns one. */
  readonly topic?: string;
  /** For a refusal: whether the same may work later. */
  readonly retry?: boolean;
  /** For a refusal: the wait that the broker asks for. */
  readonly retry_ms?: number;
  /** For a breach of continuity: the last position that was right; null if nothing had come. */
  readonly position?: { epoch: string; seq: number } | null;
  /** For a breach of continuity: what came. */
  readonly received?: unknown;
  /** For `unreachable`: the address that was tried last. The message names all of them. */
  readonly url?: string;
  /** For `unreachable`: why each transport failed last, at any address, as far as it is known. */
  readonly reasons?: Partial<Record<Transport, string>>;
}

/** Returns what `target` becomes by an RFC 7396 merge patch. Neither is changed; what the patch does not touch is shared. */
export function mergePatch(target: Json | undefined, patch: Json): Json;
