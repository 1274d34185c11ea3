/**
 * Merge patches (RFC 7396).
 *
 * @module
 */

/**
 * Returns what `target` becomes by `patch`. Neither is changed. What the patch does not touch is shared with `target`:
 * a state that a program kept stays as it was, and `===` shows which parts are new.
 */
export function mergePatch(target, patch) {
  if (!isObject(patch)) return patch;
  const merged = isObject(target) ? { ...target } : {};
  for (const key of Object.keys(patch)) {
    if (patch[key] === null) {
      delete merged[key];
    } else {
      const value = mergePatch(Object.hasOwn(merged, key) ? merged[key] : undefined, patch[key]);
      // Plain assignment to "__proto__" would change the object's prototype.
      if (key === "__proto__") Object.defineProperty(merged, key, { value, enumerable: true, configurable: true, writable: true });
      else merged[key] = value;
    }
  }
  return merged;
}

const isObject = (value) => typeof value === "object" && value !== null && !Array.isArray(value);
