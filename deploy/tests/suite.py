"""Runs the tests of deploy/: a line for each, a count at the end, and what could not be run said loudly."""

import os
import pathlib
import sys
import time
import unittest

HERE = pathlib.Path(__file__).parent
MODULES = ["image", "compose", "systemd", "sysctl", "kubernetes", "nginx", "haproxy"]


class Lines(unittest.TestResult):
    """A line for each test as it ends, with how long it took."""

    passed = 0

    def startTest(self, test):
        super().startTest(test)
        self.begin = time.monotonic()

    def tell(self, test, what):
        print(f"{what:8} {test.id().removeprefix('test_')}  {time.monotonic() - self.begin:.1f} s", flush=True)

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1
        self.tell(test, "ok")

    def addFailure(self, test, err):
        super().addFailure(test, err)
        self.tell(test, "FAILED")
        print(self.failures[-1][1], flush=True)

    def addError(self, test, err):
        super().addError(test, err)
        if hasattr(self, "begin"):
            self.tell(test, "FAILED")
        print(self.errors[-1][1], flush=True)

    def addSkip(self, test, reason):
        super().addSkip(test, reason)
        print(f"** NOT RUN: {test.id()}: {reason}", flush=True)


def main(names):
    sys.path.insert(0, str(HERE))
    wanted = [f"test_{name}" for name in names or MODULES]
    suite = unittest.defaultTestLoader.loadTestsFromNames(wanted)
    result = Lines()
    suite.run(result)
    failed = len(result.failures) + len(result.errors)
    if os.environ.get("CI") == "true":
        # A test that silently does not run protects nobody.
        failed += len(result.skipped)
    print(f"deploy: {result.passed} passed, {failed} failed, {len(result.skipped)} not run")
    return 0 if failed == 0 else 1


sys.exit(main(sys.argv[1:]))
