"""deploy/cluster with real nats-servers, HAProxy and brokers: nats.conf, haproxy.cfg and the demo."""

import contextlib
import json
import os
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import threading
import unittest

from support import DEPLOY, Broker, ask, free_ports, program, rendered, run, settings, stop, until
from test_cluster import INSTALLED, PASSWORDS, nats_server

FOLDER = DEPLOY / "cluster"
# Elections take some seconds, and several at the start more.
PATIENCE_S = 60


def connect(port, password):
    """Connects to a nats-server as the brokers' user, and asks JetStream how it is. Returns the answer, or what is refused."""
    login = json.dumps({"user": "tickcast", "pass": password, "verbose": False})
    with socket.create_connection(("127.0.0.1", port), timeout=10) as connection, connection.makefile("rb") as lines:
        connection.sendall(f"CONNECT {login}\r\nSUB answer 1\r\nPUB $JS.API.INFO answer 0\r\n\r\n".encode())
        for line in lines:
            if line.startswith(b"-ERR"):
                return line.decode()
            if line.startswith(b"MSG answer "):
                return json.loads(lines.readline())
    return "closed"


@unittest.skipUnless(nats_server(), f"nats-server {INSTALLED[-1]} is not installed")
class NatsConfTest(unittest.TestCase):
    def setUp(self):
        self.folder = folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        clients, monitors, routes = (free_ports(3) for _ in range(3))
        for index in range(3):
            file = folder / f"{index}.conf"
            addresses = {"0.0.0.0:4222": f"127.0.0.1:{clients[index]}", "0.0.0.0:8222": f"127.0.0.1:{monitors[index]}"}
            addresses |= {"0.0.0.0:6222": f"127.0.0.1:{routes[index]}", '"/data"': f'"{folder / str(index)}"'}
            addresses |= {f"nats-{other + 1}:6222": f"127.0.0.1:{routes[other]}" for other in range(3)}
            file.write_text(rendered(FOLDER / "nats.conf", addresses))
            environment = os.environ | PASSWORDS | {"NATS_NAME": f"nats-{index + 1}"}
            process = subprocess.Popen([nats_server(), "-c", file, "-l", folder / f"{index}.log"], env=environment)
            self.addCleanup(stop, process)
        self.clients, self.monitors = clients, monitors

    def test_three_servers_form_a_cluster_for_those_with_the_password(self):
        clients, monitors = self.clients, self.monitors
        for port in monitors:
            # As the probes of Kubernetes ask.
            for path in ("/healthz?js-enabled-only=true", "/healthz?js-server-only=true", "/healthz"):
                until(path, lambda port=port, path=path: ask(port, "GET", path)[0] == 200, PATIENCE_S)
        self.assertEqual(json.loads(ask(monitors[0], "GET", "/jsz")[1])["config"]["sync_always"], True)
        view = until("a leader", lambda: json.loads(ask(monitors[0], "GET", "/jsz")[1]).get("meta_cluster", {}).get("leader"), PATIENCE_S)
        self.assertIn(view, ("nats-1", "nats-2", "nats-3"))
        answer = connect(clients[0], PASSWORDS["TICKCAST_NATS_PASSWORD"])
        self.assertEqual(answer["type"], "io.nats.jetstream.api.v1.account_info_response", answer)
        self.assertNotIn("error", answer)
        self.assertIn("Authorization Violation", connect(clients[0], "wrong"))
        self.assertIn("Authorization Violation", connect(clients[0], PASSWORDS["NATS_ADMIN_PASSWORD"]))

    def test_two_brokers_share_their_topics_there(self):
        password = PASSWORDS["TICKCAST_NATS_PASSWORD"]
        urls = ",".join(f"nats://tickcast:{password}@127.0.0.1:{port}" for port in self.clients)
        brokers = []
        for name in "ab":
            (self.folder / name).mkdir()
            flags = ["--journal", "nats", "--journal-nats", urls, "--journal-node", name, "--journal-replicas", "3"]
            brokers.append(Broker(self.folder / name, *flags))
            self.addCleanup(brokers[-1].stop)
        brokers[0].publish("shared.topic", "state", {"n": 1})

        def image(broker):
            status, body = ask(broker.port, "GET", "/v1/topics/shared.topic")
            known = json.loads(body) if status == 200 else {}
            return {name: known[name] for name in ("epoch", "seq", "ts", "data") if name in known}

        there = until("the other broker to have it", lambda: image(brokers[1]))
        self.assertEqual(there, image(brokers[0]))
        # With as many replicas as there are servers, and the default size of the log, which has to fit.
        view = json.loads(ask(self.monitors[0], "GET", "/jsz?streams=true&config=true&accounts=true")[1])
        (account,) = [each for each in view["account_details"] if each.get("stream_detail")]
        self.assertEqual(account["name"], "TICKCAST")
        (log,) = [stream for stream in account["stream_detail"] if stream["name"] == "tickcast_LOG"]
        self.assertEqual((log["config"]["num_replicas"], log["config"]["max_bytes"]), (3, settings()["journal_bytes_max"]))


