/** The parts without I/O: merge patches, patterns, and continuity. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mergePatch } from "../tickcast/merge_patch.js";
import { matcher } from "../tickcast/patterns.js";
import { Stream } from "../tickcast/stream.js";

test("merge patches: the examples of RFC 7396, appendix A", () => {
  const cases = [
    ['{"a":"b"}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'],
    ['{"a":"b"}', '{"a":null}', "{}"],
    ['{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'],
    ['{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'],
    ['{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'],
    ['{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'],
    ['{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'],
    ['["a","b"]', '["c","d"]', '["c","d"]'],
    ['{"a":"b"}', '["c"]', '["c"]'],
    ['{"a":"foo"}', "null", "null"],
    ['{"a":"foo"}', '"bar"', '"bar"'],
    ['{"e":null}', '{"a":1}', '{"e":null,"a":1}'],
    ["[1,2]", '{"a":"b","c":null}', '{"a":"b"}'],
    ["{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'],
  ];
  for (const [target, patch, result] of cases)
    assert.equal(JSON.stringify(mergePatch(JSON.parse(target), JSON.parse(patch))), result, `${target} by ${patch}`);
});

test("merge patches: the old state is not changed, and untouched parts are shared", () => {
  const before = JSON.parse('{"bids":{"1.0":"5"},"asks":{"1.1":"7"}}');
  const after = mergePatch(before, { bids: { "1.0": null, "0.9": "3" } });
  assert.deepEqual(before, { bids: { "1.0": "5" }, asks: { "1.1": "7" } });
  assert.deepEqual(after, { bids: { "0.9": "3" }, asks: { "1.1": "7" } });
  assert.equal(after.asks, before.asks);
});

test("merge patches: no key reaches a prototype", () => {
  const patches = [
    '{"__proto__":{"polluted":1}}', '{"a":{"__proto__":{"polluted":1}}}', '{"constructor":{"prototype":{"polluted":1}}}',
    '{"toString":{"polluted":1}}', '{"__proto__":null}',
  ];
  for (const patch of patches) {
    const merged = mergePatch(mergePatch({ a: {} }, JSON.parse(patch)), JSON.parse(patch));
    assert.equal({}.polluted, undefined, patch);
    assert.equal(Object.getPrototypeOf(merged), Object.prototype, patch);
    assert.equal(merged.polluted, undefined, patch);
    assert.equal(merged.a.polluted, undefined, patch);
  }
  // It is a key like others: set, merged and removed.
  const once = mergePatch({}, JSON.parse('{"__proto__":{"a":1}}'));
  assert.equal(JSON.stringify(once), '{"__proto__":{"a":1}}');
  assert.equal(JSON.stringify(mergePatch(once, JSON.parse('{"__proto__":{"b":2}}'))), '{"__proto__":{"a":1,"b":2}}');
  assert.equal(JSON.stringify(mergePatch(once, JSON.parse('{"__proto__":null}'))), "{}");
  assert.equal(JSON.stringify(mergePatch({}, { toString: { a: 1 } })), '{"toString":{"a":1}}');
});

/** RFC 7396's pseudo-code on lists of pairs: another representation, so that the same mistake is not made twice. */
function merged(target, patch) {
  const isObject = (value) => value instanceof Map;
  if (!isObject(patch)) return patch;
  const result = isObject(target) ? target : new Map();
  for (const [name, value] of patch) value === null ? result.delete(name) : result.set(name, merged(result.get(name), value));
  return result;
}

