// Node's ws with a token in the header: token_client.cjs DESK BROKER-PORT TOKEN
// Prints one JSON object: what the broker answered to a subscription and an update, and with which code it closed.
const { readFileSync } = require("node:fs");
const { WebSocket } = require("ws");

const [desk, port, token] = process.argv.slice(2);
const socket = new WebSocket(`wss://localhost:${port}/v1/ws`, {
  ca: readFileSync(`${desk}/ca.pem`), headers: { Authorization: `Bearer ${token}` },
});
const seen = { ops: [] };
socket.on("unexpected-response", (_, answer) => { console.log(JSON.stringify({ status: answer.statusCode })); process.exit(0); });
socket.on("error", (error) => { console.error(error); process.exit(1); });
socket.on("message", (text) => {
  const message = JSON.parse(text);
  seen.ops.push(message.op);
  seen[message.op] = message;
  if (message.op === "authenticated" && !seen.subscribed)
    socket.send(JSON.stringify({ op: "subscribe", topics: ["stocks.AAPL.quote", "stocks.AAPL.trade", "users.amy.note", "users.bob.note", "stocks.>"] }));
});
socket.on("close", (code) => { console.log(JSON.stringify({ ...seen, code })); process.exit(0); });
