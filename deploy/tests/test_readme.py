"""The section of README.md on who may do what: its commands, as they are written."""

import re
import tempfile
import unittest

from guides import Desk, blocks
from support import ask, until

README, HEADING = "../README.md", "Who may do what"


class ReadmeTest(unittest.TestCase):
    def test_who_may_do_what(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        desk = Desk(folder.name, {})
        self.addCleanup(desk.stop)
        desk.environment |= {"TICKCAST_LISTEN": f"127.0.0.1:{desk.port('9000')}", "TICKCAST_ADMIN_LISTEN": f"127.0.0.1:{desk.port('9001')}"}
        make, publish = blocks(README, HEADING, "sh")
        desk.run(make)
        (command,) = blocks(README, HEADING, "console")
        self.assertIn("cargo run -p broker -- serve", command)
        broker = desk.start(command.replace("cargo run -p broker --", "tickcast"), "broker.log")

        def ready():
            self.assertIsNone(broker.poll(), desk.log("broker.log"))
            return ask(desk.port("9001"), "GET", "/readyz")[0] == 200

        until("the broker is ready", ready)
        # curl says nothing of its own when it writes to a pipe with -s.
        output = "".join(desk.run(publish.replace("curl ", "curl -sS ")))
        self.assertEqual(re.findall('"(?:op|code|bid)":"([a-z0-9.]+)"', output), ["image", "189.10", "forbidden"], output)
