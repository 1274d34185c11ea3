/** The package that npm makes of this folder: its contents, and a program that installs and uses it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, realpath, rm, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { Broker } from "./support/broker.js";

const ours = new URL("../", import.meta.url).pathname, root = new URL("../../../../", import.meta.url).pathname;
const ws = dirname(createRequire(import.meta.url).resolve("ws"));
const tsc = join(root, ".tools/typescript/node_modules/.bin/tsc");

/** Runs a program to its end, without the tests' NODE_PATH, and returns its output. */
async function run(folder, program, ...args) {
  const { NODE_PATH: _, ...env } = process.env;
  return (await promisify(execFile)(program, args, { cwd: folder, env })).stdout;
}

/** A program without the platform's WebSocket: it needs the package `ws`, as in Node 20. */
const PROGRAM = `
delete globalThis.WebSocket;
const { connect } = await import("tickcast");
const client = connect(process.argv[2], { transports: ["websocket"] });
await client.publish("packed.one", { n: 1 }, { kind: "state" });
for await (const { op, topic, state } of client.subscribe("packed.one"))
  if (state) { console.log(op, topic, state.n, client.transport); break; }
client.close();
`;
const TYPED = `import { connect, type Client } from "tickcast";
export const client: Client = connect("ws://127.0.0.1:9000");
// @ts-expect-error a port alone is not an address
connect(9000);
`;

test("npm packs it as it is, and a program that installs the package has a client with types", async (t) => {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "tickcast-package-")));
  t.after(() => rm(folder, { recursive: true, force: true }));
  const [packed] = JSON.parse(await run(ours, "npm", "pack", "--json", "--offline", "--pack-destination", folder));
  const modules = (await readdir(join(ours, "tickcast"))).map((name) => `tickcast/${name}`);
  const others = ["LICENSE-APACHE", "LICENSE-MIT", "README.md", "package.json", "tickcast.d.ts", "tickcast.js"];
  assert.deepEqual(packed.files.map(({ path }) => path).sort(), [...others, ...modules].sort());

  await writeFile(join(folder, "package.json"), '{ "private": true, "type": "module" }');
  await run(folder, "npm", "install", "--offline", "--no-audit", "--no-fund", join(folder, packed.filename), ws);
  await writeFile(join(folder, "program.js"), PROGRAM);
  const broker = await Broker.start(t, ["--open-publish"]);
  assert.equal(await run(folder, process.execPath, "program.js", broker.url), "image packed.one 1 websocket\n");

  if (!existsSync(tsc)) return t.diagnostic("its types were not looked at: there is no TypeScript compiler");
  await writeFile(join(folder, "typed.ts"), TYPED);
  await run(folder, tsc, "--strict", "--noEmit", "--module", "nodenext", "--target", "es2022", "typed.ts");
});

test("its version and licenses are the project's, and it has no dependencies", async () => {
  const manifest = JSON.parse(await readFile(join(ours, "package.json"), "utf8"));
  const [, version] = /^\[workspace\.package\]\nversion = "(.*)"$/m.exec(await readFile(join(root, "Cargo.toml"), "utf8"));
  assert.equal(manifest.version, version);
  assert.deepEqual([manifest.dependencies, manifest.scripts], [undefined, undefined]);
  for (const name of ["LICENSE-APACHE", "LICENSE-MIT"])
    assert.equal(await readFile(join(ours, name), "utf8"), await readFile(join(root, name), "utf8"), name);
});
