/**
 * The program's token: a string, or a function that returns one and is asked before every attempt to connect. Nothing
 * here does I/O.
 *
 * @module
 */
import { TickcastError } from "./error.js";

/** Characters that neither a header nor a token can have. */
const UNUSABLE = /[^\x20-\x7e]/;

export class Token {
  #option;
  /** The last one. No text for people may contain it. */
  #last;

  constructor(option) {
    if (option !== undefined && typeof option !== "function") usable(option);
    this.#option = option;
  }

  /** Whether another token can be had, because the program gave a function. */
  get canChange() { return typeof this.#option === "function"; }

  /** Asks for the token; undefined if the client has none. Rejects with a `TickcastError` if the function fails. */
  async ask() {
    let said;
    try {
      said = this.canChange ? await this.#option() : this.#option;
      // A function may have none to give, as that of a user who is not logged in.
      this.#last = said === null || said === undefined || said === "" ? undefined : usable(said);
    } catch (error) {
      throw new TickcastError("token", `the token function failed: ${this.hide(String(error?.message ?? error))}`);
    }
    return this.#last;
  }

  /** A text without the token, in case someone has written it there. */
  hide(text) {
    return this.#last === undefined ? text : text.replaceAll(this.#last, "…");
  }
}

/** A token as it is sent. Errors do not repeat what is wrong with it. */
function usable(said) {
  if (typeof said !== "string") throw new TypeError(`a token is a string, not ${typeof said}`);
  const token = said.trim();
  if (token === "") throw new TypeError("a token is not empty");
  if (UNUSABLE.test(token)) throw new TypeError("a token consists of printable ASCII characters");
  return token;
}
