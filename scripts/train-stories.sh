#!/bin/sh
# Train the model that ships, and its float twin, for hours on one core. Kill it at any time: the
# same command goes on from the last checkpoint.
#
#     scripts/train-stories.sh BOOKS OUT
#
# BOOKS is a folder of .txt files; docs/training.md lists the Project Gutenberg numbers.
set -eu
[ $# -eq 2 ] || { sed -n '2,7s/^# \{0,1\}//p' "$0" >&2; exit 2; }
books=$1 out=$2
TRINE=${TRINE:-"$(dirname "$0")/../.venv/bin/trine"}

# One thread: bit-for-bit the same on any number of cores. The blocks that a step frees stay in the
# process, else every step faults them in anew.
export OMP_NUM_THREADS=1 MALLOC_MMAP_THRESHOLD_=1073741824 MALLOC_TRIM_THRESHOLD_=8589934592

if [ -f "$out/training/state.pt" ]; then
    exec nice -n 19 "$TRINE" train "$books" --out "$out" --resume
fi
exec nice -n 19 "$TRINE" train "$books" --out "$out" --twin --steps 2000 --lr 2e-3 \
    --held-out '11-*' --held-out '902-*' --held-out '7128-*'
