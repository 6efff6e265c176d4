"""Runs every test of this folder. Closing line: N passed, N failed."""

from __future__ import annotations

import sys
import unittest
from pathlib import Path


def main() -> int:
    suite = unittest.defaultTestLoader.discover(str(Path(__file__).parent))
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2).run(suite)
    bad = len({case.id().split(" ")[0] for case, _ in result.failures + result.errors})
    bad += len(result.skipped) + len(result.unexpectedSuccesses)
    print(f"{result.testsRun - bad} passed, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
