"""Finds and loads the shared library: IVF_LIBRARY, then beside this package, then the system's."""

from __future__ import annotations

import ctypes
import ctypes.util
import logging
import os
import sys
from pathlib import Path

from . import _abi

log = logging.getLogger("ivf")

VARIABLE = "IVF_LIBRARY"


def file_name() -> str:
    """What the library is called on this system."""
    if sys.platform == "win32":
        return "ivf.dll"
    return "libivf.dylib" if sys.platform == "darwin" else "libivf.so"


def load() -> ctypes.CDLL:
    """Loads the library and declares its functions.

    Raises ImportError with all that was tried, if there is none or it has another ABI.
    """
    path = find()
    try:
        library = ctypes.CDLL(path)
        _abi.declare(library)
    except (OSError, AttributeError) as error:
        raise ImportError(f"{path} is not a library that this package can use: {error}") from error
    found = library.ivf_abi_version()
    if found != _abi.ABI_VERSION:
        raise ImportError(
            f"{path}: expected ABI version {_abi.ABI_VERSION}, got {found} "
            f"(library version {library.ivf_version().decode()}): install the library that belongs to this package"
        )
    log.debug("libivf %s loaded from %s", library.ivf_version().decode(), path)
    return library


def find() -> str:
    """The path or system name of the library."""
    wanted = os.environ.get(VARIABLE)
    if wanted:
        # A path that is wrong is an error: another library would be a surprise.
        if not Path(wanted).is_file():
            raise ImportError(f"the environment variable {VARIABLE} names {wanted!r}, where there is no file")
        return str(Path(wanted).resolve())
    beside = Path(__file__).resolve().parent / file_name()
    if beside.is_file():
        return str(beside)
    system = ctypes.util.find_library("ivf")
    if system:
        return system
    raise ImportError(
        f"the shared library {file_name()} of libivf was not found. Tried, in this order: the environment "
        f"variable {VARIABLE} (not set); {beside} (no such file); the system's libraries (no 'ivf'). "
        f"Install a wheel of this package, which brings it; or build it (cargo lib) and set "
        f"{VARIABLE} to the path of target/release/{file_name()}"
    )
