/**
 * Server-Sent Events and plain HTTP requests, for networks that let no WebSocket through: a transport like the one over
 * WebSocket (transport.js), which answers requests in the protocol's own words.
 *
 * There is one stream for everything that is subscribed. It is opened anew when that changes; then topics begin with
 * their image, and of events that were published in between a gap tells. How topics begin and what happens to slow
 * clients cannot be said, and of several `conflate_ms` the shortest counts for all.
 *
 * @module
 */

/** What a broker greets with unless told otherwise. A stream's own greeting, where there is one, takes its place. */
const HELLO = {
  op: "hello", protocol: "tickcast.v1", server: "", session: "", heartbeat_ms: 25_000, features: [],
  limits: { subscriptions: 1_024, message_bytes: 65_536, image_bytes: 1 << 20, behind_bytes: 65_536, retain_updates: 1_024, stall_ms: 60_000 },
};
const CODE_ABNORMAL = 1006, CODE_FORBIDDEN = 4003;
/** No message is nearly as long; whoever sends such a line is no broker. */
const LINE_LENGTH_MAX = 64 << 20;

export class SseTransport {
  /** A new connection begins every topic anew: it is of no use to ask for single ones from where they were. */
  static resumes = false;
  #base; #listener; #fetch;
  /** By topic or pattern: its `conflate_ms`. */
  #wanted = new Map();
  /** Ids of `subscribe` messages without an answer. */
  #asked = [];
  #abort = new AbortController();
  #stream = null;
  #changing = false;

  async open(url, options, listener) {
    this.#base = url.replace(/^ws/, "http");
    this.#listener = listener;
    this.#fetch = options.fetch ?? globalThis.fetch.bind(globalThis);
    // Whether anything gets through at all, and whether we may come here.
    const answer = await this.#fetch(new URL("/v1/topics?limit=1", this.#base), { signal: this.#abort.signal });
    if (!answer.ok) return this.#refused(answer);
    await answer.arrayBuffer();
    listener.message(JSON.stringify(HELLO));
  }

  get unsentBytes() {
    return 0;
  }

  send(request) {
    const { op, id, topics } = request;
    if (op === "subscribe") {
      for (const entry of topics) this.#wanted.set(entry.topic ?? entry, request.conflate_ms);
      this.#asked.push(id);
      this.#change();
    } else if (op === "unsubscribe") {
      for (const topic of topics) this.#wanted.delete(topic);
      this.#change();
    } else if (op === "publish") {
      this.#publish(request);
    } else {
      this.#answer({ op: "error", id, code: "unavailable", message: `there is no ${op} over Server-Sent Events`, retry: false });
    }
  }

  close() {
    this.#abort.abort();
    this.#stream?.abort();
  }

  #answer(message) {
    this.#listener.message(JSON.stringify(message));
  }

  /** Opens the stream anew, once for all changes of this moment. */
  #change() {
    if (this.#changing) return;
    this.#changing = true;
    setTimeout(() => {
      this.#changing = false;
      this.#stream?.abort();
      this.#stream = null;
      if (this.#listener.current() && this.#wanted.size > 0) this.#read();
    });
  }

  async #read() {
    const stream = (this.#stream = new AbortController());
    const query = new URLSearchParams([...this.#wanted.keys()].map((topic) => ["topic", topic]));
    const conflate_ms = Math.min(...this.#wanted.values());
    if (conflate_ms > 0) query.append("conflate_ms", conflate_ms);
    try {
      const answer = await this.#fetch(new URL(`/v1/sse?${query}`, this.#base), { signal: stream.signal, headers: { Accept: "text/event-stream" } });
      if (!answer.ok) return await this.#refused(answer);
      for await (const data of events(answer.body, () => this.#listener.alive())) {
        if (this.#stream !== stream) return;
        this.#hear(data);
      }
      if (this.#stream === stream) this.#listener.close({ code: CODE_ABNORMAL, reason: "the broker ended the stream" });
    } catch (error) {
      if (this.#stream === stream) this.#listener.close({ code: CODE_ABNORMAL, reason: error.message });
    }
  }

  /** The stream's answer stands for those to all requests that led to it. */
  #hear(data) {
    const id = data.startsWith('{"op":"subscribed"') ? this.#asked.pop() : undefined;
    if (id === undefined) return this.#listener.message(data);
    this.#answer({ ...JSON.parse(data), id });
    for (const other of this.#asked.splice(0)) this.#answer({ op: "subscribed", id: other });
  }

  async #publish({ id, topic, data, ...options }) {
    const query = new URLSearchParams();
    for (const name of ["kind", "source", "source_seq", "source_ts"]) if (options[name] !== undefined) query.append(name, options[name]);
    try {
      const answer = await this.#fetch(new URL(`/v1/topics/${encodeURIComponent(topic)}?${query}`, this.#base), {
        method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(data), signal: this.#abort.signal,
      });
      const said = await answer.json();
      if (answer.ok) this.#answer({ op: "published", id, ...said });
      else this.#answer({ op: "error", id, ...said.error, retry: answer.status === 429 || answer.status === 503 });
    } catch (error) {
      this.#answer({ op: "error", id, code: "unanswered", message: `no answer: it may have been published (${error.message})`, retry: false });
    }
  }

  /** The broker's own refusal to let us come here is final; anything else may be of something in between. */
  async #refused(answer) {
    const { error } = await answer.json().catch(() => ({}));
    const code = answer.status === 403 && error?.code === "forbidden" ? CODE_FORBIDDEN : CODE_ABNORMAL;
    this.#listener.close({ code, reason: error?.message ?? `HTTP status ${answer.status}` });
  }
}

/** The `data` of each event of a stream, as the HTML standard's section on Server-Sent Events divides it. */
async function* events(body, alive) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = "", data = [];
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    alive();
    // A carriage return at the end may be half of a line end.
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > LINE_LENGTH_MAX) throw new Error("the broker sent a line without end");
    for (const line of lines) {
      if (line.startsWith("data:")) data.push(line.slice(line[5] === " " ? 6 : 5));
      if (line !== "" || data.length === 0) continue;
      yield data.join("\n");
      data = [];
    }
  }
}
