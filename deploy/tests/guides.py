"""The guides of deploy/ as a reader follows them: their commands, run as they are written."""

import pathlib
import re
import subprocess
import textwrap

from support import BROKER, DEPLOY, FEED_SIM, TOOLS, free_ports, rendered, stop

# The ports that the guides use.
PORTS = ["8443", "9443", "9000", "9001"]


def section(document, heading):
    """Returns the text below a heading of a document of deploy/, up to the next heading of that level; None is the beginning."""
    text = (DEPLOY / document).read_text()
    parts = re.split(r"^## (.*)\n", text, flags=re.MULTILINE)
    return parts[0] if heading is None else dict(zip(parts[1::2], parts[2::2]))[heading]


def blocks(document, heading, language):
    """Returns the blocks of a language in a section. `sh` are commands that end, `console` those that do not or cannot run here."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```$", section(document, heading), re.MULTILINE | re.DOTALL)
    if not found:
        raise AssertionError(f"{document} has no block of {language} in {heading!r}")
    return [textwrap.dedent(text) for _, text in found]


class Desk:
    """The folder that a reader makes, with ports of its own in it. The programs of this build are first on its PATH."""

    def __init__(self, folder, replacements):
        self.root, self.folder = pathlib.Path(folder), pathlib.Path(folder) / "desk"
        (self.root / "deploy").symlink_to(DEPLOY)
        (self.root / "bin").mkdir()
        node = TOOLS / "node" / "node_modules" / "node" / "bin" / "node"
        programs = {"tickcast": BROKER, "feed-sim": FEED_SIM, "python3": TOOLS / "python" / "bin" / "python", "node": node}
        for name, target in programs.items():
            # Python finds its packages by the path under which it is started, so it is not linked.
            (self.root / "bin" / name).write_text(f'#!/bin/sh\nexec {target} "$@"\n')
            (self.root / "bin" / name).chmod(0o755)
        self.ports = dict(zip(PORTS, map(str, free_ports(len(PORTS)))))
        self.environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin:/usr/sbin:/sbin", "HOME": str(self.root), "TICKCAST_SHARDS": "2"}
        self.processes = []
        (make,) = blocks("internet.md", None, "sh")
        self.run(make, folder=self.root)
        for path, changes in replacements.items():
            (self.folder / path).write_text(rendered(self.folder / path, changes))
        for path in self.folder.iterdir():
            if path.suffix in (".toml", ".py", ".mjs", ".html"):
                path.write_text(self.here(path.read_text()))
        # Where Node finds the package that `npm install jose` would put there.
        (self.folder / "node_modules").symlink_to(TOOLS / "jose" / "node_modules")

    def here(self, text):
        """A text of the guide with this desk's ports."""
        for old, new in self.ports.items():
            text = re.sub(rf"\b{old}\b", new, text)
        return text

    def port(self, usual):
        return int(self.ports[usual])

    def run(self, commands, given="", folder=None):
        """Runs a block, which has to succeed. Returns its lines."""
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(commands)],
            cwd=folder or self.folder, env=self.environment, input=given, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, timeout=60,
        )  # fmt: skip
        if done.returncode != 0:
            raise AssertionError(f"{commands}\nended with {done.returncode}: {done.stdout}")
        return done.stdout.splitlines()

    def follow(self, document, heading, given=""):
        """Runs all blocks of a section. Returns the lines of each."""
        return [self.run(block, given) for block in blocks(document, heading, "sh")]

    def start(self, command, log_name):
        """Starts a program of a `console` block; it ends with the test."""
        with (self.root / log_name).open("w") as log:
            name, *arguments = self.here(command).removeprefix("$ ").split()
            words = [str(self.root / "bin" / name), *arguments]
            process = subprocess.Popen(words, cwd=self.folder, env=self.environment, stdout=log, stderr=log)
        self.processes.append(process)
        return process

    def log(self, name):
        return (self.root / name).read_text()

    def stop(self):
        for process in self.processes:
            stop(process)
