#!/usr/bin/env bash
# Proven with the real faiss: its files (ours open there, theirs open here, results equal) and training. Uses the release
# library (IVF_LIBRARY, else target/release, built if it is not there) and .venv. Closing line: N passed, N failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cd "$here/../.."
target=${CARGO_TARGET_DIR:-target}
if [ -z "${IVF_LIBRARY:-}" ]; then
    IVF_LIBRARY=$(realpath -m "$target/release/libivf.so")
    [ -f "$IVF_LIBRARY" ] || cargo lib
fi
export IVF_LIBRARY PYTHONPATH="$PWD/bindings/python/src" PYTHONDONTWRITEBYTECODE=1
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    root=
    [ "$(id -u)" = 0 ] || root="sudo -n"
    $root apt-get update -qq
    $root apt-get install -y -qq --no-install-recommends python3 python3-venv >/dev/null
fi
[ -x .venv/bin/python ] || python3 -m venv .venv
# Checks before it installs, so that a second run needs no network.
.venv/bin/python -m pip install --quiet --disable-pip-version-check -r "$here/requirements.txt"
exec .venv/bin/python "$here/main.py"
