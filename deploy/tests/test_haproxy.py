"""deploy/haproxy in front of a broker, with the real HAProxy."""

import json
import os
import signal
import subprocess
import unittest

from proxied import FROM_THE_PROXY_ITSELF, NAME, PROXY_PROTOCOL, Proxy, ProxyTests
from support import DEPLOY, free_ports, program, rendered, run, until

FILE = DEPLOY / "haproxy" / "haproxy.cfg"


class Haproxy(Proxy):
    def start(self, replacements):
        self.port = free_ports(1)[0]
        both = self.folder / "tickcast.pem"
        both.write_text(self.tls.certificate.read_text() + self.tls.key.read_text())
        text = rendered(FILE, {
            "server broker 127.0.0.1:9000 send-proxy-v2 check port 9001":
                f"server broker 127.0.0.1:{self.broker.port} send-proxy-v2 check port {self.broker.admin_port}",
            "bind :443 ssl crt /etc/haproxy/tickcast.pem": f"bind 127.0.0.1:{self.port} ssl crt {both}",
            # It does not start if the system does not allow the open files for that.
            "maxconn 100000": "maxconn 1000",
            "tune.ssl.cachesize 100000": "tune.ssl.cachesize 1000",
        } | replacements)  # fmt: skip
        if os.getuid() != 0:
            text = text.replace("    user haproxy\n    group haproxy\n", "")
        file = self.folder / "haproxy.cfg"
        file.write_text(text)
        code, output = run(program("haproxy"), "-c", "-f", file)
        if code != 0 or "[WARNING]" in output:
            raise AssertionError(output)
        self.log = self.folder / "haproxy.log"
        with self.log.open("w") as log:
            self.process = subprocess.Popen([program("haproxy"), "-W", "-f", file], stdout=log, stderr=log)

    def reload(self):
        self.process.send_signal(signal.SIGUSR2)


class HaproxyTest(ProxyTests, unittest.TestCase):
    PROXY, PROGRAM, FILE = Haproxy, "haproxy", FILE
    SETTINGS, FIRST = PROXY_PROTOCOL, FROM_THE_PROXY_ITSELF
    TIMEOUTS = r"^ *timeout (client|server|tunnel) +(\d+)s$"
    SILENCE_TIMEOUTS = ["client", "server", "tunnel"]
    SILENCE = {f"timeout {name} 75s": f"timeout {name} 3s" for name in SILENCE_TIMEOUTS}

    def test_websocket_over_http_2(self):
        if not program("node"):
            self.skipTest("node is not installed")
        script = DEPLOY / "tests" / "h2_websocket.cjs"
        code, output = run(program("node"), script, NAME, self.proxy.port, self.tls.certificate)
        self.assertEqual(code, 0, output)
        self.assertEqual(json.loads(output)["op"], "hello")

    def test_a_broker_that_drains_gets_no_new_connections(self):
        broker, proxy = self.own({}, "--drain-ms", "20000")
        old = self.subscriber(proxy)
        old.subscribe("drained")
        broker.process.send_signal(signal.SIGTERM)
        old.expect("goaway")
        until("HAProxy takes it out", lambda: "is DOWN" in proxy.log.read_text())
        self.assertEqual(proxy.curl("/v1/topics")[0], 503)
        # The open connection stays, and is served.
        old.connection.send('{"op":"publish","id":2,"topic":"drained","kind":"event","data":"still here"}')
        # The answer and the update come in any order.
        while (message := old.message())["op"] != "update":
            self.assertIn(message["op"], ("published", "topic"))
        self.assertEqual(message["data"], "still here")
