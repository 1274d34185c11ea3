"""deploy/sysctl.d: every setting exists in this kernel, is explained, and takes effect (in a network namespace of the test)."""

import os
import pathlib
import re
import unittest

from support import DEPLOY, program, run

FILE = DEPLOY / "sysctl.d" / "60-tickcast.conf"
LINE = re.compile(r"^(-?)([a-z0-9_.]+) = ([0-9 ]+)$")
# The conntrack table is sized once for the whole machine, and the setting does not exist in another network namespace.
OF_THE_MACHINE = {"net.netfilter.nf_conntrack_max"}


def read_settings():
    """Returns each setting's name, value, whether it may be missing, and the comment above it."""
    comment, found = [], []
    for line in FILE.read_text().splitlines():
        if line.startswith("#"):
            comment.append(line.removeprefix("# "))
        elif not line:
            comment = []
        else:
            dash, name, value = LINE.match(line).groups()
            found.append((name, value, dash == "-", " ".join(comment)))
    return found


class SysctlTest(unittest.TestCase):
    def test_each_is_explained_with_its_source(self):
        for name, _, _, comment in read_settings():
            self.assertGreater(len(comment), 60, name)
            source = re.search(r"\[(ip|net|ct)\] (\w+)$", comment)
            self.assertTrue(source, f"{name}: the comment names no source")
            self.assertEqual(source.group(2), name.rsplit(".", 1)[1])

    def test_each_exists(self):
        for name, value, optional, _ in read_settings():
            path = pathlib.Path("/proc/sys", *name.split("."))
            if optional and not path.exists():
                continue
            self.assertEqual(len(path.read_text().split()), len(value.split()), name)

    def test_they_take_effect(self):
        if os.getuid() != 0 or run("unshare", "--net", "true")[0] != 0 or not program("sysctl"):
            self.skipTest("a network namespace needs root, unshare and sysctl")
        # Only these, because sysctl would change the others for the whole machine.
        text = "\n".join(f"{name} = {value}" for name, value, _, _ in read_settings() if name not in OF_THE_MACHINE)
        script = 'printf "%s\\n" "$1" | "$2" -q -p - && "$2" -a 2>/dev/null'
        code, output = run("unshare", "--net", "sh", "-c", script, "sh", text, program("sysctl"))
        self.assertEqual(code, 0, output)
        shown = {name.strip(): value.split() for name, _, value in (line.partition("=") for line in output.splitlines())}
        for name, value, _, _ in read_settings():
            if name not in OF_THE_MACHINE:
                self.assertEqual(shown[name], value.split(), name)
