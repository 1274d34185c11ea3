"""deploy/systemd: checked by systemd itself, and its filter of system calls compared with those that the broker makes."""

import json
import pathlib
import re
import signal
import socket
import subprocess
import tempfile
import unittest

from websockets.sync.client import connect

from support import BROKER, DEPLOY, ask, free_ports, program, rendered, run, settings, stop, until

UNIT = DEPLOY / "systemd" / "tickcast.service"
CONFIG = DEPLOY / "systemd" / "tickcast.toml"
# Of 10. systemd calls 2 and more "OK", and most units are above 9. What remains is mainly the network itself, and 0.1
# is for netlink, over which the broker asks the kernel about slow clients.
EXPOSURE_MAX = 1.4


def setting(name):
    return re.findall(rf"^{name}=(.*)$", UNIT.read_text(), re.MULTILINE)


def calls_of(group):
    """Returns the system calls of one of systemd's groups, including the groups in it."""
    code, output = run("systemd-analyze", "syscall-filter", group)
    if code != 0:
        raise AssertionError(output)
    names = [line.strip() for line in output.splitlines() if line.startswith("    ") and not line.strip().startswith("#")]
    return set().union(*(calls_of(name) if name.startswith("@") else {name} for name in names))


def allowed_calls():
    """Returns the calls that SystemCallFilter= allows, line by line as systemd reads it; @default is always allowed."""
    allowed = calls_of("@default")
    for line in setting("SystemCallFilter"):
        words = line.removeprefix("~").split()
        calls = set().union(*(calls_of(word) if word.startswith("@") else {word} for word in words))
        allowed = allowed - calls if line.startswith("~") else allowed | calls
    return allowed | calls_of("@default")


