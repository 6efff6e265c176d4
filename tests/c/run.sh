#!/usr/bin/env bash
# The C and C++ tests, the examples, the demo and the checks of the library file, against the release build in
# ${CARGO_TARGET_DIR:-target}. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
release=$target/release
build=$target/tests-c
cc=${CC:-cc} cxx=${CXX:-c++}
export TMPDIR=$build/tmp IVF_TEST_RUN=$$ RUST_BACKTRACE=0
passed=0 failed=0

rm -rf "$build"
mkdir -p "$build/lib" "$TMPDIR"
if [ ! -f "$release/libivf.so" ]; then
    echo "FAILED $release/libivf.so is not built: run make lib"
    echo "0 passed, 1 failed"
    exit 1
fi
ln -sf "$release/libivf.so" "$build/lib/libivf.so.1" # the name that programs ask for
ln -sf libivf.so.1 "$build/lib/libivf.so"

# check NAME COMMAND...: one test, its output shown where it fails.
check() {
    local name=$1 log=$build/log
    shift
    if "$@" >"$log" 2>&1; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        sed 's/^/  /' "$log" | tail -40
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# program COMMAND...: a test program with a closing line of its own.
program() {
    local log=$build/log status p=0 f=0
    timeout 900 "$@" >"$log" 2>&1
    status=$?
    grep -v '^[0-9]* passed, [0-9]* failed$' "$log"
    read -r p f < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$log" | tail -1)
    passed=$((passed + ${p:-0}))
    failed=$((failed + ${f:-0}))
    if [ "${f:-0}" = 0 ] && { [ $status != 0 ] || [ "${p:-0}" = 0 ]; }; then
        echo "FAILED $(basename "$1") ended with status $status"
        failed=$((failed + 1))
    fi
}

strict="-Wall -Wextra -Wpedantic -Werror"
include="-Iinclude -Ibindings/cpp/include"
link="-L$build/lib -Wl,-rpath,$build/lib -livf -lpthread -lm -ldl"
# compile C STANDARD OUTPUT SOURCE...
compile_c() { "$cc" -std="$1" -O1 -g $strict $include "${@:3}" -o "$build/$2" $link; }
compile_cxx() {
    local sources=() objects=()
    for source in "${@:3}"; do
        case $source in *.o) objects+=("$source") ;; *) sources+=("$source") ;; esac
    done
    "$cxx" -std="$1" -O1 -g $strict $include "${sources[@]}" "${objects[@]}" -o "$build/$2" $link
}

echo "== the headers alone"
echo '#include <ivf.h>' >"$build/header.c"
echo '#include <ivf.hpp>' >"$build/header.cpp"
compilers_c=$cc compilers_cxx=$cxx
command -v clang >/dev/null && compilers_c+=" clang"
command -v clang++ >/dev/null && compilers_cxx+=" clang++"
for compiler in $compilers_c; do
    for standard in c99 c11 c17; do
        check "header_${compiler}_${standard}_compiles_without_warning" \
            "$compiler" -std=$standard $strict -Iinclude -fsyntax-only "$build/header.c"
    done
done
for compiler in $compilers_cxx; do
    for standard in c++17 c++20; do
        check "header_${compiler}_${standard}_compiles_without_warning" \
            "$compiler" -std=$standard $strict -Iinclude -fsyntax-only -x c++ "$build/header.c"
        check "binding_${compiler}_${standard}_compiles_without_warning" \
            "$compiler" -std=$standard $strict $include -fsyntax-only "$build/header.cpp"
    done
done

echo "== C"
for name in smoke search null bad_input corrupt progress threads; do
    check "compile_$name" compile_c c99 $name tests/c/$name.c
    program "$build/$name"
done
check compile_conformance compile_c c99 conformance tests/c/conformance.c tests/c/json.c
program "$build/conformance" tests/conformance.json

echo "== C++"
"$cc" -std=c99 -O1 -g $strict -c tests/c/json.c -o "$build/json.o"
for standard in 17 20; do
    check "compile_binding_c++$standard" compile_cxx c++$standard binding$standard tests/c/binding.cpp
    program "$build/binding$standard"
done
check compile_conformance_cpp compile_cxx c++17 conformance_cpp tests/c/conformance.cpp "$build/json.o"
program "$build/conformance_cpp" tests/conformance.json

echo "== examples"
check compile_quickstart_c compile_c c99 quickstart_c bindings/c/examples/quickstart.c
check quickstart_c_finds_the_query_first sh -c "'$build/quickstart_c' | head -1 | grep -qx 'id 0 at squared distance 0'"
for name in quickstart progress; do
    check "compile_${name}_cpp" compile_cxx c++17 ${name}_cpp bindings/cpp/examples/$name.cpp
