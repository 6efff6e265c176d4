"""The examples run, and so does the code of the README."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

BINDING = Path(__file__).resolve().parents[1]
EXAMPLES = {
    "quickstart.py": [r"<ivf.Index IVF128,Flat dim=64 metric=l2 count=20000>", r"^0 at 0\.0", "the same: True"],
    "progress.py": [r"^train: 5 of 5, mean squared distance \d", "cancelled by the caller"],
    "faiss_dropin.py": [r"^20000 8 True$"],
}


def run(code: list[str], folder: Path) -> str:
    environment = {**os.environ, "PYTHONPATH": str(BINDING / "src")}
    command = [sys.executable, "-W", "error", *code]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_all_run():
    assert {path.name for path in (BINDING / "examples").iterdir()} == set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_runs_and_prints(name, tmp_path):
    output = run([str(BINDING / "examples" / name)], tmp_path)
    for expected in EXAMPLES[name]:
        assert re.search(expected, output, re.M), output


def test_readme_code_runs_from_top_to_bottom(tmp_path):
    text = (BINDING / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```python\n(.*?)```", text, re.S)
    assert len(blocks) == 2
    run(["-c", "\n".join(blocks) + "\nassert I[:, 0].tolist() == [0, 1, 2, 3, 4]"], tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"vectors.ivf", "vectors.faiss"}
