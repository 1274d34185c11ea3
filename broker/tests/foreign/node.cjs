// Node with the ws package: node.cjs HOST:PORT, or node.cjs URL NAME
const { WebSocket } = require("ws");
const { scenario } = require("./scenario.cjs");

scenario(WebSocket, process.argv[2], process.argv[3] ?? "node").then(
  () => process.exit(0),
  (error) => { console.error(error.stack); process.exit(1); },
);
