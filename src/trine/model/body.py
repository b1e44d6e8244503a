"""Which packing of the ternary weights is faster here: two bits a trit, or 1.6.

Base 3 reads a fifth fewer bytes and needs more instructions for each. A decoded token costs, for
each packing, its bytes over the lower of two measured rates: what memory delivers, and what the
kernel takes from a cache.
"""

from __future__ import annotations

from trine import _native
from trine.errors import UsageError
from trine.ternary.tiles import LAYOUTS, Code

# A buffer of which no cache keeps much, and passes whose best is not a neighbour's disturbance.
_DRAM_BYTES_PER_THREAD = 256 << 20
_PASSES = 8


def choose_body(body: str, isa: str, threads: int) -> Code:
    """A layout's name: `body` itself, or for "auto" the one with the shorter time per trit.

    Raises UsageError for an unknown name. Measuring takes about 0.2 s.
    """
    if body in LAYOUTS:
        return LAYOUTS[body].code
    if body != "auto":
        raise UsageError(f"unknown body {body!r}; there are auto, {', '.join(LAYOUTS)}")
    memory = _rate(_native.probe_read(isa, threads, _DRAM_BYTES_PER_THREAD, 1, _PASSES))
    seconds = {
        code: 1
        / layout.trits_per_byte
        / min(memory, _rate(_native.probe_gemv(isa, code, threads, _PASSES)))
        for code, layout in LAYOUTS.items()
    }
    return min(seconds, key=lambda code: seconds[code])


def _rate(probe: _native.Probe) -> float:
    return probe.work / min(probe.seconds)
