// Serves the page, and gives its users tokens for the broker: node token_server.mjs
import { scryptSync, timingSafeEqual } from "node:crypto";
import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { SignJWT, importPKCS8 } from "jose";

const ORIGIN = "https://localhost:8443", PORT = 8443, TOKEN_S = 300;
const read = (name) => readFileSync(new URL(name, import.meta.url), "utf8");

async function token(name, password) {
  // A map, which has no names of its own as an object has. Also a name that does not exist takes the time of a password.
  const user = new Map(Object.entries(JSON.parse(read("users.json")))).get(name) ?? { salt: "", scrypt: "00".repeat(32) };
  const tried = scryptSync(password, Buffer.from(user.salt, "hex"), 32, { N: 2 ** 14, r: 8, p: 1 });
  if (!timingSafeEqual(tried, Buffer.from(user.scrypt, "hex"))) return null;
  return new SignJWT({ tickcast: { roles: user.roles } }).setProtectedHeader({ alg: "ES256" }).setIssuer(ORIGIN)
    .setAudience("tickcast").setSubject(name).setIssuedAt().setExpirationTime(`${TOKEN_S}s`)
    .sign(await importPKCS8(read("token-key.pem"), "ES256"));
}

async function answer(request, response) {
  if (request.method !== "POST")
    return response.setHeader("Content-Type", "text/html; charset=utf-8").end(read("page.html"));
  let body = "";
  for await (const part of request) if ((body += part).length > 1000) return response.writeHead(413).end();
  const form = new URLSearchParams(body);
  const made = await token(form.get("name") ?? "", form.get("password") ?? "");
  response.writeHead(made ? 200 : 403, { "Content-Type": "text/plain", "Cache-Control": "no-store" }).end(made ?? "wrong name or password");
}

createServer({ cert: read("certificate.pem"), key: read("certificate-key.pem") }, (request, response) =>
  answer(request, response).catch((error) => { console.error(error.message); response.destroy(); })).listen(PORT);
