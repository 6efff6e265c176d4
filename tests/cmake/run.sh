#!/usr/bin/env bash
# Builds and installs by CMake, moves the installed tree elsewhere, builds programs outside the tree against it by
# find_package and by pkg-config, runs them. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
source=$PWD
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$PWD/$target ;; esac
cc=${CC:-cc} cxx=${CXX:-c++}
passed=0 failed=0
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
unset LD_LIBRARY_PATH PKG_CONFIG_PATH CMAKE_PREFIX_PATH

# check NAME COMMAND...: one test, its output shown where it fails.
check() {
    local name=$1
    shift
    if "$@" >"$work/log" 2>&1; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        sed 's/^/  /' "$work/log" | tail -40
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# answers PROGRAM [ENVIRONMENT...]: it finds the nearest vector.
answers() { [ "$(env "${@:2}" "$1")" = "2 2" ]; }

# Cargo's own directory is shared with `make lib`, so that nothing is compiled twice. No build step on purpose:
# the install builds what is missing.
check configure cmake -S . -B "$work/build" -DIVF_CARGO_TARGET_DIR="$target" -DCMAKE_BUILD_TYPE=Release
check install cmake --install "$work/build" --prefix "$work/first"
check build_again_is_up_to_date cmake --build "$work/build"
check install_stripped env DESTDIR="$work/destdir" cmake --install "$work/build" --prefix /usr --strip
mv "$work/first" "$work/prefix" 2>/dev/null # nothing may remember where it was installed
prefix=$work/prefix
lib=$(dirname "$(find "$prefix" -name libivf.so | head -1)")
version=$(sed -n 's/^version *= *"\(.*\)"/\1/p' Cargo.toml | head -1)

check installed_soname_links_to_the_file test "$(readlink "$lib/libivf.so.1")" = "libivf.so.1.$version"
check installed_linker_name_links_to_the_soname test "$(readlink "$lib/libivf.so")" = libivf.so.1
check installed_headers_are_there test -f "$prefix/include/ivf.h" -a -f "$prefix/include/ivf.hpp"
check installed_licences_are_there sh -c "ls '$prefix'/share/doc/ivf/LICENSE-MIT '$prefix'/share/doc/ivf/LICENSE-APACHE"
check installed_text_holds_no_path_of_the_build \
    sh -c "! grep -rIl -e '$work' -e '$source' '$prefix' --include='*.cmake' --include='*.pc' --include='ivf.h*'"
check installed_stripped_library_is_smaller sh -c \
    "test \$(stat -c %s '$work'/destdir/usr/lib*/libivf.so.1.$version '$work'/destdir/usr/lib/*/libivf.so.1.$version 2>/dev/null | head -1) -lt \$(stat -c %s '$lib/libivf.so.1.$version')"

# find_package, in a copy outside the tree
cp -r tests/cmake/consumer "$work/consumer"
check consumer_configure cmake -S "$work/consumer" -B "$work/consumer/build" -DCMAKE_PREFIX_PATH="$prefix"
check consumer_build cmake --build "$work/consumer/build"
for program in c_shared c_static cpp_shared cpp_static; do
    check "consumer_${program}_finds_the_nearest" answers "$work/consumer/build/$program"
done
check consumer_shared_asks_for_the_soname sh -c "readelf -d '$work/consumer/build/c_shared' | grep -q 'NEEDED.*libivf.so.1\]'"
check consumer_static_asks_for_no_libivf sh -c "! readelf -d '$work/consumer/build/c_static' | grep 'NEEDED.*libivf'"
sed -i 's/find_package(ivf 0.1/find_package(ivf 7.0/' "$work/consumer/CMakeLists.txt"
check consumer_of_a_later_version_is_refused \
    sh -c "! cmake -S '$work/consumer' -B '$work/consumer/later' -DCMAKE_PREFIX_PATH='$prefix'"

# pkg-config
export PKG_CONFIG_PATH=$lib/pkgconfig
check pkg_config_version test "$(pkg-config --modversion ivf)" = "$version"
check pkg_config_c_shared_build sh -c "'$cc' '$work/consumer/main.c' \$(pkg-config --cflags --libs ivf) -o '$work/pc_c'"
check pkg_config_c_shared_finds_the_nearest answers "$work/pc_c" LD_LIBRARY_PATH="$lib"
check pkg_config_cpp_shared_build \
    sh -c "'$cxx' -std=c++17 '$work/consumer/main.cpp' \$(pkg-config --cflags --libs ivf) -o '$work/pc_cpp'"
check pkg_config_cpp_shared_finds_the_nearest answers "$work/pc_cpp" LD_LIBRARY_PATH="$lib"
check pkg_config_c_static_build sh -c \
    "'$cc' '$work/consumer/main.c' \$(pkg-config --cflags ivf) \$(pkg-config --static --libs ivf | sed 's/-livf/-l:libivf.a/') -o '$work/pc_static'"
check pkg_config_c_static_finds_the_nearest answers "$work/pc_static"

# add_subdirectory
mkdir "$work/tree"
cp -r tests/cmake/consumer tests/cmake/subproject "$work/tree"
check subproject_configure cmake -S "$work/tree/subproject" -B "$work/tree/build" -DIVF_SOURCE="$source" \
    -DIVF_CARGO_TARGET_DIR="$target"
check subproject_build cmake --build "$work/tree/build"
for program in c_shared cpp_shared c_static; do
    check "subproject_${program}_finds_the_nearest" answers "$work/tree/build/$program"
done

echo "$passed passed, $failed failed"
[ "$failed" = 0 ]
