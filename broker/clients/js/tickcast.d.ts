/**
 * Types of Tickcast's client for browsers and Node. Durations are in milliseconds and end in `_ms`; times called `ts` are
 * microseconds since 1970.
 */

/** Any JSON value. Numbers have a double's digits: 0.1 and 2^53 are fine, prices and quantities are better strings. */
export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

/** Connects to a broker, and stays connected until `close()`. */
export function connect(url?: string | URL, options?: ConnectOptions): Client;

export interface ConnectOptions {
  /** What authenticates the client, or a function that is asked for it before every attempt to connect. */
  token?: string | (() => string | Promise<string>);
  /** The WebSocket class; by default the platform's, else that of the package `ws`. */
  WebSocket?: unknown;
  /** For Server-Sent Events: the platform's by default. */
  fetch?: typeof fetch;
  /** The ways to connect, in the order in which they are tried: the second where no WebSocket opens, or each is cut at once. */
  transports?: Transport[];
  /**
   * Over Server-Sent Events: the wait before a WebSocket is tried again, and how long that has to live before everything
   * goes over to it. 5000 by default; the wait doubles up to ten minutes.
   */
  websocket_again_ms?: number;
  /** The time from an attempt's start to the broker's greeting. 5000 by default. */
  connect_timeout_ms?: number;
  /** How long `publish` and `ping` wait for their answer, reconnecting included. 30000 by default. */
  answer_timeout_ms?: number;
  /** The longest first wait before another attempt to connect; each further one is twice as long. 250 by default. */
  reconnect_first_ms?: number;
  /** The longest wait of all. 10000 by default. */
  reconnect_max_ms?: number;
  /** Publishes and pings that may wait for their answer. 1000 by default. */
  requests_max?: number;
  /** A random number from 0 to 1 for the waits; `Math.random` by default. */
  random?: () => number;
}

export type Transport = "websocket" | "sse";

/**
 * - `connecting`: there has been no connection yet
 * - `open`: connected; what you have is live
 * - `stale`: the connection is lost and being brought back; what you have is old
 * - `closed`: for good
 */
export type ConnectionState = "connecting" | "open" | "stale" | "closed";

/** A connection to a broker that comes back, and everything that goes over it. Made by {@link connect}. */
export interface Client extends EventTarget {
  readonly state: ConnectionState;
  /** The address of the WebSocket endpoint. */
  readonly url: string;
  /** The broker's greeting on the present or last connection; null before the first. */
  readonly hello: Hello | null;
  /** How it is connected; null unless `open`. */
  readonly transport: Transport | null;

  /** Subscribes to topics and patterns; `handler` gets what comes of them. Without one, iterate over the subscription. */
  subscribe(topics: Entry | Entry[], handler?: Handler): Subscription;
  subscribe(topics: Entry | Entry[], options: SubscribeOptions, handler?: Handler): Subscription;

  /**
   * Publishes one update. Before the connection is open it waits for it. Rejects with a {@link TickcastError}; one whose
   * code is `unanswered` may or may not have been published.
   */
  publish(topic: string, data: Json, options?: PublishOptions): Promise<Published>;

  /** The broker's clock (microseconds since 1970), and how long the question took to go there and back. */
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
  /** A connection is open, or a WebSocket has taken the place of Server-Sent Events; everything subscribed is asked for again. */
  open: Event & { readonly hello: Hello; readonly transport: Transport };
  /** Every message of every topic, as it came; handlers get the same object. */
  message: Event & { readonly data: TopicMessage };
  /** Updates are lost; handlers get it as a message too. */
  gap: Event & Pick<GapMessage, "topic" | "epoch" | "from" | "to" | "reason">;
  /**
   * Something is wrong: an entry that the broker refused, a breach of continuity, no connection to be had (`unreachable`, at
   * most once until there is one), or why the client closed for good.
   */
  error: Event & { readonly error: TickcastError };
  /** A connection, or an attempt at one, ended; `reconnect` says whether another follows, `delay_ms` when. */
  close: Event & { readonly code: number; readonly reason: string } & (
    | { readonly reconnect: true; readonly delay_ms: number }
    | { readonly reconnect: false; readonly delay_ms: null });
  /** `client.state` changed. */
  statechange: Event & { readonly state: ConnectionState };
  /** The broker is about to close; the client comes back after `after_ms`. */
  goaway: Event & { readonly reason: string; readonly after_ms: number };
}

/** A topic (`stocks.AAPL.quote`), a pattern (`stocks.*.quote`, `sports.>`), or a position to resume from. */
export type Entry = string | { topic: string; epoch?: string | null; seq?: number };

export interface SubscribeOptions {
  /**
   * How topics begin: `image` (the default: the state where there is one, then live), `live` (only what is published from
   * now on) or the last N updates that are retained. After a reconnect they go on where they were.
   */
  from?: "image" | "live" | { last: number };
  /** At most one message per topic and so many milliseconds, the newest state; 0, the default, for every update. */
  conflate_ms?: number;
  /** What the broker does where this client does not keep up. `conflate` by default. */
  on_slow?: "conflate" | "retain" | "disconnect";
  /** Messages that wait for who iterates over the subscription. 1024 by default. */
  buffer_max?: number;
}

