"""The Dockerfile: it is linted, and its steps are done by hand as far as possible without a container runtime. The base images
are not available here, so for the last stage the test checks that the programs run, as that user and with that environment,
in a file tree with only the C library."""

import fnmatch
import json
import os
import pathlib
import re
import shutil
import signal
import subprocess
import tempfile
import unittest

from support import BROKER, DEPLOY, FEED_SIM, ROOT, ask, free_ports, program, run, stop, until

DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
# The libraries for programs in gcr.io/distroless/cc (its README).
LIBRARIES = {"libc.so.6", "libm.so.6", "libgcc_s.so.1", "libstdc++.so.6", "libpthread.so.0", "libdl.so.2", "librt.so.1"}


def instruction(name):
    """Returns the arguments of an instruction of the last stage, with its lines joined."""
    last = DOCKERFILE[DOCKERFILE.rindex("\nFROM ") :].replace("\\\n", " ")
    return re.search(rf"^{name} +(.*)$", last, re.MULTILINE).group(1)


def environment():
    return dict(pair.split("=", 1) for pair in instruction("ENV").split())


def health_command():
    return json.loads(instruction("HEALTHCHECK").split("CMD ", 1)[1])


def context():
    """Returns the files known to git that Dockerfile.dockerignore leaves in the build context: the last matching line counts."""
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    rules = [line for line in (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    kept = []
    for name in listed.stdout.splitlines():
        keep = True
        for rule in rules:
            pattern = rule.removeprefix("!").removeprefix("**/")
            parts = name.split("/")
            # A rule for a folder applies to everything in it.
            starts = range(len(parts)) if "**/" in rule else [0]
            prefixes = ("/".join(parts[start:end]) for start in starts for end in range(start + 1, len(parts) + 1))
            if any(fnmatch.fnmatchcase(prefix, pattern) for prefix in prefixes):
                keep = rule.startswith("!")
        if keep:
            kept.append(name)
    return kept


class ImageTest(unittest.TestCase):
    def test_the_dockerfile_is_clean(self):
        if not program("hadolint"):
            self.skipTest("hadolint is not installed")
        self.assertEqual(run(program("hadolint"), DEPLOY / "Dockerfile"), (0, ""))

    def test_what_is_built_is_in_the_context(self):
        kept = context()
        self.assertIn("broker/src/main.rs", kept)
        self.assertNotIn("README.md", kept)
        for name in kept:
            self.assertFalse(name.startswith((".git", "deploy/", "target/", "broker/docs/", "broker/fuzz/")), name)
        # Crates may include files from elsewhere in the repository.
        for name in kept:
            if not name.endswith(".rs") or "/tests/" in name:
                continue
            for path in re.findall(r'include_(?:bytes|str)!\("([^"]+)"\)', (ROOT / name).read_text()):
                included = os.path.normpath(os.path.join(os.path.dirname(name), path))
                self.assertIn(included, kept, f"{name} includes a file that Dockerfile.dockerignore leaves out")
        with tempfile.TemporaryDirectory() as folder:
            for name in kept:
                copy = pathlib.Path(folder) / name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(ROOT / name, copy)
            # Every member of the workspace and each of its targets is where its manifest says.
            code, output = run("cargo", "metadata", "--no-deps", "--locked", "--offline", "--format-version", "1", cwd=folder)
            self.assertEqual(code, 0, output)

    def test_it_runs_without_a_shell_as_nobody(self):
        if os.getuid() != 0:
            self.skipTest("a file tree of its own needs root")
        with tempfile.TemporaryDirectory() as folder:
            root = pathlib.Path(folder)
            root.chmod(0o755)
            programs = root / "usr" / "local" / "bin"
            programs.mkdir(parents=True)
            for source, name in ((BROKER, "tickcast"), (FEED_SIM, "feed-sim")):
                # As the Dockerfile does: the last stage copies stripped programs.
                subprocess.run(["strip", "--strip-debug", "-o", programs / name, source], check=True)
                for line in run("ldd", source)[1].splitlines():
                    library = re.search(r"(/\S+) \(0x", line)
                    if not library:
                        continue
                    path = pathlib.Path(library.group(1))
                    self.assertTrue(path.name in LIBRARIES or path.name.startswith("ld-linux"), f"{name} needs {path.name}")
                    copy = root / path.relative_to("/")
                    copy.parent.mkdir(parents=True, exist_ok=True)
                    shutil.copy(path, copy)
            self.serves_in(root)

    def serves_in(self, root):
        uid = instruction("USER")
        self.assertNotIn(uid.split(":")[0], ("0", "root"))
        inside = [program("chroot"), f"--userspec={uid}", "--groups=", root]
        port, admin_port = free_ports(2)
        variables = environment()
        for name, wanted in (("TICKCAST_LISTEN", port), ("TICKCAST_ADMIN_LISTEN", admin_port)):
            # On all addresses, as in the image, but on free ports.
            variables[name] = re.sub(r"\d+$", str(wanted), variables[name])
        command = [*inside, *json.loads(instruction("ENTRYPOINT")), *json.loads(instruction("CMD"))]

        code, output = run(*command, env=variables)
        self.assertEqual(code, 2, output)
        self.assertIn("open_publish", output, "clients may publish from outside only if that is allowed")

        variables["TICKCAST_OPEN_PUBLISH"] = "true"
        health = [*inside, *health_command()]
        self.assertEqual(run(*health, env=variables)[0], 1)
        broker = subprocess.Popen([str(word) for word in command], env=variables, stderr=subprocess.DEVNULL)
        try:
            until("it is healthy", lambda: run(*health, env=variables) == (0, ""))
            feed = [*inside, "/usr/local/bin/feed-sim", "run", "demo", "--quiet", "--updates", "200", "--rate", "max"]
            code, output = run(*feed, "--to", f"ws://localhost:{port}/v1/ws", env={})
            # Without /etc/hosts, which a container runtime provides, names are not resolved.
            if code != 0:
                code, output = run(*feed, "--to", f"ws://127.0.0.1:{port}/v1/ws", env={})
            self.assertEqual(code, 0, output)
            self.assertTrue(json.loads(ask(port, "GET", "/v1/topics")[1])["topics"])
            broker.send_signal(signal.SIGTERM)
            self.assertEqual(broker.wait(15), 0)
        finally:
            stop(broker)
        self.assertEqual(run(*health, env=variables)[0], 1)
