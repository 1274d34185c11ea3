"""Python with the websockets package: python.py HOST:PORT, or python.py HOST:PORT CA VERSION with TLS of that version"""

import asyncio
import json
import ssl
import sys
import urllib.error
import urllib.request

import websockets

ADDRESS = sys.argv[1]
WAIT_S = 10
TLS, NAME = None, "python"
if len(sys.argv) > 2:
    TLS = ssl.create_default_context(cafile=sys.argv[2])
    TLS.minimum_version = TLS.maximum_version = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}[sys.argv[3]]
    NAME = "python-" + sys.argv[3].replace(".", "-")
SECURE = "s" if TLS else ""
WEBSOCKET = f"ws{SECURE}://{ADDRESS}/v1/ws"


def http(method, path, body=None):
    headers = {} if body is None else {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http{SECURE}://{ADDRESS}{path}", body and body.encode(), headers, method=method)
    try:
        with urllib.request.urlopen(request, timeout=WAIT_S, context=TLS) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


async def take(socket, op):
    """Returns the next message that is not a heartbeat; it has to have this op."""
    while True:
        message = json.loads(await asyncio.wait_for(socket.recv(), WAIT_S))
        if message["op"] != "heartbeat":
            assert message["op"] == op, f"{op} should come, not {str(message)[:300]}"
            return message


async def main():
    quote, book = f"{NAME}.BTC/USD.quote", f"{NAME}.book"
    status, first = http("POST", f"/v1/topics/{NAME}.BTC%2FUSD.quote?kind=state", '{"bid":"1.10"}')
    assert (status, first["topic"], first["seq"]) == (200, quote, 1), first

    async with websockets.connect(WEBSOCKET, ssl=TLS, subprotocols=["tickcast.v1.json"], max_size=2**21) as socket:
        assert socket.subprotocol == "tickcast.v1.json"
        hello = await take(socket, "hello")
        assert hello["protocol"] == "tickcast.v1", hello
        await socket.send(json.dumps({"op": "subscribe", "id": "s", "topics": [quote]}))
        subscribed = await take(socket, "subscribed")
        assert subscribed["id"] == "s" and subscribed["topics"][0]["start"] == "image", subscribed
        image = await take(socket, "image")
        assert (image["seq"], image["data"]) == (1, {"bid": "1.10"}), image

        # A batch over a connection of its own: in order, and the valid entries also if others are not.
        async with websockets.connect(WEBSOCKET, ssl=TLS) as producer:
            await take(producer, "hello")
            batch = [{"topic": quote, "kind": "state", "data": n} for n in range(50)]
            batch.insert(7, {"topic": "a..b", "data": 1})
            await producer.send(json.dumps({"op": "publish", "id": 2, "batch": batch}))
            published = await take(producer, "published")
            assert published["accepted"] == 50, published
            assert [(entry["index"], entry["code"]) for entry in published["rejected"]] == [(7, "bad_topic")], published
        for n in range(50):
            update = await take(socket, "update")
            assert (update["seq"], update["data"]) == (n + 2, n), update

        # Patches: a client that applies them has the image.
        http("POST", f"/v1/topics/{book}?kind=state", '{"bids":{"1.10":"5"},"asks":{}}')
        await socket.send(json.dumps({"op": "subscribe", "id": 3, "topics": [book]}))
        await take(socket, "subscribed")
        state = (await take(socket, "image"))["data"]
        http("POST", f"/v1/topics/{book}?kind=patch", '{"bids":{"1.10":null,"1.09":"7"}}')
        patch = await take(socket, "patch")
        for price, size in patch["data"]["bids"].items():
            if size is None:
                del state["bids"][price]
            else:
                state["bids"][price] = size
        assert state == http("GET", f"/v1/topics/{book}")[1]["data"], state

        # Fragments, as which the package sends an iterable; and a WebSocket ping.
        await socket.send(['{"op":"pi', 'ng","id":', "9}"])
        assert (await take(socket, "pong"))["id"] == 9
        await asyncio.wait_for(await socket.ping(), WAIT_S)
    assert socket.close_code == 1000, socket.close_code

    # A binary message is refused with its code.
    async with websockets.connect(WEBSOCKET, ssl=TLS) as socket:
        await take(socket, "hello")
        await socket.send(b"binary")
        try:
            await asyncio.wait_for(socket.recv(), WAIT_S)
            raise AssertionError("a binary message was taken")
        except websockets.ConnectionClosed as closed:
            assert closed.rcvd.code == 1003, closed

    try:
        await websockets.connect(WEBSOCKET, ssl=TLS, subprotocols=["somebody.elses"])
        raise AssertionError("an unknown subprotocol was taken")
    except websockets.InvalidStatus as refused:
        assert refused.response.status_code == 400, refused


asyncio.run(main())
