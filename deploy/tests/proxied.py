"""The tests of a broker behind either of the proxies, over TLS and under the name of the example files."""

import contextlib
import json
import pathlib
import queue
import re
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from support import Broker, program, run, settings, stop, until

NAME = "ticks.example.com"
PARTNER = "https://www.example.com"
# The settings with which the broker knows its clients' addresses.
FORWARDED = ["--trusted-proxies", "127.0.0.1"]
PROXY_PROTOCOL = [*FORWARDED, "--proxy-protocol", "required"]
# The header of a connection that a proxy makes for itself.
FROM_THE_PROXY_ITSELF = b"PROXY UNKNOWN\r\n"


class Tls:
    """A self-signed certificate for NAME."""

    def __init__(self, folder):
        self.certificate, self.key = folder / "fullchain.pem", folder / "privkey.pem"
        code, output = run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
            "-subj", f"/CN={NAME}", "-addext", f"subjectAltName=DNS:{NAME}", "-keyout", self.key, "-out", self.certificate,
        )  # fmt: skip
        if code != 0:
            raise AssertionError(output)
        self.context = ssl.create_default_context(cafile=str(self.certificate))
        # The client of these tests reads in one thread and writes in another. If a session ticket of TLS 1.3 arrives
        # while the request is written, Python 3.11 sometimes never sends it (19 of 850 connections; with TLS 1.2 none
        # of 22,000). curl, which the tests use as well, uses TLS 1.3.
        self.context.maximum_version = ssl.TLSVersion.TLSv1_2


class Proxy:
    """A proxy in front of a broker. A subclass defines how it is started and reloaded."""

    def __init__(self, folder, tls, broker, replacements):
        self.folder, self.tls, self.broker = folder, tls, broker
        self.start(replacements)
        try:
            until("the proxy serves", lambda: self.curl("/v1/topics")[0] == 200)
        except BaseException:
            self.stop()
            raise

    def workers(self):
        """Returns the processes that serve, without the master."""
        children = pathlib.Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return {int(pid) for pid in children.split()}

    def socket(self, receive_bytes=None, source="127.0.0.1"):
        """Connects to the proxy from this address, with a receive buffer of the given size."""
        plain = socket.socket()
        plain.bind((source, 0))
        if receive_bytes:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_bytes)
        plain.settimeout(20)
        plain.connect(("127.0.0.1", self.port))
        return plain

    def connect(self, name=NAME, receive_bytes=None, source="127.0.0.1", **options):
        """Connects a WebSocket client, which checks the certificate and uses this name for the broker."""
        uri = f"wss://{name}:{self.port}/v1/ws"
        options = {"subprotocols": ["tickcast.v1.json"], "open_timeout": 20, "close_timeout": 2} | options
        raw = self.socket(receive_bytes, source)
        return connect(uri, sock=raw, ssl=self.tls.context, server_hostname=NAME, compression=None, **options)

    def curl_command(self, path, *options):
        """Returns the command line of curl."""
        host = f"{NAME}:{self.port}"
        return [
            "curl", "--silent", "--show-error", "--max-time", "30", "--cacert", str(self.tls.certificate),
            "--resolve", f"{host}:127.0.0.1", *options, f"https://{host}{path}",
        ]  # fmt: skip

    def curl(self, path, *options):
        """Sends a request with curl. Returns status and body."""
        code, output = run(*self.curl_command(path, "--write-out", "\n%{http_code}", *options))
        body, status = output.rsplit("\n", 1)
        return (int(status) if code == 0 else 0), body

    def stop(self):
        """Ends it and all processes that it started."""
        workers = self.workers() if self.process.poll() is None else set()
        stop(self.process)
        until("the proxy's workers are gone", lambda: not any(pathlib.Path(f"/proc/{pid}").exists() for pid in workers))


class Subscriber:
    """A WebSocket client that checks what it gets."""

    def __init__(self, connection):
        self.connection = connection
        self.hello = self.message()
        assert self.hello["op"] == "hello", self.hello

    def message(self, timeout=20):
        return json.loads(self.connection.recv(timeout=timeout))

    def expect(self, operation):
        """Returns the next message that is not a heartbeat."""
        while (message := self.message())["op"] == "heartbeat" != operation:
            pass
        assert message["op"] == operation, message
        return message

    def subscribe(self, topic, **options):
        self.connection.send(json.dumps({"op": "subscribe", "id": 1, "topics": [topic], **options}))
        return self.expect("subscribed")

    def close(self):
        self.connection.close()


