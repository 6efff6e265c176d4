#!/usr/bin/env bash
# Compiles and runs every example of README.md, against the release build. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
build=$target/tests-readme root=$PWD passed=0 failed=0
rm -rf "$build" && mkdir -p "$build" && cd "$build" || exit 1
ln -s "$target/release/libivf.so" libivf.so.1 && ln -s libivf.so.1 libivf.so

# block LANGUAGE: the text of the first fenced block of that language.
block() { awk -v start="\`\`\`$1" '$0 == start { on = 1; next } on && $0 == "```" { exit } on' "$root/README.md"; }

check() {
    local name=$1
    shift
    if "$@" >log 2>&1; then
        echo "ok README $name"
        passed=$((passed + 1))
    else
        sed 's/^/  /' log
        echo "FAILED README $name"
        failed=$((failed + 1))
    fi
}

link="-L. -livf -Wl,-rpath,$build"
strict="-Wall -Wextra -Wpedantic -Werror"
run_c() { block c >example.c && "${CC:-cc}" -std=c99 $strict -I"$root/include" example.c -o c $link && ./c; }
run_cpp() {
    block cpp >example.cpp &&
        "${CXX:-c++}" -std=c++17 $strict -I"$root/include" -I"$root/bindings/cpp/include" example.cpp -o cpp $link &&
        [ "$(./cpp)" = 7 ] && [ -s vectors.ivf ]
}
run_python() {
    local python=$root/.venv/bin/python
    [ -x "$python" ] || python=python3
    block python >example.py && PYTHONPATH=$root/bindings/python/src IVF_LIBRARY=$build/libivf.so "$python" example.py
}
run_rust() {
    mkdir -p rust/src && block rust >rust/src/main.rs &&
        printf '[package]\nname = "example"\nversion = "0.0.0"\nedition = "2024"\n[dependencies]\nlibivf = { path = "%s" }\n[workspace]\n' "$root" >rust/Cargo.toml &&
        cp "$root/Cargo.lock" rust/ && CARGO_TARGET_DIR=$target/readme-rust cargo run -q --manifest-path rust/Cargo.toml
}
check "C example" run_c
check "C++ example" run_cpp
check "Python example" run_python
check "Rust example" run_rust
echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
