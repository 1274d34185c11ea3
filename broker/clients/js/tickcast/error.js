/** An error with a `code` of the protocol or of this client, and further fields. */
export class TickcastError extends Error {
  constructor(code, message, fields = {}) {
    super(message);
    this.name = "TickcastError";
    this.code = code;
    Object.assign(this, fields);
  }
}
