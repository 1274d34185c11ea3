"""deploy/feeds.md: the guide as a reader follows it, with feed-sim and curl, and feeds that must not publish."""

import json
import re
import signal
import tempfile
import unittest

from guides import Desk, blocks
from support import ask, run, until

GUIDE = "feeds.md"


class FeedsTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.desk = Desk(folder.name, {})
        cls.addClassCleanup(cls.desk.stop)
        cls.desk.follow("internet.md", "The certificate")
        (cls.printed,) = cls.desk.follow(GUIDE, "A static token")
        cls.desk.follow(GUIDE, "A client certificate")
        (configuration,) = blocks(GUIDE, "The configuration", "toml")
        (cls.desk.folder / "feeds.toml").write_text(cls.desk.here(configuration))
        cls.desk.follow(GUIDE, "The configuration")
        (command,) = blocks(GUIDE, "The configuration", "console")
        broker = cls.broker = cls.desk.start(command, "broker.log")

        def ready():
            if broker.poll() is not None:
                raise AssertionError(cls.desk.log("broker.log"))
            return ask(cls.desk.port("9001"), "GET", "/readyz")[0] == 200

        until("the broker is ready", ready)

    def curl(self, *options, topic="stocks.X.quote"):
        """Publishes with these options. Returns curl's exit code, and the status with the answer."""
        url = f"https://localhost:{self.desk.ports['9443']}/v1/topics/{topic}?kind=state"
        json_type = ["-H", "Content-Type: application/json", "-d", "1"]
        return run("curl", "-sS", "-w", " %{http_code}", "--cacert", "ca.pem", *json_type, *options, url, cwd=self.desk.folder)

    def certificate(self, name, *extensions, authority="feeds-ca"):
        """Makes a certificate for a client. Returns curl's options for it."""
        added = [word for extension in (*extensions, "basicConstraints=critical,CA:FALSE") for word in ("-addext", extension)]
        code, output = run(
            "openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-days", "2", *added,
            "-subj", f"/CN={name}", "-CA", f"{authority}.pem", "-CAkey", f"{authority}-key.pem", "-keyout", f"{name}.key", "-out", f"{name}.crt",
            cwd=self.desk.folder,
        )  # fmt: skip
        self.assertEqual(code, 0, output)
        return ["--cert", f"{name}.crt", "--key", f"{name}.key"]

    def test_the_commands_of_the_guide(self):
        hash_ = re.search(r'^sha256 = "(\w+)"', (self.desk.folder / "feeds.toml").read_text(), re.MULTILINE)[1]
        self.assertEqual(self.printed, [f"{hash_}  -"], "the printed hash is the one that the broker has")
        feeds, answers = self.desk.follow(GUIDE, "Publish")
        acknowledged = [int(count) for count in re.findall(r"^acknowledged +(\d+)$", "\n".join(feeds), re.MULTILINE)]
        self.assertEqual((len(acknowledged), min(acknowledged) > 10), (3, True), feeds)
        self.assertEqual(re.findall(r"^rejected +(\d+)$", "\n".join(feeds), re.MULTILINE), ["0"] * 3, feeds)
        self.assertEqual(re.findall(r'"seq":(\d+)', "".join(answers)), ["1", "2"], answers)

    def test_what_is_not_the_feeds_is_forbidden(self):
        certificate = ["--cert", "feed-b.pem", "--key", "feed-b-key.pem"]
        token = ["-H", f"Authorization: Bearer {(self.desk.folder / 'feed-a.token').read_text().strip()}"]
        for who in (certificate, token):
            self.assertEqual(self.curl(*who)[1].split()[-1], "200")
            code, output = self.curl(*who, topic="sports.x")
            self.assertEqual((code, "forbidden" in output, output.split()[-1]), (0, True, "403"), output)
            code, output = run(
                "curl", "-sS", "--cacert", "ca.pem", *who, f"https://localhost:{self.desk.ports['9443']}/v1/topics/stocks.X.quote", cwd=self.desk.folder
            )
            self.assertEqual(json.loads(output)["error"]["code"], "forbidden", "it may not read")

    def test_who_is_no_feed(self):
        self.assertIn("bad_token", self.curl()[1])
        self.assertIn("bad_token", self.curl("-H", "Authorization: Bearer wrong")[1])
        # The hash is no token.
        hash_ = self.printed[0].split()[0]
        self.assertIn("bad_token", self.curl("-H", f"Authorization: Bearer {hash_}")[1])
        # Certificates of this authority that lead to no role: the common name alone, and another name.
        self.assertIn("bad_token", self.curl(*self.certificate("feed-b.internal"))[1])
        self.assertIn("bad_token", self.curl(*self.certificate("c", "subjectAltName=DNS:feed-c.internal"))[1])
        self.assertIn("bad_token", self.curl(*self.certificate("second", "subjectAltName=DNS:feed-c.internal,DNS:feed-b.internal"))[1])
        # The right name, of another authority: the handshake ends.
        code, output = self.curl(*self.certificate("stranger", "subjectAltName=DNS:feed-b.internal", authority="ca"))
        self.assertNotEqual(code, 0)
        self.assertNotIn(" 200", output)

    def test_a_feed_whose_token_is_refused_ends_with_an_error(self):
        (self.desk.folder / "wrong.token").write_text("wrong\n")
        (command,) = [line for line in blocks(GUIDE, "Publish", "sh")[0].splitlines() if "ws://127.0.0.1" in line]
        with self.assertRaises(AssertionError) as failed:
            self.desk.run(command.replace("feed-a.token", "wrong.token"))
        self.assertIn("token", str(failed.exception))

    def test_a_feed_whose_hash_is_removed_is_out(self):
        token = ["-H", f"Authorization: Bearer {(self.desk.folder / 'feed-a.token').read_text().strip()}"]
        self.assertEqual(self.curl(*token)[1].split()[-1], "200")
        file = self.desk.folder / "feeds.toml"
        before = file.read_text()
        self.addCleanup(self.broker.send_signal, signal.SIGHUP)
        self.addCleanup(file.write_text, before)
        file.write_text(before.replace(self.printed[0].split()[0], "1" * 64))
        # The guide finds the process by its name; here are several.
        self.assertIn("kill -HUP", blocks(GUIDE, "Replace a token or a certificate", "sh")[0])
        self.broker.send_signal(signal.SIGHUP)
        until("feed-a is refused", lambda: "bad_token" in self.curl(*token)[1])
        self.assertEqual(self.curl("--cert", "feed-b.pem", "--key", "feed-b-key.pem")[1].split()[-1], "200")