test("merge patches: ten thousand random ones against a plain model", () => {
  let state = 7396;
  const dice = (sides) => (state = (state * 1_103_515_245 + 12_345) % 2 ** 31) % sides;
  const value = (depth) => {
    const what = dice(depth > 3 ? 3 : 6);
    if (what < 2) return dice(5);
    if (what === 2) return null;
    if (what === 3) return [dice(3), null];
    const object = {};
    for (let keys = dice(4); keys > 0; keys -= 1) {
      const key = ["a", "b", "1", "__proto__", "toString"][dice(5)];
      Object.defineProperty(object, key, { value: value(depth + 1), enumerable: true, configurable: true, writable: true });
    }
    return object;
  };
  const toMap = (json) => json?.constructor === Array || typeof json !== "object" || json === null
    ? json : new Map(Object.entries(json).map(([key, inner]) => [key, toMap(inner)]));
  const toText = (map) => map instanceof Map
    ? `{${[...map].map(([key, inner]) => `${JSON.stringify(key)}:${toText(inner)}`).sort().join()}}` : JSON.stringify(map);
  let [ours, model] = [{}, new Map()];
  for (let round = 0; round < 10_000; round += 1) {
    const patch = value(0);
    ours = mergePatch(ours, patch);
    model = merged(model, toMap(patch));
    assert.equal(toText(toMap(ours)), toText(model), `round ${round}: ${JSON.stringify(patch)}`);
  }
});

test("patterns", () => {
  const cases = [
    ["a.b", "a.b", true], ["a.b", "a.b.c", false], ["a.*", "a.b", true], ["a.*", "a.b.c", false], ["a.*", "a", false],
    ["*.b", "a.b", true], ["a.>", "a.b.c", true], ["a.>", "a.b", true], ["a.>", "a", false], [">", "a", true],
    [">", "$SYS.stats", false], ["*.stats", "$SYS.stats", false], ["$SYS.>", "$SYS.stats", true],
    ["a.*.c", "a.b.c", true], ["a.*.c", "a.b.d", false], ["A.b", "a.b", false],
  ];
  for (const [text, topic, covers] of cases) assert.equal(matcher(text)(topic), covers, `${text} ${topic}`);
});

/** A stream that began with `start` and then took messages, each `op seq` or `op from-to`. */
function run(start, messages, { kind = "state", seq = 10, epoch = "e", had = null } = {}) {
  const stream = new Stream("t", []);
  const wrong = [stream.begin({ topic: "t", kind, epoch, seq, oldest: 1, start, conflate_ms: 0 }, had)];
  for (const text of messages) {
    const [op, numbers = "0", of = epoch] = text.split(" "), [first, last = first] = numbers.split("-").map(Number);
    const message = { op, topic: "t", seq: last, ts: 1, data: {} };
    if (op === "gap") wrong.push(stream.take({ op, topic: "t", from: first, to: last, reason: "slow" }));
    else if (op === "image") wrong.push(stream.take({ ...message, epoch: of }));
    else wrong.push(stream.take(first === last ? message : { ...message, from: first }));
  }
  return [stream, wrong.find((one) => one !== null) ?? null];
}

test("continuity: what may follow what", () => {
  const events = { kind: "event" }, had = (seq, epoch = "e") => ({ had: { epoch, seq } });
  const good = [
    ["live", ["update 11", "update 12"]],
    ["live", ["update 11", "image 15", "update 16"]],
    ["live", ["update 11-14", "patch 15-20", "patch 21"]],
    ["image", ["image 10", "update 11"]],
    ["image", ["image 12", "patch 13", "closed"]],
    ["history", ["update 7", "update 8", "update 9", "update 10", "update 11"]],
    ["history", ["image 3", "patch 4"]],
    ["history", ["gap 3-8", "update 9"], events],
    ["resumed", ["update 8", "update 9"], had(7)],
    ["reset", ["image 10", "update 11"], had(7)],
    ["reset", ["gap 8-9", "update 10"], { ...events, ...had(7) }],
    ["reset", ["gap 1-3", "update 4"], { ...events, ...had(7, "other") }],
    ["reset", ["update 6"], { ...events, ...had(70) }],
    ["live", ["gap 11-20", "update 21"], events],
  ];
  for (const [start, messages, options] of good) assert.equal(run(start, messages, options)[1], null, `${start}: ${messages}`);

  const bad = [
    ["live", ["update 12"]], ["live", ["update 10"]], ["live", ["update 11", "update 11"]], ["live", ["update 11", "update 13"]],
    ["live", ["update 12-14"]], ["live", ["update 10-12"]], ["live", ["image 10"]], ["live", ["image 11 other"]],
    ["live", ["update 14-12"]], ["live", ["update 11.5"]], ["live", ["update x"]],
    ["image", ["update 11"]], ["image", ["image 9"]], ["image", ["closed"]],
    ["history", ["update 11"]], ["history", ["update 0"]], ["history", ["closed"]],
    ["resumed", []], ["resumed", [], had(7, "other")], ["resumed", [], had(11)], ["resumed", ["update 11"], had(7)],
    ["reset", ["update 11"], had(7)], ["reset", ["update 9"], { ...events, ...had(7) }],
    ["live", ["gap 12-20"], events], ["live", ["gap 11-13", "update 15"], events],
    ["live", ["image 11"], events], ["live", ["patch 11"], events],
    ["live", ["update 11", "closed", "update 12"]], ["live", ["closed", "closed"]],
    ["sideways", []], ["live", [], { seq: -1 }], ["live", [], { seq: "10" }],
  ];
  for (const [start, messages, options] of bad) assert.notEqual(run(start, messages, options)[1], null, `${start}: ${messages}`);
});

