"""Builds the shared library with cargo and puts it into the wheel, beside the package's modules.

IVF_LIBRARY names a library that is built already (of another target, say); then cargo is not run.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NAMES = {"win32": "ivf.dll", "darwin": "libivf.dylib"}


class CargoBuildHook(BuildHookInterface):
    """Called by hatchling before it packs a wheel."""

    def initialize(self, version, build_data):
        """Adds the library and says that the wheel is for this platform, and any Python 3."""
        if version == "editable":
            return
        name = NAMES.get(sys.platform, "libivf.so")
        library = os.environ.get("IVF_LIBRARY") or build(Path(self.root), name)
        build_data["force_include"][str(Path(library).resolve())] = f"ivf/{name}"
        build_data["pure_python"] = False
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        build_data["tag"] = f"py3-none-{platform}"


def build(root, name):
    """The path of the release library of the source tree that `root` lies in."""
    repository = root.parent.parent
    if not (repository / "Cargo.toml").is_file():
        raise FileNotFoundError(f"{repository}: expected the source tree of libivf with its Cargo.toml")
    subprocess.run(["cargo", "lib"], cwd=repository, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", "target"))
    return repository / target / "release" / name
