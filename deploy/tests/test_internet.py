"""deploy/internet.md and its files: the guide as a reader follows it, with either token server, and what clients then see."""

import json
import pathlib
import re
import ssl
import subprocess
import tempfile
import time
import unittest

import jwt
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

from guides import Desk, blocks, section
from support import BROKER, ROOT, TOOLS, ask, program, run, until

GUIDE = "internet.md"
PASSWORD = "correct horse & battery"
# The life of a token, which is five minutes in the files, and the leeway after it. Tests wait for the end of one. A quarter of
# the life and the leeway together are the time in which a busy machine has to renew it.
TOKEN_S, LEEWAY_S = 6, 8
SHORT = {"token_server.py": {"8443, 300": f"8443, {TOKEN_S}"}, "token_server.mjs": {"TOKEN_S = 300": f"TOKEN_S = {TOKEN_S}"}}
NODE = TOOLS / "node" / "node_modules" / "node" / "bin" / "node"
SERVERS = {"Python": 1, "Node": 2}


class Guide:
    """The broker and a token server of the guide, made by its commands."""

    @classmethod
    def setUpClass(cls):
        if not (TOOLS / "jose" / "node_modules" / "jose").exists() or not NODE.exists():
            raise unittest.SkipTest("Node 22 or its package jose is not installed")
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.desk = Desk(folder.name, SHORT)
        cls.addClassCleanup(cls.desk.stop)
        for heading in ["The certificate", "The keys of tokens", "Who may do what"]:
            cls.desk.follow(GUIDE, heading, f"{PASSWORD}\n")
        (cls.desk.folder / "amy.password").write_text(PASSWORD)
        cls.desk.environment |= {"TICKCAST_TOKEN_LEEWAY_MS": str(1000 * LEEWAY_S)}
        cls.servers = blocks(GUIDE, "Start", "console")
        cls.broker = cls.desk.start(cls.servers[0], "broker.log")
        until("the broker is ready", lambda: cls.serves(cls.broker, "broker.log", "9001", "/readyz"))
        cls.context = ssl.create_default_context(cafile=str(cls.desk.folder / "ca.pem"))
        # As in proxied.py: Python 3.11 may lose what it writes while a session ticket of TLS 1.3 arrives.
        cls.context.maximum_version = ssl.TLSVersion.TLSv1_2
        cls.token_server = None
        cls.switch_to("Python")

    @classmethod
    def serves(cls, process, log_name, port, path):
        if process.poll() is not None:
            raise AssertionError(f"it ended with {process.returncode}: {cls.desk.log(log_name)}")
        return ask(cls.desk.port(port), "GET", path)[0] == 200

    @classmethod
    def switch_to(cls, name):
        """Starts this token server in the place of the one that runs."""
        if cls.token_server:
            cls.token_server.terminate()
            cls.token_server.wait(10)
        cls.token_server = cls.desk.start(cls.servers[SERVERS[name]], f"{name}.log")

        def ready():
            if cls.token_server.poll() is not None:
                raise AssertionError(cls.desk.log(f"{name}.log"))
            return run(*cls.curl("/"))[0] == 0

        until("the token server is ready", ready)

    @classmethod
    def curl(cls, path, *options):
        return ["curl", "-sS", "--fail", "--cacert", cls.desk.folder / "ca.pem", *options, f"https://localhost:{cls.desk.ports['8443']}{path}"]

    def token(self, name="amy", password=PASSWORD):
        code, output = run(*self.curl("/token", "-d", f"name={name}", "--data-urlencode", f"password={password}"))
        self.assertEqual(code, 0, output)
        return output

    def metrics(self):
        return ask(self.desk.port("9001"), "GET", "/metrics")[1]

    def metric(self, name):
        return sum(float(line.split()[1]) for line in self.metrics().splitlines() if re.match(rf"{name}[ {{]", line))

    def open(self):
        """A connection of Python's websockets, and a function that returns its next message of an op."""
        socket = connect(f"wss://localhost:{self.desk.ports['9443']}/v1/ws", ssl=self.context)
        self.addCleanup(socket.close)

        def expect(op):
            while (message := json.loads(socket.recv(timeout=20)))["op"] != op:
                pass
            return message

        expect("hello")
        return socket, expect

    def publish(self, topic, data):
        header = {"Authorization": f"Bearer {(self.desk.folder / 'feed-a.token').read_text().strip()}"}
        status, body = ask(self.desk.port("9000"), "POST", f"/v1/topics/{topic}?kind=state", json.dumps(data), header)
        self.assertEqual(status, 200, body)

    def alone(self):
        until("all connections are closed", lambda: self.metric("tickcast_connections") == 0)


