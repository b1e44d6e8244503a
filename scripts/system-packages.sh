#!/usr/bin/env bash
# Makes sure of what pip cannot install: a C++17 compiler and Python's venv module.
# Installs them on Debian as root; elsewhere names the command and stops.
set -euo pipefail

python=${PYTHON:-python3}
packages=()
command -v "${CXX:-c++}" >/dev/null || packages+=(g++)
command -v make >/dev/null || packages+=(make)
command -v perl >/dev/null || packages+=(perl)
"$python" -c 'import ensurepip, venv' 2>/dev/null || packages+=(python3-venv)

# What tests alone use (tests/native/test_emulated.py, tests/report/test_plots.py): never demanded, CI
# brings it.
if [[ ${CI:-} == true ]]; then
    command -v qemu-aarch64 >/dev/null || packages+=(qemu-user)
    command -v aarch64-linux-gnu-g++ >/dev/null || packages+=(g++-aarch64-linux-gnu)
    [[ -e /usr/include/simde/simde-common.h ]] || packages+=(libsimde-dev)
    chinese=$(find /usr/share/fonts -iname '*cjk*' -o -iname 'wqy*' 2>/dev/null || true)
    [[ -n $chinese ]] || packages+=(fonts-wqy-microhei)
fi

if ((${#packages[@]} == 0)); then
    exit 0
fi
if command -v apt-get >/dev/null && [[ $(id -u) == 0 ]]; then
    export DEBIAN_FRONTEND=noninteractive
    apt-get update -q
    apt-get install -y -q --no-install-recommends "${packages[@]}"
elif command -v apt-get >/dev/null; then
    echo "trine needs system packages: sudo apt-get install ${packages[*]}" >&2
    exit 1
else
    echo "trine needs a C++17 compiler and Python's venv module: install ${packages[*]} or your system's equivalent" >&2
    exit 1
fi