done
check quickstart_cpp_finds_the_query_first \
    sh -c "'$build/quickstart_cpp' | head -1 | grep -qx 'id 0 at squared distance 0'"
check progress_cpp_trains_stops_and_loads \
    sh -c "'$build/progress_cpp' | tee '$build/progress.txt' | grep -q '^50000 vectors loaded' && grep -q '^train ' '$build/progress.txt'"

echo "== demo"
demo=bindings/c/examples
check compile_demo compile_c c11 demo $demo/demo.c $demo/vectors.c
check demo_words_runs_to_the_end sh -c "'$build/demo' >'$build/demo.txt'"
check demo_king_is_near_queen grep -Eq '^  king .* queen 0\.' "$build/demo.txt"
check demo_default_recall_is_above_0.9 \
    awk '/\(default\)/ { found = 1; if ($2 < 0.9) exit 1 } END { exit !found }' "$build/demo.txt"
check demo_loaded_index_answers_the_same grep -q 'same answers to 1000 queries: yes$' "$build/demo.txt"
check compile_write_vectors compile_c c99 write_vectors tests/c/write_vectors.c
check write_vectors "$build/write_vectors" "$TMPDIR"
check demo_fvecs_runs_to_the_end sh -c "'$build/demo' '$TMPDIR/v.fvecs' | grep -q '300 vectors of 12 numbers'"
"$build/demo" "$TMPDIR/v.fvecs" | sed -n '/^Nearest/,/^$/p' >"$build/expected.txt"
check demo_fvecs_shows_neighbours grep -q '^  row 225 .* [0-9]* (' "$build/expected.txt"
for file in v.bvecs v.npy half.npy bytes.npy; do
    check "demo_${file}_equals_fvecs" sh -c "'$build/demo' '$TMPDIR/$file' | sed -n '/^Nearest/,/^\$/p' | diff - '$build/expected.txt'"
done
head -c 500 "$TMPDIR/v.npy" >"$TMPDIR/cut.npy"
head -c 500 "$TMPDIR/v.fvecs" >"$TMPDIR/cut.fvecs"
for file in cut.npy cut.fvecs columns.npy absent.npy; do
    check "demo_${file}_is_refused" sh -c "! '$build/demo' '$TMPDIR/$file' 2>'$build/refusal.txt' && grep -q '$file: ' '$build/refusal.txt'"
done

echo "== valgrind"
# Fair scheduling: without it readers that never rest can keep the writer of `threads` waiting for ever.
memcheck="valgrind -q --fair-sched=try --leak-check=full --errors-for-leak-kinds=definite,possible --error-exitcode=99 --suppressions=tests/c/valgrind.supp"
# Without Vulkan drivers: what they and the dynamic linker do while they load is not ours to mend.
for name in smoke search null bad_input corrupt progress threads conformance conformance_cpp binding17; do
    arguments=
    case $name in conformance*) arguments=tests/conformance.json ;; esac
    check "memcheck_${name}_has_no_error_and_no_leak" \
        env IVF_TEST_QUICK=1 VK_DRIVER_FILES=/dev/null VK_LOADER_LAYERS_DISABLE='~all~' timeout 900 $memcheck "$build/$name" $arguments
done

echo "== the library file"
library=$release/libivf.so
check library_needs_only_libc_libm_libgcc \
    sh -c "! readelf -d '$library' | sed -n 's/.*(NEEDED).*\[\(.*\)\]/\1/p' | grep -vE '^(libc\.so\.6|libm\.so\.6|libgcc_s\.so\.1|ld-linux.*)\$'"
abi=$(sed -n 's/^#define IVF_ABI_VERSION //p' include/ivf.h)
check library_soname_has_the_abi_number sh -c "readelf -d '$library' | grep -q 'SONAME.*\[libivf.so.$abi\]'"
nm -D --defined-only "$library" | awk '{ print $NF }' | sort >"$build/exported.txt"
check library_exports_only_ivf sh -c "! grep -v '^ivf_' '$build/exported.txt'"
grep -oE '\bivf_[a-z0-9_]+\(' include/ivf.h | tr -d '(' | sort -u >"$build/declared.txt"
check library_exports_all_that_the_header_declares diff "$build/declared.txt" "$build/exported.txt"
compile_c c99 load tests/c/load.c
program "$build/load" "$library"
strip -o "$build/stripped.so" "$library"
echo "  size: $(stat -Lc %s "$library") bytes, stripped $(stat -c %s "$build/stripped.so") bytes"
check library_stripped_is_below_6_MB test "$(stat -c %s "$build/stripped.so")" -lt 6000000

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
