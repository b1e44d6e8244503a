#!/usr/bin/env bash
# The thread pool under ThreadSanitizer; on x86 the scalar and AVX2 operators under AddressSanitizer
# and UndefinedBehaviorSanitizer; then the tests of kernels and engine on an extension module that is
# built with these, and those of the engine's threads with ThreadSanitizer. Needs g++ and the
# environment of `make setup`; about ten minutes.
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

python=$PWD/.venv/bin/python
PATH=$PWD/.venv/bin:$PATH

# with_module SANITIZERS RUNTIME TESTS...: the tests on a module of its own.
with_module() {
    local sanitizers=$1 runtime=$2
    shift 2
    local at=$build/$runtime
    cmake -S . -B "$at" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_COMPILER="$cxx" \
        -DCMAKE_CXX_FLAGS="-fsanitize=$sanitizers -g1 -fno-omit-frame-pointer" \
        -DPython_EXECUTABLE="$python" -Dnanobind_DIR="$("$python" -m nanobind --cmake_dir)" >/dev/null
    cmake --build "$at" -- --quiet
    # The runtime finds the function behind a C++ exception only in a library that is there when it
    # starts. Python itself leaks what lives as long as it does; a failed huge allocation is a test.
    # NumPy's OpenBLAS is not instrumented: its own threads would look like races.
    local preload
    preload="$("$cxx" -print-file-name="$runtime") $("$cxx" -print-file-name=libstdc++.so)"
    SANITIZED_MODULE=$(echo "$at"/_native*.so) LD_PRELOAD=$preload \
        ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
        TSAN_OPTIONS=halt_on_error=1:allocator_may_return_null=1 OPENBLAS_NUM_THREADS=1 \
        PYTHONPATH=tests/native:tests "$python" -m pytest -q --capture=sys -p sanitized "$@"
}

with_module address,undefined libasan.so tests/kernels tests/model/test_engine.py \
    tests/model/test_steps.py tests/model/test_heads.py tests/model/test_layer_kernels.py \
    tests/model/test_bad_input.py
with_module thread libtsan.so tests/model/test_engine.py tests/model/test_heads.py \
    tests/model/test_layer_kernels.py
