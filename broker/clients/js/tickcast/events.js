/**
 * Parses a stream of Server-Sent Events, as the HTML standard's section 9.2.6 describes it.
 *
 * @module
 */

/** No message is nearly as long: a server that sends such a line is not a broker. */
const LINE_LENGTH_MAX = 64 << 20;

/**
 * Yields the stream's blocks: the `data` of an event and its `id`, each null if the block has none, and the last
 * `comment`. Every chunk also yields an empty block as a sign of life, because it may be only part of a large event.
 */
export async function* events(body) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  const nothing = () => ({ data: null, id: null, comment: "" });
  let rest = "", block = nothing();
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return;
    yield nothing();
    // A carriage return at the end may be half of a line end.
    const lines = (rest + value).split(/\r\n|\n|\r(?!$)/);
    rest = lines.pop();
    if (rest.length > LINE_LENGTH_MAX) throw new Error("the broker sent a line that is too long");
    for (const line of lines) {
      const [, name, text] = /^([^:]*)(?:: ?)?(.*)$/s.exec(line);
      if (line === "") {
        yield block;
        block = nothing();
      } else if (line[0] === ":") {
        block.comment = text;
      } else if (name === "data") {
        block.data = block.data === null ? text : `${block.data}\n${text}`;
      } else if (name === "id") {
        block.id = text;
      }
    }
  }
}