test("continuity: a topic that ended begins again with another epoch", () => {
  const [stream] = run("live", ["update 11", "closed"]);
  assert.deepEqual([stream.waits, stream.state, stream.position], [true, undefined, { epoch: "e", seq: 11 }]);
  const row = { topic: "t", kind: "state", epoch: "e", seq: 0, oldest: 1, start: "live", conflate_ms: 0 };
  assert.match(stream.begin(row, null), /began again in epoch e/);
  const [other] = run("live", ["update 11", "closed"]);
  assert.equal(other.begin({ ...row, epoch: "f" }, null), null);
  assert.equal(other.take({ op: "update", topic: "t", seq: 1, ts: 1, data: 5 }), null);
  assert.deepEqual([other.state, other.position], [5, { epoch: "f", seq: 1 }]);
});

test("continuity: the position to resume from", () => {
  const cases = [
    ["live", [], {}, 10], ["live", ["update 11"], {}, 11], ["image", ["image 12"], {}, 12], ["live", ["gap 11-20"], { kind: "event" }, 20],
    // Until something comes, it is the one from before.
    ["image", [], { had: { epoch: "e", seq: 4 } }, 4], ["image", [], {}, undefined],
  ];
  for (const [start, messages, options, seq] of cases)
    assert.equal(run(start, messages, options)[0].position?.seq, seq, `${start}: ${messages}`);
});

test("the state is unknown if its base is unknown", () => {
  const [patched] = run("live", ["patch 11"], { kind: "state" });
  assert.equal(patched.state, undefined);
  const [imaged] = run("live", ["patch 11", "image 12", "patch 13"], { kind: "state" });
  assert.deepEqual(imaged.state, {});
  assert.equal(run("live", ["update 11"], { kind: "event" })[0].state, undefined);
});

test("updates that may come again: only their new part counts, and a jump is still a breach", () => {
  const events = { kind: "event" }, again = { topic: "t", kind: "event", epoch: "e", seq: 20, oldest: 9, start: "reset", conflate_ms: 0 };
  const [stream] = run("live", ["update 11", "update 12"], events);
  for (const start of ["resumed", "reset", "history"]) assert.equal(stream.begin({ ...again, start }, null, { mayRepeat: true }), null);
  assert.equal(stream.position.seq, 12);
  const update = (seq) => ({ op: "update", topic: "t", seq, ts: 1, data: seq }), gap = (from, to) => ({ op: "gap", topic: "t", from, to, reason: "expired" });
  for (const old of [update(11), update(12), gap(1, 12)]) assert.equal(stream.lacking(old), null);
  assert.deepEqual(stream.lacking(gap(1, 14)), gap(13, 14));
  assert.equal(stream.take(stream.lacking(gap(1, 14))), null);
  assert.notEqual(stream.take(stream.lacking(update(16))), null);
  assert.equal(stream.take(stream.lacking(update(15))), null);
  // Another epoch is another topic.
  assert.equal(stream.begin({ ...again, epoch: "f", seq: 2, start: "history" }, null, { mayRepeat: true }), null);
  assert.equal(stream.take(stream.lacking(update(1))), null);
});
