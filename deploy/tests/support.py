"""Shared by the tests: a broker on free ports, the example files with the test's own addresses in them, bounded waits."""

import contextlib
import http.client
import json
import os
import pathlib
import re
import secrets
import shutil
import signal
import socket
import subprocess
import time

DEPLOY = pathlib.Path(__file__).resolve().parent.parent
ROOT = DEPLOY.parent
TOOLS = ROOT / ".tools"
BROKER = os.environ["BROKER"]
FEED_SIM = os.environ["FEED_SIM"]
# How long a test waits for what has to come. Machines that run other tests at the same time are slow.
PATIENCE_S = 20


def program(name):
    """Returns the path of a program, or None. Daemons are in /usr/sbin, which is not on every user's path."""
    return shutil.which(name, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin:{TOOLS}/python/bin")


def until(what, condition, patience_s=PATIENCE_S):
    """Waits until the condition returns something true, and returns that."""
    end = time.monotonic() + patience_s
    while True:
        with contextlib.suppress(OSError, http.client.HTTPException):
            value = condition()
            if value:
                return value
        if time.monotonic() > end:
            raise AssertionError(f"timed out after {patience_s} s: {what}")
        time.sleep(0.02)


def free_ports(count):
    """Returns ports on which nothing listens. They are random, and below the range from which the kernel assigns ports, because
    nothing reserves them until they are listened on."""
    found = []
    while len(found) < count:
        # Not `random.randrange`: processes that were forked from one would all get the same numbers.
        port = secrets.choice(range(12_000, 32_000))
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.bind(("0.0.0.0", port))
            found.append(port)
    return found


def run(*command, timeout_s=60, **options):
    """Runs a command to its end, within a minute unless it may take longer. Returns its exit code and output."""
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=timeout_s, **options
    )
    return done.returncode, done.stdout


def rendered(path, replacements):
    """Returns an example file with the test's own addresses and paths in it. Each replaced text has to be there, so that the
    test is of the file that is shipped."""
    text = path.read_text()
    for old, new in replacements.items():
        if old not in text:
            raise AssertionError(f"{path.name} does not contain {old!r}")
        text = text.replace(old, new)
    return text


def uncommented(text):
    """Returns the text of an example file with its optional lines switched on: comments that are YAML or TOML. Prose is
    recognized by having more than one word before a colon."""
    return re.sub(r"^( *)# ( *(?:- )?\w+(?::(?!//)| = ).*)$", r"\1\2", text, flags=re.MULTILINE)


def settings(*arguments):
    """Returns the settings that the broker would run with, as `tickcast config` prints them."""
    import tomllib

    # Warnings, such as of the tests' own variables, go to standard error.
    command = [str(word) for word in (BROKER, "config", *arguments)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise AssertionError(done.stderr)
    return tomllib.loads(done.stdout)


def stop(process, signals=(signal.SIGTERM, signal.SIGKILL)):
    """Ends a process that the test started, with SIGTERM first."""
    for each in signals:
        if process.poll() is not None:
            return
        process.send_signal(each)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(10)


class Broker:
    """A broker on ports of its own. `start` starts it again on the same ports."""

    def __init__(self, folder, *arguments, first=b""):
        """`first` is what every connection to it has to begin with."""
        self.port, self.admin_port = free_ports(2)
        self.log_path = pathlib.Path(folder) / "broker.log"
        self.arguments, self.first = arguments, first
        self.start()

    def start(self):
        command = [BROKER, "serve", "--listen", f"127.0.0.1:{self.port}", "--shards", "2"]
        command += ["--admin-listen", f"127.0.0.1:{self.admin_port}", *self.arguments]
        with self.log_path.open("a") as log:
            self.process = subprocess.Popen(command, stderr=log, env={"TICKCAST_DRAIN_MS": "500"} | os.environ)
        try:
            until("the broker is ready", self.ready)
        except BaseException:
            self.stop()
            raise

    def ready(self):
        if self.process.poll() is not None:
            raise AssertionError(f"the broker ended with {self.process.returncode}: {self.log_path.read_text()}")
        return ask(self.admin_port, "GET", "/readyz")[0] == 200

    def metric(self, name):
        """Returns the value of a metric without labels."""
        body = ask(self.admin_port, "GET", "/metrics")[1]
        return next(float(line.split()[1]) for line in body.splitlines() if line.startswith(f"{name} "))

    def publish(self, topic, kind, data):
        """Publishes directly to the broker."""
        status, body = ask(self.port, "POST", f"/v1/topics/{topic}?kind={kind}", json.dumps(data), first=self.first)
        if status != 200:
            raise AssertionError(f"publishing: {status} {body}")

    def remote(self, session):
        """Returns the address, without its port, that the broker has for a connection."""
        rows = json.loads(ask(self.admin_port, "GET", "/v1/connections?slowest=10000")[1])["connections"]
        return next(row["remote"].split(":")[0] for row in rows if row["session"] == session)

    def stop(self):
        stop(self.process)


def ask(port, method, path, body=None, headers=None, first=b""):
    """Sends one plain HTTP request to this machine, after these bytes. Returns status and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    with contextlib.closing(connection):
        kind = {"Content-Type": "application/json"} if body is not None else {}
        connection.connect()
        connection.sock.sendall(first)
        connection.request(method, path, body, kind | (headers or {}))
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
