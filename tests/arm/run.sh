#!/usr/bin/env bash
# The NEON kernels and the element types on 64-bit Arm, under emulation (qemu). Installs what is missing (Debian,
# Ubuntu). The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
export PATH=$PATH:$HOME/.cargo/bin DEBIAN_FRONTEND=noninteractive
triple=aarch64-unknown-linux-gnu
log=$(mktemp)
trap 'rm -f "$log"' EXIT

finish() {
    awk '/^test result:/ { p += $4; f += $6 + $8 } END { print p + 0, f + 0 }' "$log" | {
        read -r passed failed
        # A build that breaks, or no test at all, is a failure.
        [ "$failed" = 0 ] && { [ "$1" != 0 ] || [ "$passed" = 0 ]; } && failed=1
        echo "$passed passed, $failed failed"
        [ "$failed" = 0 ]
    }
    exit
}

native=$(uname -m)
if [ "$native" != aarch64 ]; then
    packages=()
    command -v aarch64-linux-gnu-gcc >/dev/null || packages+=(gcc-aarch64-linux-gnu libc6-dev-arm64-cross)
    command -v qemu-aarch64 >/dev/null || packages+=(qemu-user)
    if [ ${#packages[@]} != 0 ]; then
        root=
        [ "$(id -u)" = 0 ] || root="sudo -n"
        $root apt-get update -qq && $root apt-get install -y -qq --no-install-recommends "${packages[@]}" || finish 1
    fi
    if command -v rustup >/dev/null; then
        rustup target add "$triple" || finish 1
    fi
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER=aarch64-linux-gnu-gcc
    export CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_RUNNER="qemu-aarch64 -L /usr/aarch64-linux-gnu"
fi

# Without the GPU: it has nothing to do with the kernels, and takes most of the time to build.
run() { cargo test --no-default-features --no-fail-fast --target "$triple" "$@" 2>&1 | tee -a "$log"; }
status=0
run --lib kernel:: || status=1
run --lib element:: || status=1
run --test elements || status=1
grep -q 'kernel::tests::tile::tile_any_shape' "$log" || status=1
finish $status
