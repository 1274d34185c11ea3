/** A broker and a Prometheus for this test, on free ports; both end with it. */
import { execFileSync } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { start as startChild } from "../../../broker/clients/js/tests/support/child.js";

const TIMEOUT_MS = 60_000;
export const folder = new URL("../../", import.meta.url).pathname;

/** Waits until a condition holds, and returns its value. */
export async function until(condition, what) {
  const end = Date.now() + TIMEOUT_MS;
  for (;;) {
    const value = await condition();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${TIMEOUT_MS} ms: ${typeof what === "function" ? what() : what}`);
    await new Promise((next) => setTimeout(next, 50));
  }
}

/** Starts a program; `said` is its output so far. After the tests it is stopped, and its end is waited for. */
function start(after, program, args) {
  const running = { said: "", process: startChild(program, args, { stdio: ["ignore", "pipe", "pipe"] }) };
  const ended = new Promise((resolve) => running.process.on("exit", resolve));
  running.process.on("error", (error) => (running.said += error));
  for (const stream of [running.process.stdout, running.process.stderr])
    stream.on("data", (text) => (running.said += text));
  after(async () => {
    running.process.kill("SIGTERM");
    await ended;
  });
  running.check = () => {
    if (running.process.exitCode !== null) throw new Error(`${program} ended: ${running.said}`);
  };
  return running;
}

/** Starts a broker with these flags, and returns its addresses. */
export async function startBroker(after, flags) {
  const addresses = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
  const broker = start(after, process.env.BROKER, ["serve", ...addresses, "--drain-ms", "0", ...flags]);
  const [, listen, admin] = await until(() => {
    broker.check();
    return / listen=(\S+)(?: tls_listen=\S+)? admin_listen=(\S+)/.exec(broker.said);
  }, "a broker that serves");
  return { listen, admin, pid: broker.process.pid, process: broker.process };
}

/** Flags of a broker that has TLS and takes tokens, so that it has their metrics; clients without a token may do everything. */
export async function secured(after) {
  const files = await mkdtemp(join(tmpdir(), "tickcast-dashboards-"));
  after(() => rm(files, { recursive: true }));
  const at = (name) => join(files, name), quiet = { stdio: "ignore" };
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc"];
  execFileSync("openssl", ["req", "-x509", ...key, "-days", "30", "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-keyout", at("key.pem"), "-out", at("cert.pem")], quiet);
  execFileSync("openssl", ["pkey", "-in", at("key.pem"), "-pubout", "-out", at("tokens.pem")], quiet);
  await writeFile(at("broker.toml"), '[[roles]]\nname = "anonymous"\nsub = [">"]\npub = [">"]\n');
  const tls = ["--tls-listen", "127.0.0.1:0", "--tls-cert", at("cert.pem"), "--tls-key", at("key.pem")];
  return ["--config", at("broker.toml"), "--token-key-file", at("tokens.pem"), ...tls];
}

/** Flags of a broker with a journal of the smallest size, so that a checkpoint is due soon. */
export async function journaled(after) {
  const directory = await mkdtemp(join(tmpdir(), "tickcast-dashboards-journal-"));
  after(() => rm(directory, { recursive: true }));
  return ["--journal", "local", "--journal-dir", join(directory, "journal"), "--journal-bytes-max", "64MiB"];
}

/** Starts a nats-server with JetStream, and returns it with the flags of a broker whose journal is there. */
export async function startNats(after) {
  const data = await mkdtemp(join(tmpdir(), "tickcast-dashboards-nats-"));
  after(() => rm(data, { recursive: true, force: true }));
  const port = await freePort();
  const nats = start(after, process.env.NATS_SERVER, ["-js", "-sd", data, "-a", "127.0.0.1", "-p", `${port}`]);
  await until(() => {
    nats.check();
    return nats.said.includes("Server is ready");
  }, "a nats-server that is ready");
  const flags = ["--journal", "nats", "--journal-nats", `nats://127.0.0.1:${port}`, "--journal-node", "a", "--journal-bytes-max", "64MiB"];
  return { process: nats.process, flags };
}

/** Starts a Prometheus with this folder's configuration and rules, but faster, and with this broker as its target. */
export async function startPrometheus(after, admin) {
  const data = await mkdtemp(join(tmpdir(), "tickcast-prometheus-"));
  const address = `127.0.0.1:${await freePort()}`;
  const config = await readFile(join(folder, "prometheus/prometheus.yml"), "utf8");
  const changed = config
    .replace("127.0.0.1:9001", admin)
    .replace("rules/*.yml", join(folder, "prometheus/rules/*.yml"))
    .replaceAll("_interval: 15s", "_interval: 1s");
  await writeFile(join(data, "prometheus.yml"), changed);
  const prometheus = start(after, "prometheus", [
    `--config.file=${join(data, "prometheus.yml")}`,
    `--storage.tsdb.path=${join(data, "data")}`,
    `--web.listen-address=${address}`,
  ]);
  after(() => rm(data, { recursive: true, force: true }));
  await until(async () => {
    prometheus.check();
    return (await fetch(`http://${address}/-/ready`).catch(() => null))?.ok;
  }, "a Prometheus that is ready");
  return {
    /** Asks its HTTP API. */
    async ask(path, parameters = {}) {
      const answer = await fetch(`http://${address}/api/v1/${path}?${new URLSearchParams(parameters)}`);
      const said = await answer.json();
      if (said.status !== "success") throw new Error(`${path} ${JSON.stringify(parameters)}: ${said.error}`);
      return said.data;
    },
    /** Returns the numbers that a query gives now. */
    async numbers(query) {
      const { result } = await this.ask("query", { query });
      return result.map((series) => Number(series.value[1])).filter((number) => !Number.isNaN(number));
    },
  };
}

function freePort() {
  return new Promise((resolve) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address();
      server.close(() => resolve(port));
    });
  });
}