class PageTest(Guide, unittest.TestCase):
    def test_the_page(self):
        if not program("chromedriver"):
            self.skipTest("Chromium and chromedriver are not installed")
        for server in SERVERS:
            self.switch_to(server)
            self.alone()
            closed, taken = self.metric("tickcast_closed_total"), self.metric("tickcast_tokens_taken_total")
            arguments = [self.desk.folder, self.desk.ports["8443"], self.desk.ports["9000"], PASSWORD, TOKEN_S + LEEWAY_S]
            done = subprocess.run(
                [str(word) for word in [NODE, ROOT / "deploy" / "tests" / "login_page.cjs", *arguments]],
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=120,
            )  # fmt: skip
            self.assertEqual((done.returncode, done.stdout), (0, "ok\n"), (server, self.desk.log(f"{server}.log")))
            self.alone()
            # The anonymous one, the one after a wrong password, and amy's, which was told to renew and never closed.
            self.assertEqual(self.metric("tickcast_closed_total") - closed, 3, self.metrics())
            self.assertGreaterEqual(self.metric("tickcast_tokens_taken_total") - taken, 3)


class ClientsTest(Guide, unittest.TestCase):
    def test_the_commands_of_the_guide(self):
        for server in SERVERS:
            self.switch_to(server)
            (published,) = self.desk.follow(GUIDE, "Start")
            self.assertEqual(re.findall('"topic":"([A-Za-z.]+)"', "".join(published)), ["stocks.AAPL.quote", "news.headline"])
            refused, allowed = self.desk.follow(GUIDE, "Check what is closed")
            codes = [(re.search('"code":"([a-z_]+)"', line) or [None, None])[1] for line in refused]
            self.assertEqual([line.split()[-1] for line in refused], ["401", "403", "403"], refused)
            self.assertEqual(codes, ["bad_token", "forbidden", None], refused)
            self.assertEqual([line.split()[-1] for line in allowed], ["200", "403"], allowed)
            self.assertIn("189.10", allowed[0])

    def test_websockets_of_python(self):
        self.publish("stocks.AAPL.quote", {"bid": "1.00"})
        socket, expect = self.open()
        socket.send(json.dumps({"op": "auth", "id": 1, "token": self.token()}))
        topics = ["stocks.AAPL.quote", "stocks.AAPL.trade", "users.amy.note", "users.bob.note", "stocks.>"]
        socket.send(json.dumps({"op": "subscribe", "id": 2, "topics": topics}))
        self.assertEqual(expect("authenticated")["sub"], "amy")
        subscribed = expect("subscribed")
        self.assertEqual([entry["topic"] for entry in subscribed["topics"]], ["stocks.AAPL.quote", "users.amy.note"])
        self.assertEqual([entry["conflate_ms"] for entry in subscribed["topics"]], [200, 200])
        refused = [(entry["topic"], entry["code"]) for entry in subscribed["errors"]]
        self.assertEqual(refused, [(topic, "forbidden") for topic in topics if topic not in ("stocks.AAPL.quote", "users.amy.note")])
        self.assertEqual(expect("image")["data"], {"bid": "1.00"})
        # A new token in time keeps the connection past the end of the first; without another it is closed.
        first_end = expect("reauth")["expires_ts"]
        socket.send(json.dumps({"op": "auth", "token": self.token()}))
        self.assertGreater(expect("authenticated")["expires_ts"], first_end)
        until("the first token is over", lambda: time.time() > first_end / 1e6 + LEEWAY_S + 0.2)
        self.publish("stocks.AAPL.quote", {"bid": "2.00"})
        self.assertEqual(expect("image")["data"], {"bid": "2.00"}, "conflated updates are images")
        with self.assertRaises(ConnectionClosed) as closed:
            expect("never")
        self.assertEqual(closed.exception.rcvd.code, 4001)

    def test_ws_of_node(self):
        def seen(token):
            script = [NODE, ROOT / "deploy" / "tests" / "token_client.cjs", self.desk.folder, self.desk.ports["9443"], token]
            code, output = run(*script, env={"NODE_PATH": str(TOOLS / "node_modules")})
            self.assertEqual(code, 0, output)
            return json.loads(output)

        self.publish("stocks.AAPL.quote", {"bid": "1.00"})
        self.assertEqual(seen("nonsense"), {"status": 401})
        found = seen(self.token())
        self.assertEqual(found["ops"][:2], ["hello", "authenticated"])
        self.assertEqual([entry["topic"] for entry in found["subscribed"]["topics"]], ["stocks.AAPL.quote", "users.amy.note"])
        self.assertEqual([entry["code"] for entry in found["subscribed"]["errors"]], ["forbidden"] * 3)
        self.assertEqual(found["image"]["data"], {"bid": "1.00"})
        self.assertEqual((found["ops"][-1], found["code"]), ("reauth", 4001))

    def test_both_token_servers_make_the_same_tokens(self):
        made = {}
        for server in SERVERS:
            self.switch_to(server)
            token = self.token()
            claims = jwt.decode(token, options={"verify_signature": False})
            self.assertEqual(claims.pop("exp") - claims.pop("iat"), TOKEN_S)
            made[server] = (jwt.get_unverified_header(token)["alg"], claims)
            for name, password in [("amy", ""), ("amy", "amy"), ("bob", PASSWORD), ("constructor", ""), ("", ""), ("amy", "x" * 900)]:
                code, output = run(*self.curl("/token", "-d", f"name={name}", "-d", f"password={password}"))
                self.assertEqual((code, "403" in output), (22, True), (server, name, output))
        self.assertEqual(made["Python"], made["Node"])

    def lasting_token(self, issued):
        """A token of amy that lives longer than the broker takes to look at its files."""
        claims = {"iss": self.desk.here("https://localhost:8443"), "aud": "tickcast", "sub": "amy", "iat": issued, "exp": issued + 300}
        return jwt.encode(claims, (self.desk.folder / "token-key.pem").read_text(), "ES256")

    def test_new_keys_close_everybody(self):
        socket, expect = self.open()
        socket.send(json.dumps({"op": "auth", "token": self.lasting_token(int(time.time()))}))
        expect("authenticated")
        self.desk.follow(GUIDE, "The keys of tokens")
        with self.assertRaises(ConnectionClosed) as closed:
            expect("never")
        self.assertEqual(closed.exception.rcvd.code, 4001)
        # The token server has the new key already.
        socket, expect = self.open()
        socket.send(json.dumps({"op": "auth", "token": self.token()}))
        self.assertEqual(expect("authenticated")["sub"], "amy")

    def test_a_revoked_user_is_closed(self):
        issued = int(time.time())
        socket, expect = self.open()
        token = self.lasting_token(issued)
        socket.send(json.dumps({"op": "auth", "token": token}))
        expect("authenticated")
        until("the token is from an earlier second", lambda: time.time() >= issued + 1)
        self.desk.follow(GUIDE, "Taking access away")
        with self.assertRaises(ConnectionClosed) as closed:
            expect("never")
        self.assertEqual(closed.exception.rcvd.code, 4001)
        again, expect = self.open()
        again.send(json.dumps({"op": "auth", "token": token}))
        self.assertEqual(expect("error")["code"], "bad_token")

    def test_what_is_watched_exists(self):
        self.assertEqual(set(re.findall(r"tickcast_[a-z_]+", section(GUIDE, "What to watch"))) - set(re.findall(r"tickcast_[a-z_]+", self.metrics())), set())

    def test_with_your_own_name(self):
        if not program("unshare") or run("unshare", "--mount", "true")[0] != 0:
            self.skipTest("this user may not make a copy of /etc for one process")
        if not program("systemd-analyze"):
            self.skipTest("systemd is not installed")
        commands = "\n".join(blocks(GUIDE, "With your own name", "sh"))
        script = ROOT / "deploy" / "tests" / "own_name.sh"
        code, output = run("unshare", "--mount", script, self.desk.folder, commands, BROKER)
        self.assertEqual(code, 0, output)
        lines = output.splitlines()
        self.assertEqual(lines[0], "systemctl try-restart tickcast-login")
        keys = {
            "/etc/tickcast/certificate-key.pem root tickcast-keys 640",
            "/etc/tickcast-login/certificate-key.pem root tickcast-keys 640",
            "/etc/tickcast-login tickcast-login root 700",
            "/etc/tickcast-login/token-key.pem tickcast-login root 600",
            "/etc/tickcast-login/users.json tickcast-login root 600",
        }
        self.assertEqual(set(lines[1:6]), keys)
        self.assertEqual(lines[6:11], ["certificate-key.pem", "certificate.pem", "revoked", "tickcast.toml", "token-public.pem"])
        self.assertEqual(lines[11:], ["localhost is nowhere", "the units are good"])
