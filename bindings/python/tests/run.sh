#!/usr/bin/env bash
# The Python tests, with the library at ${CARGO_TARGET_DIR:-target}/release (or where IVF_LIBRARY says). Makes .venv in
# the repository with the packages of requirements.txt; arguments go to pytest. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../../.."
binding=$PWD/bindings/python
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
export IVF_LIBRARY=${IVF_LIBRARY:-$target/release/libivf.so} CARGO_TARGET_DIR=$target
venv=$PWD/.venv
wanted=$binding/tests/requirements.txt

fail() {
    echo "FAILED $1"
    echo "0 passed, 1 failed"
    exit 1
}

[ -f "$IVF_LIBRARY" ] || fail "$IVF_LIBRARY is not built: run make lib"

if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
    root=
    [ "$(id -u)" = 0 ] || root="sudo -n"
    $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends python3 python3-venv ||
        fail "to install python3-venv"
fi
# Made again when the requirements or the Python change.
stamp="$(python3 --version) $(sha256sum <"$wanted")"
if [ "$(cat "$venv/stamp" 2>/dev/null)" != "$stamp" ]; then
    python3 -m venv --clear "$venv" &&
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check -r "$wanted" &&
        echo "$stamp" >"$venv/stamp" || fail "to install $wanted"
fi

report=$(mktemp)
trap 'rm -f "$report"' EXIT
cd "$binding"
PYTHONPATH=src "$venv/bin/python" -m pytest -q --tb=short -p no:cacheprovider --junitxml="$report" "$@"
status=$?
# Skipped tests count as failed: there is nothing here that a machine may lack.
"$venv/bin/python" - "$report" "$status" <<'END'
import sys
import xml.etree.ElementTree as xml

try:
    suite = xml.parse(sys.argv[1]).getroot().find("testsuite").attrib
except xml.ParseError:
    suite = {"tests": 0, "errors": 0, "failures": 0, "skipped": 0}
total = int(suite["tests"])
failed = sum(int(suite[kind]) for kind in ("errors", "failures", "skipped"))
if sys.argv[2] != "0" and not failed:
    print(f"FAILED pytest ended with status {sys.argv[2]}")
    failed = 1
    total += 1
print(f"{total - failed} passed, {failed} failed")
sys.exit(failed > 0)
END
