"""Runs the tests of deploy/. Prints a line for each, a warning for each that could not run, and a count at the end."""

import concurrent.futures
import os
import pathlib
import sys
import time
import unittest

# Longest first. Most of the time they wait, so several can run at once on two cores.
MODULES = ["internet.PageTest", "internet.ClientsTest", "tls", "haproxy", "nginx", "nginx_stream", "identity_providers", "feeds", "compose"]
MODULES += ["cluster_live.DemoTest"]
MODULES += ["cluster_live.NatsConfTest", "cluster_live.HaproxyTest", "cluster", "readme", "image", "systemd", "kubernetes", "sysctl"]
AT_ONCE = 4


class Lines(unittest.TestResult):
    """A line for each test, with its duration."""

    def __init__(self):
        super().__init__()
        self.lines, self.passed, self.begin = [], 0, time.monotonic()

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()

    def tell(self, test, what):
        self.lines.append(f"{what:8} {test.id().removeprefix('test_')}  {time.monotonic() - self.begin:.1f} s")

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self.tell(test, "ok")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, "FAILED")
        self.lines.append(self.failures[-1][1])

    def addError(self, test, err):
        super().addError(test, err)
        self.tell(test, "FAILED")
        self.lines.append(self.errors[-1][1])

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        self.lines.append(f"** NOT RUN: {test.id()}: {reason}")


def run(name):
    """Runs a module or a test by name. Returns its lines, and how many tests passed, failed and were not run."""
    sys.path.insert(0, str(pathlib.Path(__file__).parent))
    result = Lines()
    unittest.defaultTestLoader.loadTestsFromName(f"test_{name}").run(result)
    return result.lines, result.passed, len(result.failures) + len(result.errors), len(result.skipped)


def main(names):
    begin, passed, failed, skipped = time.monotonic(), 0, 0, 0
    with concurrent.futures.ProcessPoolExecutor(AT_ONCE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, name) for name in names or MODULES]):
            lines, *counts = done.result()
            print("\n".join(lines), flush=True)
            passed, failed, skipped = (sum(pair) for pair in zip((passed, failed, skipped), counts))
    if os.environ.get("CI") == "true":
        # With CI=true, a test that cannot run is a failure.
        failed += skipped
    print(f"deploy: {skipped} not run, {time.monotonic() - begin:.0f} s")
    print(f"{passed} passed, {failed} failed")
    return 0 if failed == 0 and passed > 0 else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
