#!/bin/sh
# The peer bench's own tests: its measures, its options, and a whole run of ours against faiss on
# small random data whose result sets must agree. Sets up .venv-bench (NumPy and faiss-cpu only).
# Closing line: N passed, N failed.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
if ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    as_root=""
    [ "$(id -u)" -eq 0 ] || as_root="sudo"
    $as_root apt-get update -qq
    $as_root apt-get install -y -qq python3-venv >/dev/null
fi
python=$(python3 "$here/compare.py" --setup --only-peers --peers faiss)
exec "$python" "$here/test_compare.py"
