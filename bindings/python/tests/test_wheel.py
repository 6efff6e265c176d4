"""A wheel is built, holds what it should, and works in an environment that has nothing else."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

BINDING = Path(__file__).resolve().parents[1]
# The wheel's own library is what must be found.
CLEAN = {name: value for name, value in os.environ.items() if name not in ("IVF_LIBRARY", "PYTHONPATH")}


def run(*command: str | Path, **environment: str) -> str:
    done = subprocess.run(command, env={**CLEAN, **environment}, cwd="/", capture_output=True, text=True)
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        *(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder),
        BINDING,
    )
    (wheel,) = folder.iterdir()
    return wheel


def test_wheel_is_for_any_python_3_on_this_platform(wheel):
    assert re.fullmatch(r"libivf-0\.1\.0-py3-none-(linux|macosx|win)\w*\.whl", wheel.name)


def test_wheel_holds_the_package_and_the_library(wheel):
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        purity = archive.read("libivf-0.1.0.dist-info/WHEEL").decode()
    sources = {f"ivf/{path.relative_to(BINDING / 'src' / 'ivf')}" for path in (BINDING / "src").rglob("*.py")}
    assert sources | {"ivf/py.typed", "ivf/libivf.so"} == {name for name in names if ".dist-info/" not in name}
    assert "Root-Is-Purelib: false" in purity


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="auditwheel is for Linux")
def test_wheel_runs_on_older_systems(wheel):
    shown = run(sys.executable, "-m", "auditwheel", "show", wheel)
    found = re.search(r'"manylinux_2_(\d+)_', shown)
    assert found, shown
    assert int(found[1]) <= 36


def test_wheel_installed_alone_works(wheel, tmp_path):
    python = tmp_path / "env" / "bin" / "python"
    run(sys.executable, "-m", "venv", tmp_path / "env")
    run(python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", wheel, "numpy==2.2.6")
    output = run(python, BINDING / "examples" / "quickstart.py")
    assert "the same: True" in output
    where = run(python, "-c", "import ivf._library; print(ivf._library.find())").strip()
    assert Path(where).is_relative_to(tmp_path / "env")
    assert "20000 8 True" in run(python, BINDING / "examples" / "faiss_dropin.py")
