/**
 * A stream of Server-Sent Events, divided as the HTML standard's section 9.2.6 has it.
 *
 * @module
 */

/** No message is nearly as long; whoever sends such a line is no broker. */
const LINE_LENGTH_MAX = 64 << 20;

/**
 * What comes, block by block: `data` of an event and `id`, each null where the block has none, and the last `comment`. A
 * sign of life is told too, as a block of nothing: what came may be half of a large event.
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
    if (rest.length > LINE_LENGTH_MAX) throw new Error("the broker sent a line without end");
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