export type Handler = (message: Message, subscription: Subscription) => void;

export interface Subscription extends AsyncIterable<Message> {
  /** The topics and patterns, as they were subscribed. */
  readonly entries: readonly string[];
  /** Whether a topic is one of these, or matched by a pattern of these. */
  covers(topic: string): boolean;
  /** The state of a topic; undefined where there is none, or it is not known yet, or the topic is of events. */
  state(topic: string): Json | undefined;
  /**
   * Resolves when everything has begun: each topic that there was, by name or by pattern, was told, with its image or with
   * what was asked for of before. After a lost connection it waits until everything goes on. Rejects with a
   * {@link TickcastError} where the subscription ends before, or all of its entries are refused.
   */
  ready(): Promise<void>;
  /** Ends the subscription. */
  unsubscribe(): void;
  /** What comes from here on, beginning with the images of what is known. `break` does not unsubscribe. */
  [Symbol.asyncIterator](): AsyncIterableIterator<Message>;
}

/** What a topic carries. */
export type Kind = "event" | "state";
/** What an update is: `patch` changes the state of a topic of states (RFC 7396). */
export type UpdateKind = Kind | "patch";

/** What a handler gets. Do not change it, nor its `state`: others get the same object. */
export type Message = TopicMessage | RefusedMessage;
export type TopicMessage = StartMessage | ImageMessage | UpdateMessage | PatchMessage | GapMessage | ClosedMessage;

/** A topic begins: told once per epoch. With another epoch than before, forget what you had. */
export interface StartMessage {
  op: "topic";
  topic: string;
  /** Null where the topic does not exist yet. */
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
  /** When the broker took the update in. */
  ts: number;
  /** When its producer says that it was made, where it says so. */
  source_ts?: number;
  data: Json;
  /** The topic's state after this message; none of events, and where the state is not known. */
  state?: Json;
}
/** The whole state. It replaces everything up to its `seq`. */
export interface ImageMessage extends Numbered { op: "image" }
/** An event, or a whole new state. With `from` it stands for the updates `from` to `seq`. */
export interface UpdateMessage extends Numbered { op: "update"; from?: number }
/** A change of the state (RFC 7396); it is applied already. */
export interface PatchMessage extends Numbered { op: "patch"; from?: number }

/** The updates `from` to `to`, both included, are lost to this client. */
export interface GapMessage {
  op: "gap";
  topic: string;
  epoch: string;
  from: number;
  to: number;
  /**
   * Of the broker: `slow` (this client did not keep up), `expired` (no longer retained). Of this client: `disconnected`
   * (published while there was no connection, and not to be had any more), `reader` (whoever iterates did not keep up).
   */
  reason: "slow" | "expired" | "disconnected" | "reader";
}

/** The topic ended. The subscription did not: when it is published again, `topic` comes with a new epoch. */
export interface ClosedMessage { op: "closed"; topic: string; epoch: string }

/**
 * The broker refused an entry. Where `retry` is true the client asks for it again, later and later, until the broker takes
 * it; this is told once. Else it is no longer part of the subscription.
 */
export interface RefusedMessage { op: "error"; topic: string; code: string; message: string; retry: boolean }

export interface PublishOptions {
  /**
   * By default the topic's own, and `event` for a new topic. A `patch` of a topic that has no state is refused with the code
   * `no_state`: publish a `state` first.
   */
  kind?: UpdateKind;
  /** With `source_seq`: who publishes, at most 64 bytes. What comes twice is then published once. */
  source?: string;
  source_seq?: number;
  /** The producer's own time, carried to subscribers. */
  source_ts?: number;
}

export interface Published { topic: string; epoch: string; seq: number; duplicate?: true }

export interface Hello {
  protocol: string;
  server: string;
  session: string;
  heartbeat_ms: number;
  features: string[];
  limits: {
    subscriptions: number;
    message_bytes: number;
    image_bytes: number;
    behind_bytes: number;
    retain_updates: number;
    stall_ms: number;
  };
}

/** What went wrong. */
export class TickcastError extends Error {
  /**
   * A code of the protocol (`bad_topic`, `no_state`, `limit`, …), or of this client: `continuity` (a breach by the broker),
   * `unreachable`, `closed`, `timeout`, `unanswered`, `unavailable`, `too_large`.
   */
  readonly code: string;
  /** The topic or pattern that it is about, where it is about one. */
  readonly topic?: string;
  /** Of a refusal: whether the same may work later. */
  readonly retry?: boolean;
  /** Of a breach of continuity: up to where everything was right, null where nothing had come. */
  readonly position?: { epoch: string; seq: number } | null;
  /** Of a breach of continuity: what came. */
  readonly received?: unknown;
  /** Of `unreachable`: the address that was tried. */
  readonly url?: string;
  /** Of `unreachable`: why each transport failed last, as far as it is known. */
  readonly reasons?: Partial<Record<Transport, string>>;
}

/** What `target` becomes by an RFC 7396 merge patch. Neither is changed; what is not touched is shared. */
export function mergePatch(target: Json | undefined, patch: Json): Json;
