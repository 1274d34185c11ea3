// Node with the ws package: node.cjs HOST:PORT
const { WebSocket } = require("ws");
const { scenario } = require("./scenario.cjs");

scenario(WebSocket, process.argv[2], "node").then(
  () => process.exit(0),
  (error) => { console.error(error.stack); process.exit(1); },
);
