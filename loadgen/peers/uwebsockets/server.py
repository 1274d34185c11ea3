"""uWebSockets' own publish and subscribe (C++), through socketify.

    python server.py PORT

A client sends {"subscribe":["a","b"]}, or {"topic":"a","data":"…"}; whoever follows "a" gets what the string `data` says,
as a text message.

Python runs once for each message that arrives, to read that JSON; fan-out is uWebSockets alone. So what a publish costs is
Python's, and what a delivery costs is uWebSockets', as soon as there are many deliveries to a publish.
"""

import json
import sys

from socketify import App, AppListenOptions, CompressOptions, OpCode

# Without the hooks for start and end, which need asyncio.
app = App(lifespan=False)


def on_message(socket, text, _opcode):
    message = json.loads(text)
    if "subscribe" in message:
        for topic in message["subscribe"]:
            socket.subscribe(topic)
    else:
        app.publish(message["topic"], message["data"], OpCode.TEXT, False)


app.ws(
    "/*",
    {
        "compression": CompressOptions.DISABLED,
        # Above what loadgen sends at most, 60 kB and what JSON makes of it.
        "max_payload_length": 1 << 20,
        # What may wait for a slow subscriber before messages to it are dropped without a word: as much as with
        # nats-server. The default is 64 KiB, 500 messages of the usual length.
        "max_backpressure": 64 << 20,
        # Subscribers only listen: by default they would be thrown out after two minutes.
        "idle_timeout": 0,
        "message": on_message,
    },
)

port = int(sys.argv[1])
app.listen(AppListenOptions(port=port, host="127.0.0.1"), lambda _options: None)
# Not app.run(): that polls uWebSockets' loop between turns of asyncio's, and takes a whole core while nothing happens.
app.loop.uv_loop.run()
# It comes back only where there is nothing to wait for.
sys.exit(f"cannot listen at port {port}")
