/**
 * What a person may read. A pattern is refused as a whole unless it lies inside an allowed one, so the views ask for the
 * part of it that is allowed.
 *
 * @module
 */

/** Returns the parts of these patterns that the broker allows, as patterns. All of them if it has not said. */
export function narrowed(client, wanted) {
  const { allow } = client.authenticated ?? {};
  if (allow === undefined) return wanted;
  return [...new Set(wanted.flatMap((one) => allow.sub.map((other) => common(one, other)).filter((both) => both !== null)))];
}

/** What two patterns have in common, as a pattern; null if that is nothing. */
function common(wanted, allowed) {
  const one = wanted.split("."), other = allowed.split("."), both = [];
  // Wildcards do not cover the broker's own topics.
  if (one[0].startsWith("$") !== other[0].startsWith("$")) return null;
  for (let at = 0; at < one.length || at < other.length; at += 1) {
    const [a, b] = [one[at], other[at]];
    if (a === undefined || b === undefined) return null;
    if (a === ">") return [...both, ...other.slice(at)].join(".");
    if (b === ">") return [...both, ...one.slice(at)].join(".");
    if (a !== "*" && b !== "*" && a !== b) return null;
    both.push(a === "*" ? b : a);
  }
  return both.join(".");
}

/** Says in a sentence that nothing of these patterns is allowed, and what is. */
export function notAllowed(client, wanted) {
  return `Your token does not allow this: it is about ${wanted.join(" and ")}. ${mayRead(client.authenticated)}`;
}

/** Says in a sentence what a person may read. */
export function mayRead({ allow: { sub, deny } }) {
  return `You may read ${list(sub)}${deny.length === 0 ? "" : `, except ${list(deny)}`}.`;
}

/** Patterns as words of a sentence; the first of very many. */
export function list(patterns) {
  const shown = patterns.slice(0, PATTERNS_MAX), more = patterns.length - shown.length;
  return patterns.length === 0 ? "nothing" : `${shown.join(", ")}${more === 0 ? "" : ` and ${more} more`}`;
}

/** The most patterns in one sentence. */
const PATTERNS_MAX = 20;