@unittest.skipUnless(program("haproxy"), "haproxy is not installed")
class HaproxyTest(unittest.TestCase):
    def test_clients_go_to_the_broker_that_is_there(self):
        folder = pathlib.Path(self.enterContext(tempfile.TemporaryDirectory()))
        brokers = {}
        for name in "ab":
            (folder / name).mkdir()
            brokers[name] = Broker(folder / name, "--trusted-proxies", "127.0.0.1")
            self.addCleanup(brokers[name].stop)
            # Brokers without a journal: who answers is known by what there is.
            brokers[name].publish(f"only.{name}", "state", {})
        (port,) = free_ports(1)
        replacements = {"bind :9000": f"bind 127.0.0.1:{port}", "check port 9001 ": "check "}
        replacements[" resolvers containers\n    server a"] = "\n    server a"
        # It does not start if the system does not allow the open files for that.
        replacements |= {"maxconn 20000": "maxconn 1000"}
        for name, broker in brokers.items():
            replacements[f"broker-{name}:9000"] = f"127.0.0.1:{broker.port} port {broker.admin_port}"
        file = folder / "haproxy.cfg"
        file.write_text(rendered(FOLDER / "haproxy.cfg", replacements))
        code, output = run(program("haproxy"), "-c", "-f", file)
        self.assertTrue(code == 0 and "[WARNING]" not in output, output)
        log = folder / "haproxy.log"
        with log.open("w") as written:
            process = subprocess.Popen([program("haproxy"), "-W", "-f", file], stdout=written, stderr=written)
        self.addCleanup(stop, process)

        def names():
            """The brokers that answer in turn, by the proxy."""
            answers = [ask(port, "GET", "/v1/topics") for _ in range(4)]
            topics = {topic["topic"] for status, body in answers if status == 200 for topic in json.loads(body)["topics"]}
            return {topic.removeprefix("only.") for topic in topics if topic.startswith("only.")}

        until("both answer", lambda: names() == {"a", "b"})
        brokers["a"].process.send_signal(signal.SIGKILL)
        brokers["a"].process.wait()
        # At once, before HAProxy has looked again: a request that cannot connect goes to the other one.
        self.assertEqual([ask(port, "GET", "/v1/topics")[0] for _ in range(4)], [200] * 4)
        until("HAProxy takes it out", lambda: "is DOWN" in log.read_text())
        self.assertEqual(names(), {"b"})
        brokers["a"].start()
        brokers["a"].publish("only.a", "state", {})
        until("both answer", lambda: names() == {"a", "b"})


@unittest.skipUnless(nats_server(), f"nats-server {INSTALLED[-1]} is not installed")
class DemoTest(unittest.TestCase):
    def test_it_starts_obeys_and_stops(self):
        (port,) = free_ports(1)
        demo = subprocess.Popen(
            [FOLDER / "demo", "--port", str(port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        self.addCleanup(stop, demo)
        self.addCleanup(demo.stdout.close)
        said = []
        reader = threading.Thread(target=lambda: said.extend(iter(demo.stdout.readline, "")), daemon=True)
        reader.start()

        def says(text, after=0):
            def heard():
                self.assertIsNone(demo.poll(), "".join(said))
                return text in "".join(said[after:])

            until(f"{text!r}: {said}", heard, PATIENCE_S)

        def tell(command, answer):
            before = len(said)
            demo.stdin.write(f"{command}\n")
            demo.stdin.flush()
            says(answer, before)

        says("Ctrl-C stops everything")
        page = f"http://127.0.0.1:{port}/"
        self.assertIn(f"page     {page}", "".join(said))
        folder = pathlib.Path(re.search(r"logs of all in (\S+)", "".join(said))[1])
        # The page may connect to both brokers, and there is something to see on both.
        self.assertIn(f'["http://127.0.0.1:{port}","http://127.0.0.1:{port + 10}"]', ask(port, "GET", "/live/brokers.js")[1])
        topics = lambda at: ask(at, "GET", "/v1/topics/stocks.AAPL.quote")[0] == 200  # noqa: E731
        until("stocks", lambda: topics(port) and topics(port + 10))
        tell("kill a", "a is down")
        with self.assertRaises(OSError):
            ask(port, "GET", "/")
        tell("kill a", "a does not run")
        tell("start a", "a is ready")
        until("stocks, again", lambda: topics(port))
        tell("pause n1", "n1 stands still")
        tell("status", "n1   paused")
        tell("resume n1", "n1 goes on")
        tell("dance", "not understood")
        tell("status", "the log is led by n")
        demo.send_signal(signal.SIGINT)
        self.assertEqual(demo.wait(30), 0)
        reader.join(10)
        self.assertFalse(folder.exists())
        for each in (port, port + 10, port + 221):
            with contextlib.suppress(ConnectionRefusedError), socket.create_connection(("127.0.0.1", each), timeout=1):
                self.fail(f"{each} still answers")
