"""One operator against the roofs: which memory level, what share of the attainable rate.

In: OPs, modelled bytes and seconds, and the best probes. Out: a `Verdict`. Plain numbers only;
`analysis` takes them from records.

The model is the classic roofline (Williams, Waterman, Patterson 2009): the attainable rate is
min(compute roof, intensity x bandwidth roof).
"""

from __future__ import annotations

from dataclasses import dataclass

from trine.profiling.caches import Caches

# Modelled bytes and OPs are minima, so a rate above a roof means that the model or the level is
# wrong. Probes of one level repeat within 15 % even on a shared machine; beyond that: refused.
REFUSE_ABOVE = 1.15
# Below a tenth of what both roofs allow, neither of them explains the time.
OVERHEAD_BELOW = 0.1


@dataclass(frozen=True, slots=True)
class Ceilings:
    """Bandwidths in B/s and compute in OP/s; None where no probe exists.

    `limit` is the bandwidth of `limit_level`, which one call's working set fits: nothing can be
    faster, so figures are refused against it. `bandwidth` is what the call can attain: weights
    and cache come from where they stay between passes, `level` is where most of that time goes.
    `exact` is False where the compute probe is only a floor of what the units can do.
    """

    level: str
    limit_level: str
    limit: float | None
    bandwidth: float | None
    compute: float | None
    exact: bool


@dataclass(frozen=True, slots=True)
class Verdict:
    """The fields of the same names of `analysis.OperatorRow`; rates in 1e9 per second."""

    gops: float | None = None
    gbytes_per_second: float | None = None
    roof_share: float | None = None
    bound: str = ""
    refused: str = ""


def level_of(working_set: float, caches: Caches, threads: int) -> str:
    """The smallest level that holds the working set; an unknown size (0) holds nothing.

    Threads divide the set among themselves, so what they reach together counts.
    """
    if working_set <= caches.l2_reach(threads):
        return "L2"
    return "L3" if working_set <= caches.l3_reach(threads) else "DRAM"


def blend(streamed: float, rest: float, streams_from: float, stays_in: float) -> float:
    """B/s of a call that reads `streamed` bytes at one bandwidth and moves `rest` at another."""
    return (streamed + rest) / (streamed / streams_from + rest / stays_in)


def judge(ops: int, moved: int, seconds: float, ceilings: Ceilings) -> Verdict:
    """Rates, share of the roof and what bounds the operator; nothing at all without time."""
    if seconds <= 0:
        return Verdict()
    refused = _refusal(ops / seconds, moved / seconds, ceilings)
    if refused:
        return Verdict(refused=refused)
    share, bound = _share(ops, moved, seconds, ceilings)
    if share is not None and share > REFUSE_ABOVE:
        # Possible, since the faster level was not exceeded, but then the data did not come from
        # where this says, and a share of that roof would be a wrong figure.
        share, bound = None, ""
    if share is not None and share < OVERHEAD_BELOW:
        bound = "overhead"
    return Verdict(ops / seconds / 1e9, moved / seconds / 1e9, share, bound)


def _refusal(ops_rate: float, byte_rate: float, ceilings: Ceilings) -> str:
    """The figure, the roof and its level in signs and units; empty when both rates can be."""
    limit, compute = ceilings.limit, ceilings.compute
    if limit is not None and byte_rate > REFUSE_ABOVE * limit:
        return (
            f"{byte_rate / 1e9:.1f} GB/s > {REFUSE_ABOVE} × {limit / 1e9:.1f} GB/s "
            f"({ceilings.limit_level})"
        )
    if compute is not None and ceilings.exact and ops_rate > REFUSE_ABOVE * compute:
        return f"{ops_rate / 1e9:.1f} GOPS > {REFUSE_ABOVE} × {compute / 1e9:.1f} GOPS"
    return ""


def _share(ops: int, moved: int, seconds: float, ceilings: Ceilings) -> tuple[float | None, str]:
    """The achieved part of the attainable rate, and the roof that sets it."""
    bandwidth, compute = ceilings.bandwidth, ceilings.compute
    if bandwidth is None or moved == 0:
        return None, ""
    if ops == 0:
        return moved / seconds / bandwidth, "memory"
    if compute is None:
        return None, ""
    by_memory = ops / moved * bandwidth
    if by_memory <= compute:
        return ops / seconds / by_memory, "memory"
    return (ops / seconds / compute, "compute") if ceilings.exact else (None, "")