class EventSource:
    """`curl --no-buffer` on /v1/sse, read as it comes."""

    def __init__(self, proxy, path, *options):
        command = proxy.curl_command(path, "--no-buffer", *options)
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.lines = queue.Queue()
        self.last_id = None
        threading.Thread(target=self.read, daemon=True).start()

    def read(self):
        for line in self.process.stdout:
            self.lines.put((time.monotonic(), line.rstrip("\n")))
        self.lines.put((time.monotonic(), None))

    def message(self):
        """Returns the next message, and the time at which it came."""
        while True:
            at, line = self.lines.get(timeout=20)
            assert line is not None, f"the stream ended, curl: {self.process.wait(5)}"
            if line.startswith("id:"):
                self.last_id = line.removeprefix("id:").strip()
            if line.startswith("data:"):
                return at, json.loads(line.removeprefix("data:"))

    def expect(self, operation):
        while True:
            at, message = self.message()
            if message["op"] == operation:
                return at, message

    def close(self):
        stop(self.process)
        self.process.stdout.close()


class ProxyTests:
    """The tests. A subclass defines PROXY, and the PROGRAM that has to be installed; SETTINGS of the broker, and the FIRST bytes
    of a connection to it; and what curl gets when the broker is GONE."""

    SETTINGS, FIRST = FORWARDED, b""
    GONE = (502, 503)

    @classmethod
    def setUpClass(cls):
        if not program(cls.PROGRAM):
            import unittest

            raise unittest.SkipTest(f"{cls.PROGRAM} is not installed")
        cls.stack = contextlib.ExitStack()
        cls.addClassCleanup(cls.stack.close)
        # Some proxies run their workers as another user, which needs access to the folder.
        cls.folder = pathlib.Path(cls.stack.enter_context(tempfile.TemporaryDirectory()))
        cls.folder.chmod(0o755)
        cls.tls = Tls(cls.folder)
        cls.broker, cls.proxy = cls.both("usual", {})

    @classmethod
    def both(cls, name, replacements, *arguments, stack=None):
        """Starts a broker and a proxy in front of it."""
        stack = stack or cls.stack
        folder = cls.folder / name
        folder.mkdir()
        broker = Broker(folder, "--allow-host", NAME, "--allow-origin", PARTNER, *cls.SETTINGS, *arguments, first=cls.FIRST)
        stack.callback(broker.stop)
        proxy = cls.PROXY(folder, cls.tls, broker, replacements)
        stack.callback(proxy.stop)
        return broker, proxy

    def own(self, replacements, *arguments):
        """Starts both for one test alone."""
        stack = contextlib.ExitStack()
        self.addCleanup(stack.close)
        return self.both(self.id().rsplit(".", 1)[1], replacements, *arguments, stack=stack)

    def subscriber(self, proxy=None, **options):
        subscriber = Subscriber((proxy or self.proxy).connect(**options))
        self.addCleanup(subscriber.close)
        return subscriber

    def source(self, path, *options, proxy=None):
        source = EventSource(proxy or self.proxy, path, *options)
        self.addCleanup(source.close)
        return source

    def refused(self, **options):
        with self.assertRaises(InvalidStatus) as refused:
            self.proxy.connect(**options)
        return refused.exception.response.status_code

    def test_subscribe_over_wss(self):
        subscriber = self.subscriber()
        self.assertEqual(subscriber.hello["protocol"], "tickcast.v1")
        subscriber.subscribe("wss.quote")
        for number in range(1, 51):
            status, answer = self.proxy.curl(
                "/v1/topics/wss.quote?kind=state", "--header", "Content-Type: application/json", "--data", str(number)
            ) if number < 4 else (200, self.broker.publish("wss.quote", "state", number))
            self.assertEqual(status, 200, answer)
        self.assertEqual(subscriber.expect("topic")["kind"], "state")
        updates = [subscriber.expect("update") for _ in range(50)]
        self.assertEqual([(update["seq"], update["data"]) for update in updates], [(n, n) for n in range(1, 51)])

    def test_who_may_connect(self):
        own = f"https://{NAME}:{self.proxy.port}"
        for origin in (own, PARTNER):
            self.subscriber(origin=origin)
        self.assertEqual(self.refused(origin="https://evil.example"), 403)
        self.assertEqual(self.refused(origin=own.replace("https", "http").replace(str(self.proxy.port), "1")), 403)
        # A name that was made to point here, as in DNS rebinding.
        self.assertEqual(self.refused(name="rebound.example"), 403)
        status, body = self.proxy.curl("/v1/topics", "--header", "Host: rebound.example")
        self.assertEqual((status, json.loads(body)["error"]["code"]), (403, "forbidden"))
        # CORS for pages of a partner.
        _, head = self.proxy.curl("/v1/topics", "--header", f"Origin: {PARTNER}", "--dump-header", "-")
        self.assertIn(f"access-control-allow-origin: {PARTNER}", head.lower())

    def test_the_broker_knows_every_clients_address(self):
        forged = [("X-Forwarded-For", "198.51.100.1, 127.0.0.1"), ("X-Real-IP", "198.51.100.1"), ("Forwarded", "for=198.51.100.1")]
        one, other = self.subscriber(source="127.0.0.2"), self.subscriber(source="127.0.0.3", additional_headers=forged)
        headers = [word for name, value in forged for word in ("--header", f"{name}: {value}")]
        source = self.source("/v1/sse?topic=addresses", "--interface", "127.0.0.4", *headers)
        sessions = [one.hello["session"], other.hello["session"], source.expect("hello")[1]["session"]]
        self.assertEqual([self.broker.remote(session) for session in sessions], ["127.0.0.2", "127.0.0.3", "127.0.0.4"])

    def test_connections_count_by_the_clients_address(self):
        _, proxy = self.own({}, "--connections-per-address-max", "1")
        for source in ("127.0.0.2", "127.0.0.3"):
            self.subscriber(proxy, source=source)
            refused = proxy.connect(source=source)
            with self.assertRaises(ConnectionClosed) as closed:
                refused.recv(timeout=20)
            self.assertEqual(closed.exception.rcvd.code, 4029)

    def test_nobody_behind_a_proxy_is_on_this_machine(self):
        for headers in ([], [("X-Forwarded-For", "127.0.0.1")], [("X-Forwarded-For", "::1")]):
            subscriber = self.subscriber(additional_headers=headers)
            self.assertEqual(subscriber.subscribe("$SYS.>")["errors"][0]["code"], "forbidden", headers)
            options = [word for name, value in headers for word in ("--header", f"{name}: {value}")]
            for path in ("/v1/topics/$SYS.stats", "/v1/sse?topic=$SYS.stats", "/v1/topics?match=$SYS.%3E"):
                self.assertEqual(self.proxy.curl(path, *options)[0], 403, (path, headers))

    def test_the_http_api(self):
        json_type = ["--header", "Content-Type: application/json"]
        self.assertEqual(self.proxy.curl("/v1/topics/BTC%2FUSD?kind=state", *json_type, "--data", '{"bid":"1.50"}')[0], 200)
        status, body = self.proxy.curl("/v1/topics/BTC%2FUSD")
        self.assertEqual((status, json.loads(body)["data"]), (200, {"bid": "1.50"}), "%2F is passed on unchanged")
        self.assertEqual(self.proxy.curl("/v1/topics/BTC%2FUSD", "--request", "DELETE")[0], 200)
        self.assertEqual(self.proxy.curl("/v1/topics/BTC%2FUSD")[0], 404)
        self.assertEqual(self.proxy.curl("/v1/ws")[0], 426)
        # A body near ndjson_bytes_max: proxies have bounds of their own.
        lines = self.folder / "many.ndjson"
        line = json.dumps({"topic": "many", "kind": "event", "data": "x" * 1000}) + "\n"
        count = settings()["ndjson_bytes_max"] // len(line)
        lines.write_text(line * count)
        status, body = self.proxy.curl(
            "/v1/publish", "--header", "Content-Type: application/x-ndjson", "--data-binary", f"@{lines}"
        )
        self.assertEqual((status, json.loads(body)), (200, {"accepted": count, "rejected": []}))

    def test_server_sent_events_come_at_once(self):
        for number, version in enumerate(["--http1.1", "--http2"]):
            topic = f"sse{number}.trade"
            source = self.source(f"/v1/sse?topic={topic}", version)
            source.expect("subscribed")
            for price in range(1, 6):
                begin = time.monotonic()
                self.broker.publish(topic, "event", price)
                at, update = source.expect("update")
                self.assertEqual(update["data"], price)
                # A buffered event would come with the next one or never. The bound allows for a busy machine.
                self.assertLess(at - begin, 2)
            source.close()
            self.broker.publish(topic, "event", "while away")
            again = self.source(f"/v1/sse?topic={topic}", version, "--header", f"Last-Event-ID: {source.last_id}")
            self.assertEqual(again.expect("update")[1]["data"], "while away")

    def test_a_reload_keeps_old_connections_and_serves_new_ones(self):
        self.broker.publish("reload", "state", 0)
        old, source = self.subscriber(), self.source("/v1/sse?topic=reload")
        old.subscribe("reload")
        self.assertEqual(old.expect("image")["data"], 0)
        source.expect("image")
        before = self.proxy.workers()
        self.proxy.reload()
        until("new workers", lambda: self.proxy.workers() - before)
        until("the proxy serves", lambda: self.proxy.curl("/v1/topics")[0] == 200)
        self.assertTrue(self.proxy.workers() & before, "the old workers have connections still")

        # For two seconds, which exposes a proxy that only gives old connections a moment.
        number, end = 0, time.monotonic() + 2
        while number < 5 or time.monotonic() < end:
            number += 1
            self.broker.publish("reload", "state", number)
            if number <= 5:
                new = self.subscriber()
                new.subscribe("reload")
                self.assertEqual(new.expect("image")["data"], number)
                new.close()
            self.assertEqual((old.expect("update")["seq"]), number + 1)
            self.assertEqual(source.expect("update")[1]["seq"], number + 1)
        new = self.subscriber()
        new.subscribe("reload")
        new.expect("image")
        old.close()
        source.close()
        # Connections from after the reload do not depend on the old workers.
        until("the old workers are gone", lambda: not self.proxy.workers() & before)
        self.broker.publish("reload", "state", "after all")
        self.assertEqual(new.expect("update")["data"], "after all")

    def test_a_broker_that_goes_away_says_so_through_the_proxy(self):
        broker, proxy = self.own({}, "--drain-ms", "1500")
        subscriber = self.subscriber(proxy)
        source = self.source("/v1/sse?topic=away", proxy=proxy)
        source.expect("subscribed")
        broker.process.send_signal(signal.SIGTERM)
        self.assertEqual(subscriber.expect("goaway")["after_ms"], 1500)
        source.expect("goaway")
        with self.assertRaises(ConnectionClosed) as closed:
            subscriber.message()
        self.assertEqual(closed.exception.rcvd.code, 1001)
        broker.process.wait(10)
        self.assertIn(proxy.curl("/v1/topics")[0], self.GONE)
        broker.start()
        until("the proxy serves again", lambda: proxy.curl("/v1/topics")[0] == 200)
        self.subscriber(proxy)

    def test_silence_is_not_cut_off(self):
        # Shorter than the 75 s and 25 s of the files, with some room for a busy machine.
        broker, proxy = self.own(self.SILENCE, "--heartbeat-ms", "700")
        subscriber, source = self.subscriber(proxy), self.source("/v1/sse?topic=quiet", proxy=proxy)
        subscriber.subscribe("quiet")
        end = time.monotonic() + 6.5
        while time.monotonic() < end:
            self.assertEqual(subscriber.message()["op"], "heartbeat")
        broker.publish("quiet", "event", "at last")
        self.assertEqual(subscriber.expect("topic")["topic"], "quiet")
        self.assertEqual(subscriber.expect("update")["data"], "at last")
        self.assertEqual(source.expect("update")[1]["data"], "at last")

    def test_a_client_of_a_silent_broker_is_disconnected(self):
        # The same timeouts notice a broker that hangs.
        broker, proxy = self.own(self.SILENCE, "--heartbeat-ms", "60000")
        subscriber = self.subscriber(proxy, ping_interval=None)
        with self.assertRaises(ConnectionClosed):
            subscriber.message()

    def test_a_slow_client_gets_the_newest_state_through_the_proxy(self):
        updates, filling = 600, "x" * 60_000
        slow = self.subscriber(receive_bytes=16_384, max_queue=1)
        slow.subscribe("slow")
        behind = self.broker.metric("tickcast_fell_behind_total")
        for number in range(1, updates + 1):
            self.broker.publish("slow", "state", [number, filling])
        self.assertGreater(self.broker.metric("tickcast_fell_behind_total"), behind)
        received, last = 0, 0
        while last < updates:
            message = slow.message()
            if message["op"] in ("image", "update"):
                received += 1
                last = message["data"][0]
        # What the sockets' and the proxy's buffers hold, but not megabytes.
        self.assertLess(received * len(filling), 4 << 20, f"{received} of {updates} updates")

    def test_timeouts_are_longer_than_the_heartbeat(self):
        broker = settings()
        # A heartbeat may be late by up to a sixteenth of its interval.
        longest_silence_s = broker["heartbeat_ms"] * 17 / 16 / 1000
        found = re.findall(self.TIMEOUTS, self.FILE.read_text(), re.MULTILINE)
        self.assertEqual(len(found), len(self.SILENCE_TIMEOUTS), found)
        for name, seconds in found:
            self.assertGreater(int(seconds), 2 * longest_silence_s, name)
            self.assertGreater(int(seconds), broker["stall_ms"] / 1000, name)
