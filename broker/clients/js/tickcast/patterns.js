/**
 * Which topics a name or a pattern covers.
 *
 * @module
 */

export const isPattern = (text) => /[*>]/.test(text);

/** Returns a function of a topic: whether an entry, a name or a pattern, covers it. */
export function matcher(text) {
  if (!isPattern(text)) return (topic) => topic === text;
  const wanted = text.split(".");
  const open = wanted.at(-1) === ">";
  return (topic) => {
    // The broker's own topics only match patterns that name their first segment.
    if (topic.startsWith("$") && !text.startsWith("$")) return false;
    const segments = topic.split(".");
    if (open ? segments.length < wanted.length : segments.length !== wanted.length) return false;
    return wanted.every((segment, at) => segment === "*" || (open && at === wanted.length - 1) || segment === segments[at]);
  };
}