class SystemdTest(unittest.TestCase):
    def setUp(self):
        if not program("systemd-analyze"):
            self.skipTest("systemd is not installed")
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.unit = self.folder / UNIT.name
        # systemd requires that the program exists.
        self.unit.write_text(rendered(UNIT, {"/usr/local/bin/tickcast": BROKER}))

    def test_verify(self):
        self.assertEqual(run("systemd-analyze", "verify", "--man=no", self.unit), (0, ""))

    def test_exposure(self):
        code, output = run("systemd-analyze", "security", "--offline=true", "--no-pager", self.unit)
        self.assertEqual(code, 0, output)
        exposure = float(re.search(r"exposure level for tickcast.service: ([\d.]+)", output).group(1))
        self.assertLessEqual(exposure, EXPOSURE_MAX, output)

    def test_the_broker_takes_the_example_configuration(self):
        config = settings("--config", CONFIG)
        self.assertEqual(setting("ExecStart"), ["/usr/local/bin/tickcast serve --config /etc/tickcast/tickcast.toml"])
        self.assertGreaterEqual(int(setting("LimitNOFILE")[0]), config["connections_max"] + config["http_connections_max"] + 512)
        # Two seconds for close frames, ten for closing a journal.
        self.assertGreater(int(setting("TimeoutStopSec")[0]), config["drain_ms"] / 1000 + 2 + 10)
        self.assertEqual(config["topics"][0]["retain_updates"], 10_000)

    def test_a_journal_is_in_the_units_own_directory(self):
        self.assertEqual(settings("--config", CONFIG)["journal"], "none")
        config = self.folder / CONFIG.name
        config.write_text(rendered(CONFIG, {"# journal": "journal"}))
        journal = settings("--config", config)
        self.assertEqual(journal["journal"], "local")
        self.assertEqual([str(pathlib.Path(journal["journal_dir"]).parent)], [f"/var/lib/{name}" for name in setting("StateDirectory")])
        # With it the kernel's boot id in /proc/sys would be missing, and each crash would count as a loss of power.
        self.assertEqual(setting("ProcSubset"), [])

    def test_reload_start_and_watchdog_are_what_the_broker_does(self):
        self.assertEqual(setting("Type"), ["notify"])
        self.assertEqual(setting("ExecReload"), ["/bin/kill -HUP $MAINPID"])
        self.assertIn("AF_UNIX", setting("RestrictAddressFamilies")[0].split())
        path = self.folder / "notify"
        told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.addCleanup(told.close)
        told.bind(str(path))
        told.settimeout(20)
        port, admin_port = free_ports(2)
        watchdog_us = int(setting("WatchdogSec")[0]) * 1_000_000 // 100
        environment = {"NOTIFY_SOCKET": str(path), "WATCHDOG_USEC": str(watchdog_us)}
        command = [BROKER, "serve", "--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin_port}"]
        broker = subprocess.Popen(command, stderr=subprocess.DEVNULL, env=environment)
        try:
            self.assertEqual(told.recv(1024), b"READY=1")
            broker.send_signal(signal.SIGHUP)
            seen = []
            # Each of these comes, or receiving runs out of time.
            for beginning in (b"RELOADING=1\nMONOTONIC_USEC=", b"READY=1", b"WATCHDOG=1"):
                while not any(message.startswith(beginning) for message in seen):
                    seen.append(told.recv(1024))
        finally:
            stop(broker)

    def test_a_wrong_setting_ends_with_the_code_that_is_not_tried_again(self):
        wrong = self.folder / "wrong.toml"
        wrong.write_text("retain_update = 1\n")
        code, output = run(BROKER, "serve", "--config", wrong)
        self.assertEqual([str(code)], setting("RestartPreventExitStatus"), output)

    def test_every_system_call_that_it_makes_is_allowed(self):
        made = self.calls_made("calls")
        self.assertLess({"accept4", "epoll_wait", "sched_setaffinity", "prlimit64"}, made, "the trace is one of a broker")
        self.assertEqual(made - allowed_calls(), set())

    def test_every_system_call_that_a_journal_makes_is_allowed(self):
        # The smallest log, so that a checkpoint is due soon.
        journal = ["--journal", "local", "--journal-dir", self.folder / "journal", "--journal-bytes-max", "64MiB"]

        def until_a_checkpoint(port, admin_port):
            def metric(name):
                return re.search(rf"^tickcast_journal_{name} (\S+)$", ask(admin_port, "GET", "/metrics")[1], re.MULTILINE).group(1)

            line = json.dumps({"topic": "large", "kind": "state", "data": "x" * 50_000})
            body, headers = "\n".join([line] * 150), {"Content-Type": "application/x-ndjson"}
            # More than a quarter of the log.
            for _ in range(3):
                status, answer = ask(port, "POST", "/v1/publish", body, headers)
                self.assertEqual((status, json.loads(answer)["accepted"]), (200, 150))
            until("a checkpoint is complete", lambda: float(metric("checkpoints_total")) > 0, 60)

        def files(kind):
            return sorted((self.folder / "journal").glob(f"{kind}.*"))

        made = self.calls_made("new", *journal, meanwhile=until_a_checkpoint)
        made |= self.calls_made("closed", *journal, meanwhile=until_a_checkpoint, ends_by="KILL")
        made |= self.calls_made("killed", *journal, ends_by="KILL")
        self.assertGreater(len(files("checkpoint")), 1)
        with files("log")[-1].open("ab") as log:
            log.write(b"\xff" * 100)
        made |= self.calls_made("damaged", *journal)
        self.assertEqual(len(files("checkpoint")), 1, "a new generation begins with a checkpoint of its own")
        self.assertLess({"fdatasync", "rename", "unlink", "flock"}, made, "the trace is one of a journal")
        self.assertEqual(made - allowed_calls(), set())

    def calls_made(self, name, *arguments, meanwhile=lambda port, admin_port: None, ends_by="TERM"):
        """Runs a broker from its start to its end, with a client. Returns the system calls that it makes."""
        if not program("strace"):
            self.skipTest("strace is not installed")
        trace = self.folder / name
        port, admin_port = free_ports(2)
        command = ["strace", "-f", "-qq", "-o", trace, BROKER, "serve", "--pin", "--shards", "2", *arguments]
        command += ["--listen", f"127.0.0.1:{port}", "--admin-listen", f"127.0.0.1:{admin_port}"]
        # More connections than the limit on open files, so that the broker tries to raise it.
        traced = subprocess.Popen([str(word) for word in command], stderr=subprocess.DEVNULL, env={"TICKCAST_CONNECTIONS_MAX": "2000000"})
        try:
            until("the traced broker is ready", lambda: ask(admin_port, "GET", "/readyz")[0] == 200)
            with connect(f"ws://127.0.0.1:{port}/v1/ws") as client:
                client.recv(timeout=10)
                client.send('{"op":"subscribe","topics":["calls"]}')
                client.recv(timeout=10)
                client.send('{"op":"publish","topic":"calls","kind":"event","data":1}')
                while '"update"' not in client.recv(timeout=10):
                    pass
            meanwhile(port, admin_port)
            ask(admin_port, "GET", "/metrics")
            # strace does not pass a signal on, so it is sent to the broker itself, its child.
            child = pathlib.Path(f"/proc/{traced.pid}/task/{traced.pid}/children").read_text().split()[0]
            run("kill", f"-{ends_by}", child)
            self.assertEqual(traced.wait(20), 0 if ends_by == "TERM" else -signal.SIGKILL)
        finally:
            stop(traced)
        return set(re.findall(r"^\d+ +([a-z0-9_]+)\(", trace.read_text(), re.MULTILINE))
