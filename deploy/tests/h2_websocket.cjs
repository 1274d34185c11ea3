// Opens a WebSocket over HTTP/2 (RFC 8441), as browsers do if the server offers it. Prints the broker's hello.
// Arguments: the certificate's name, the port on this machine, the certificate.
const fs = require("node:fs");
const http2 = require("node:http2");
const tls = require("node:tls");

const [name, port, certificate] = process.argv.slice(2);
const origin = `https://${name}:${port}`;
const socket = tls.connect({
  host: "127.0.0.1", port: Number(port), servername: name, ca: fs.readFileSync(certificate), ALPNProtocols: ["h2"],
});
const session = http2.connect(origin, { createConnection: () => socket });
const fail = (what) => { console.error(String(what)); process.exit(1); };
session.on("error", fail);

session.on("remoteSettings", (settings) => {
  if (!settings.enableConnectProtocol) fail("WebSocket over HTTP/2 is not offered");
  const stream = session.request({
    ":method": "CONNECT", ":protocol": "websocket", ":scheme": "https", ":path": "/v1/ws", ":authority": `${name}:${port}`,
    "sec-websocket-version": "13", "sec-websocket-protocol": "tickcast.v1.json", origin,
  });
  stream.on("error", fail);
  stream.on("response", (headers) => { if (headers[":status"] !== 200) fail(`status ${headers[":status"]}`); });
  let bytes = Buffer.alloc(0);
  stream.on("data", (chunk) => {
    bytes = Buffer.concat([bytes, chunk]);
    // A whole text frame with a length of two bytes: hello has a few hundred bytes.
    if (bytes.length < 4) return;
    if (bytes[0] !== 0x81 || bytes[1] !== 126) fail(`no text frame: ${bytes.subarray(0, 4).toString("hex")}`);
    const length = bytes.readUInt16BE(2);
    if (bytes.length < 4 + length) return;
    console.log(bytes.subarray(4, 4 + length).toString());
    session.destroy();
  });
});
