#!/usr/bin/env bash
# The tests of the GPU backend on an adapter that the CPU emulates (Mesa's llvmpipe), installed here if there is
# none; unlike in the other stages a test that finds no adapter fails. The last line is "N passed, N failed".
set -uo pipefail
cd "$(dirname "$0")/../.."
export DEBIAN_FRONTEND=noninteractive IVF_REQUIRE_GPU=1
if ! ls /usr/share/vulkan/icd.d/lvp_icd*.json >/dev/null 2>&1 || ! ldconfig -p | grep -q libvulkan.so.1; then
    root=
    [ "$(id -u)" = 0 ] || root="sudo -n"
    $root apt-get update -qq
    $root apt-get install -y -qq --no-install-recommends mesa-vulkan-drivers libvulkan1
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{
    cargo test --no-fail-fast --test gpu
    cargo test --no-fail-fast --lib backend::gpu
} 2>&1 | tee "$log"
# Without the feature the library still builds, and knows only the CPU.
if cargo check -q --lib --no-default-features; then echo "test result: ok. 1 passed; 0 failed; 0 ignored"
else echo "test result: FAILED. 0 passed; 1 failed; 0 ignored"; fi | tee -a "$log"
awk '/^test result:/ { p += $4; f += $6 + $8; ran = 1 } END { print p + 0 " passed, " (ran ? f + 0 : 1) " failed" }' "$log"
! grep -q '^test result: FAILED' "$log" && grep -q '^test result: ok' "$log"
