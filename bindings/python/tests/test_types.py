"""The package says that it is typed (py.typed); mypy agrees, in its strictest mode."""

import subprocess
import sys
from pathlib import Path

BINDING = Path(__file__).resolve().parents[1]


def test_types_are_right_strictly():
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", "/dev/null", "src"],
        cwd=BINDING,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout
