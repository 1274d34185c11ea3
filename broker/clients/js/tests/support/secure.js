/** A real broker with users: it takes tokens of a secret, and a static one for what tests publish. */
import { createHash, createHmac, randomBytes } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { Broker } from "./broker.js";

const FEED = "token-of-the-feed";

/** `roles` is what users may have, as TOML. */
export async function secureBroker(test, roles, flags = []) {
  const folder = await mkdtemp(join(tmpdir(), "tickcast-secure-"));
  test.after(() => rm(folder, { recursive: true, force: true }));
  const secret = randomBytes(32).toString("base64url"), file = (name, content) => writeFile(join(folder, name), content, { mode: 0o600 });
  await file("secret", secret);
  await file("broker.toml", `
token_secret_file = ${JSON.stringify(join(folder, "secret"))}
token_algorithms = "HS256"
[[roles]]
name = "feed"
sub = [">"]
pub = [">"]
admin = true
[[tokens]]
name = "feed-a"
sha256 = "${createHash("sha256").update(FEED).digest("hex")}"
roles = ["feed"]
${roles}`);
  const broker = await Broker.start(test, ["--config", join(folder, "broker.toml"), ...flags]);
  broker.token = FEED;
  return { broker, issue: (sub, roles, lifetime_s) => issue(secret, sub, roles, lifetime_s) };
}

/** A JWT of a user with these roles that ends after some seconds. */
function issue(secret, sub, roles, lifetime_s = 600) {
  const part = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");
  const now_s = Date.now() / 1000;
  const signed = `${part({ alg: "HS256", typ: "JWT" })}.${part({ sub, aud: "tickcast", iat: Math.floor(now_s), exp: Math.ceil(now_s + lifetime_s), tickcast: { roles } })}`;
  return `${signed}.${createHmac("sha256", secret).update(signed).digest("base64url")}`;
}
