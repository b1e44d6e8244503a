#!/usr/bin/env bash
# The thread pool under ThreadSanitizer, and on x86 the scalar and AVX2 operators under
# AddressSanitizer and UndefinedBehaviorSanitizer. Needs g++.
set -euo pipefail
cd "$(dirname "$0")/.."

cxx=${CXX:-g++}
build=$(mktemp -d)
trap 'rm -rf "$build"' EXIT

"$cxx" -std=c++17 -O1 -g -fsanitize=thread -Inative tests/native/pool_race.cpp native/pool.cpp \
    -pthread -o "$build/pool_race"
"$build/pool_race"

if [[ $(uname -m) == x86_64 ]] && grep -qw avx2 /proc/cpuinfo; then
    # float-cast-overflow is no part of "undefined" in gcc; an index computed from a NaN is one.
    "$cxx" -std=c++17 -O1 -g -ffp-contract=off -mavx2 -mfma -mf16c \
        -fsanitize=address,undefined,float-cast-overflow -fno-sanitize-recover=all \
        -DTRINE_TESTED_OPS=kAvx2Ops -Inative tests/native/compare_ops.cpp \
        native/isa/scalar.cpp native/isa/avx2.cpp native/tiles.cpp -o "$build/compare_ops"
    "$build/compare_ops"
fi
