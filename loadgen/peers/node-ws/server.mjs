// An obvious first implementation with Node and `ws`: a map from topics to the sockets that follow them.
//
//   node server.mjs PORT
//
// A client sends {"subscribe":["a","b"]}, or {"topic":"a","data":"…"}; clients that follow "a" get the content of the
// string `data` as a text message. It is a string because JSON.parse would round the numbers in it: nanoseconds do not
// fit a double.

import { createRequire } from 'node:module';

// loadgen/peers/install puts it there.
const { WebSocket, WebSocketServer } = createRequire(new URL('../../../.tools/', import.meta.url))('ws');

const port = Number(process.argv[2]);
if (!Number.isInteger(port)) {
  console.error('usage: node server.mjs PORT');
  process.exit(2);
}

/** Topic → Set of sockets. */
const followers = new Map();

function subscribe(socket, topics) {
  for (const topic of topics) {
    if (!followers.has(topic)) followers.set(topic, new Set());
    followers.get(topic).add(socket);
    socket.topics.add(topic);
  }
}

function publish(topic, data) {
  // Encoded once: given a string, `ws` would encode it for each socket. Its own example of a broadcast sends a Buffer,
  // too.
  const bytes = Buffer.from(data);
  for (const socket of followers.get(topic) ?? []) {
    if (socket.readyState === WebSocket.OPEN) socket.send(bytes, { binary: false });
  }
}

function leave(socket) {
  for (const topic of socket.topics) {
    const sockets = followers.get(topic);
    sockets.delete(socket);
    if (sockets.size === 0) followers.delete(topic);
  }
}

// No compression is the default, stated because the others do not compress either. `ws` itself turns off Nagle's
// algorithm.
const server = new WebSocketServer({ host: '127.0.0.1', port, perMessageDeflate: false, backlog: 4096 });

server.on('connection', (socket) => {
  socket.topics = new Set();
  socket.on('message', (bytes) => {
    const message = JSON.parse(bytes);
    if (message.subscribe) subscribe(socket, message.subscribe);
    else publish(message.topic, message.data);
  });
  socket.on('close', () => leave(socket));
  // 'close' follows.
  socket.on('error', () => {});
});
