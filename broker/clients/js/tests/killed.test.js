/** A test that is killed, as one that takes too long is, leaves no broker behind. */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { test } from "node:test";
import { until } from "./support/wait.js";

const started = `
  import { Broker } from ${JSON.stringify(new URL("support/broker.js", import.meta.url).href)};
  const broker = new Broker();
  await broker.start();
  console.log("runs as " + broker.pid + ".");
`;

test("a broker ends with the test that started it", async (t) => {
  const process = spawn("node", ["--input-type=module", "--eval", started], { stdio: ["ignore", "pipe", "inherit"] });
  t.after(() => process.kill("SIGKILL"));
  let said = "";
  process.stdout.setEncoding("utf8").on("data", (text) => (said += text));
  const [, pid] = await until(() => /runs as (\d+)\./.exec(said), "a broker that runs");
  process.kill("SIGKILL");
  await until(() => !existsSync(`/proc/${pid}`), `end of the broker, which is process ${pid}`);
});
