"""How the shared library is found, each in a process of its own."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ivf import _library

PACKAGE = Path(_library.__file__).parent


def run(code: str, package: Path = PACKAGE.parent, **environment: str) -> subprocess.CompletedProcess:
    inherited = {name: value for name, value in os.environ.items() if name != "IVF_LIBRARY"}
    return subprocess.run(
        [sys.executable, "-c", code],
        env={**inherited, "PYTHONPATH": str(package), **environment},
        capture_output=True,
        text=True,
    )


@pytest.fixture
def bare(tmp_path):
    """The package's sources without a library."""
    shutil.copytree(PACKAGE, tmp_path / "ivf", ignore=shutil.ignore_patterns("*.so", "__pycache__"))
    return tmp_path


@pytest.fixture
def library():
    return _library.find()


def test_import_without_library_says_what_was_tried(bare):
    assert ctypes.util.find_library("ivf") is None
    error = run("import ivf", bare).stderr
    assert "ImportError: the shared library" in error
    for part in ("IVF_LIBRARY (not set)", str(bare / "ivf" / _library.file_name()), "cargo lib"):
        assert part in error


def test_import_takes_the_library_of_the_environment(bare, library):
    done = run("import ivf; print(len(ivf.Index(2)))", bare, IVF_LIBRARY=library)
    assert done.stdout == "0\n", done.stderr


def test_import_takes_the_library_beside_the_package(bare, library):
    shutil.copy(library, bare / "ivf" / _library.file_name())
    done = run("import ivf; print(len(ivf.Index(2)))", bare)
    assert done.stdout == "0\n", done.stderr


def test_import_takes_the_library_of_the_system(bare, library):
    found = f"import ctypes.util as u; u.find_library = lambda name: name == 'ivf' and {library!r}; "
    done = run(found + "import ivf; print(len(ivf.Index(2)))", bare)
    assert done.stdout == "0\n", done.stderr


def test_environment_comes_before_the_package(bare, library):
    (bare / "ivf" / _library.file_name()).write_bytes(b"no library")
    assert run("import ivf", bare, IVF_LIBRARY=library).returncode == 0


def test_environment_that_names_no_file_is_an_error(bare, library):
    shutil.copy(library, bare / "ivf" / _library.file_name())
    error = run("import ivf", bare, IVF_LIBRARY="/nowhere/libivf.so").stderr
    assert "ImportError: the environment variable IVF_LIBRARY names '/nowhere/libivf.so'" in error


def test_library_of_another_kind_is_an_error(bare, tmp_path):
    text = tmp_path / "text.so"
    text.write_text("no library")
    error = run("import ivf", bare, IVF_LIBRARY=str(text)).stderr
    assert f"ImportError: {text} is not a library that this package can use" in error
    import _ctypes

    error = run("import ivf", bare, IVF_LIBRARY=_ctypes.__file__).stderr
    assert "is not a library that this package can use" in error
    assert "ivf_version" in error


def test_library_of_another_abi_is_an_error(bare, library):
    file = bare / "ivf" / "_abi.py"
    file.write_text(file.read_text().replace("ABI_VERSION = 1", "ABI_VERSION = 2"))
    error = run("import ivf", bare, IVF_LIBRARY=library).stderr
    assert "expected ABI version 2, got 1 (library version" in error


def test_import_needs_numpy_only(library):
    code = "import ivf, ivf.faiss, sys; print(sorted({'faiss', 'tqdm', 'torch', 'scipy'} & set(sys.modules)))"
    assert run(code, IVF_LIBRARY=library).stdout == "[]\n"


def test_import_logs_which_library(library):
    code = "import logging; logging.basicConfig(level='DEBUG'); import ivf"
    assert f"DEBUG:ivf:libivf 0.1.0 loaded from {library}" in run(code, IVF_LIBRARY=library).stderr


def test_exit_with_living_indexes_is_quiet(library):
    code = "import ivf; a = ivf.Index(2); b = ivf.Context(); c = ivf.Filter.of([1]); a.self = a"
    done = run(code, IVF_LIBRARY=library)
    assert (done.returncode, done.stderr) == (0, "")
