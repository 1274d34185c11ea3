/**
 * The view for a token. It is in the place of every other view while the broker takes no request without one. Later it
 * says who the person is for the broker and what that allows, and forgets the token on request.
 *
 * @module
 */
import { list, mayRead } from "./allowed.js";
import { el, panel, setAttribute, setText } from "./dom.js";
import { forgetToken, hasToken, takeToken } from "./token.js";

const NEEDED = "This broker asks for a token. Whoever runs it gives you one.";

/** The view. `again()` connects anew, with the token that there is now; `forgotten()` does what follows when there is none. */
export function showLogin(again, forgotten) {
  const why = el("p", { class: "why" }, NEEDED), may = el("p", {}, "");
  const said = el("p", { id: "token-said", class: "said", role: "alert" }, "");
  const input = el("input", { id: "token", type: "password", autocomplete: "off", autocapitalize: "off", spellcheck: "false", required: true, "aria-describedby": "token-said token-hint" });
  const form = el("form", { class: "token-form" }, el("label", { for: "token" }, "Token"), input, el("button", { type: "submit", class: "primary" }, "Connect"));
  const forget = el("button", { type: "button" }, "Forget the token");
  const hint = el("p", { id: "token-hint", class: "hint small" }, "It stays in the memory of this page: it is in no address and no storage, and is gone when you close or reload the page.");
  const whole = panel("Token", "token-panel", why, may, form, said, el("div", { class: "token-acts" }, forget), hint);
  const element = el("div", { class: "single login" }, whole.panel);
  let client = null;

  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const isToken = takeToken(input.value);
    input.value = "";
    say(isToken ? "" : "This is no token.");
    if (isToken) again();
  });
  forget.addEventListener("click", () => {
    forgetToken();
    forgotten();
  });

  function say(text) {
    setText(said, text);
    setAttribute(said, "data-error", text === "" ? null : "");
    setAttribute(input, "aria-invalid", text === "" ? null : "true");
  }

  function show() {
    const who = client.authenticated;
    forget.hidden = !hasToken();
    may.hidden = who === null;
    if (who === null) return setText(why, client.hello?.auth === "optional" ? "You are here without a token. With one you may be allowed more." : NEEDED);
    const until = who.expires_ts === null ? "" : `, until ${new Date(who.expires_ts / 1000).toLocaleString()}`;
    setText(why, `For this broker you are ${who.sub}${until}.`);
    setText(may, `${mayRead(who)} You may publish to ${list(who.allow.pub)}.`);
  }

  return {
    title: "Token",
    element,
    enter(ours) {
      client = ours;
      show();
    },
    leave() { say(""); },
    /** Takes the place of the other views, with the broker's reason unless it is that there was no token. */
    need(reason) {
      may.hidden = forget.hidden = true;
      setText(why, NEEDED);
      say(reason === "" ? "" : `The broker says: ${reason}.`);
      input.focus();
    },
  };
}
