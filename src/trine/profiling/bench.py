"""What a benchmark measures: the tests, their work, and rows from timed repetitions.

In: something to run, a probe of the roofs, a clock. Out: `Row`s. Plain numbers only: nothing here
knows an engine (`bench_run` does) or a format (`trine.report.bench_table` does).

A shared machine drifts, so the roofs are probed between all repetitions, and a repetition is held
against the higher of its two neighbours: the share is rather too low than too high.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from trine.profiling.roofline import REFUSE_ABOVE
from trine.profiling.stats import Stat, stat


@dataclass(frozen=True, slots=True)
class Case:
    """One test, in each of `batch` sessions that hold `depth` positions already.

    "pp": one prompt of `tokens` tokens. "tg": `tokens` decode steps.
    """

    stage: Literal["pp", "tg"]
    tokens: int
    depth: int = 0
    batch: int = 1

    @property
    def name(self) -> str:
        """As llama-bench names tests: pp512, tg64, tg64xb8, tg64@d1024."""
        batch = f"xb{self.batch}" if self.batch > 1 else ""
        depth = f"@d{self.depth}" if self.depth else ""
        return f"{self.stage}{self.tokens}{batch}{depth}"

    @property
    def positions(self) -> int:
        """Positions that each session holds at the end."""
        return self.depth + self.tokens


def make_cases(
    prompts: Sequence[int], steps: Sequence[int], depths: Sequence[int], batches: Sequence[int]
) -> list[Case]:
    """Every prompt and every decode at every depth; a batch is of decodes. A length 0 is none."""
    return [
        case
        for depth in depths
        for case in (
            *(Case("pp", tokens, depth) for tokens in prompts if tokens),
            *(Case("tg", tokens, depth, batch) for tokens in steps if tokens for batch in batches),
        )
    ]


@dataclass(frozen=True, slots=True)
class Costs:
    """What a model reads and computes.

    body, head: bytes of one pass over the ternary weights and over the lm_head.
    head_per_token: whether each token of a batch reads the head anew (a screened one does).
    kv_position: bytes of one position's keys and values in all layers.
    macs: multiply-adds of all BitLinears for one token. head_macs: those of an lm_head whose rows
    are int8 or trits, 0 for float rows. max_rows: tokens of one pass.
    """

    body: int
    head: int
    head_per_token: bool
    kv_position: int
    macs: int
    head_macs: int
    max_rows: int


@dataclass(frozen=True, slots=True)
class Work:
    """What one repetition does: tokens, modelled bytes, OPs (2 per multiply-add).

    linear_ops: those of the BitLinears among `ops`.
    """

    tokens: int
    nbytes: int
    ops: int
    linear_ops: int = 0


def work_of(case: Case, costs: Costs) -> Work:
    """The least that a repetition must read, and its int8 OPs.

    Keys and values count once per pass and session. Activations stay in caches, and one embedding
    row a token is nothing beside the rest: both are left out, so that a share never flatters. OPs
    are those of the BitLinears and of int8 or ternary rows of the lm_head (for the last token of a
    prompt, for each decoded one), so attention and float rows cost time and count for nothing.
    """
    if case.stage == "pp":
        ends = [
            min(first + costs.max_rows, case.tokens)
            for first in range(0, case.tokens, costs.max_rows)
        ]
        keys = sum(case.depth + end for end in ends)
        nbytes = len(ends) * costs.body + costs.head + keys * costs.kv_position
        linear = 2 * costs.macs * case.tokens
        return Work(case.tokens, nbytes, linear + 2 * costs.head_macs, linear)
    steps, batch = case.tokens, case.batch
    keys = batch * (steps * case.depth + steps * (steps + 1) // 2)
    heads = batch if costs.head_per_token else 1
    nbytes = steps * (costs.body + heads * costs.head) + keys * costs.kv_position
    linear = 2 * costs.macs * steps * batch
    return Work(steps * batch, nbytes, linear + 2 * costs.head_macs * steps * batch, linear)


@dataclass(frozen=True, slots=True)
class Roofs:
    """Read bandwidth of the level that holds the weights in B/s and int8 peak in OP/s, or None."""

    bandwidth: float | None
    int8: float | None

    def best(self, other: Roofs) -> Roofs:
        """The higher of each; a roof that one probe lacks is none."""
        return Roofs(_higher(self.bandwidth, other.bandwidth), _higher(self.int8, other.int8))


def _higher(a: float | None, b: float | None) -> float | None:
    return None if a is None or b is None else max(a, b)


@dataclass(frozen=True, slots=True)
class Sample:
    """Seconds of one repetition, and the higher of the roofs probed before and after it.

    linear_seconds: those spent in BitLinears, None where they were not recorded.
    """

    seconds: float
    roofs: Roofs
    linear_seconds: float | None = None


def repeat(
    run: Callable[[], float | None],
    reset: Callable[[], None],
    probe: Callable[[], Roofs],
    repetitions: int,
    clock: Callable[[], float],
) -> list[Sample]:
    """Time `run` alone; `reset` and `probe` lie between the timed intervals.

    run() returns its `linear_seconds`.
    """
    samples = []
    before = probe()
    for _ in range(repetitions):
        start = clock()
        linear = run()
        seconds = clock() - start
        reset()
        after = probe()
        samples.append(Sample(seconds, before.best(after), linear))
        before = after
    return samples


@dataclass(frozen=True, slots=True)
class Setting:
    """What a row was measured with.

    head_dtype names what the lm_head's rows are; weight_bytes are those of body and lm_head.
    """

    weight_bytes: int
    kernel: str
    body: str
    head: str
    head_dtype: str
    cache: str
    threads: int


@dataclass(frozen=True, slots=True)
class Agreement:
    """A head against the exact rows on `states` hidden states of this model.

    top1: states with the same best row. kl: mean Kullback-Leibler divergence of the head's
    distribution from the exact one, KL(head || exact), in nats; this way round it is finite for a
    head that leaves rows out.
    """

    head: str
    head_dtype: str
    states: int
    top1: int
    kl: float


@dataclass(frozen=True, slots=True)
class Row:
    """One test's figures. Shares are of the neighbouring roofs, None where there is none.

    level: the memory level that bandwidth_share is of. refused: a share above 1.15 means that the
    level or the model of bytes is wrong; it is not shown, and this says which one it was.
    bound_share: what its bytes take at the memory's roof, or its OPs at the int8 peak, whichever is
    longer, over the time it took. linear_share: the BitLinears' OPs over their own recorded time,
    of the int8 peak. certified: of a screened head, the share of tokens whose best row
    was certain.
    """

    setting: Setting
    case: Case
    tokens_per_second: Stat
    bytes_per_token: float
    bytes_per_second: float
    level: str
    bandwidth_share: Stat | None
    ops_per_second: float
    int8_share: Stat | None
    bound_share: Stat | None
    linear_share: Stat | None
    refused: str
    certified: float | None
    samples: Sequence[Sample]


def make_row(
    setting: Setting,
    case: Case,
    work: Work,
    samples: Sequence[Sample],
    *,
    level: str,
    certified: float | None = None,
) -> Row:
    """Medians over the repetitions; each ratio is taken within its repetition."""
    bandwidth = _share(work.nbytes, samples, [sample.roofs.bandwidth for sample in samples])
    int8 = _share(work.ops, samples, [sample.roofs.int8 for sample in samples])
    refused = [
        f"{share.median:.2f} x the {name} roof"
        for name, share in ((level, bandwidth), ("int8", int8))
        if share is not None and share.median > REFUSE_ABOVE
    ]
    seconds = [sample.seconds for sample in samples]
    return Row(
        setting=setting,
        case=case,
        tokens_per_second=stat([work.tokens / each for each in seconds]),
        bytes_per_token=work.nbytes / work.tokens,
        bytes_per_second=stat([work.nbytes / each for each in seconds]).median,
        level=level,
        bandwidth_share=_believable(bandwidth),
        ops_per_second=stat([work.ops / each for each in seconds]).median,
        int8_share=_believable(int8),
        bound_share=_believable(_share_of_bound(work, samples)),
        linear_share=_believable(_linear_share(work, samples)),
        refused=", ".join(refused),
        certified=certified,
        samples=samples,
    )


def _share(amount: int, samples: Sequence[Sample], roofs: Sequence[float | None]) -> Stat | None:
    known = [roof for roof in roofs if roof is not None]
    if len(known) < len(samples):
        return None
    return stat([amount / s.seconds / roof for s, roof in zip(samples, known, strict=True)])


def _linear_share(work: Work, samples: Sequence[Sample]) -> Stat | None:
    shares = [
        work.linear_ops / sample.linear_seconds / sample.roofs.int8
        for sample in samples
        if sample.linear_seconds is not None and sample.roofs.int8 is not None
    ]
    return stat(shares) if shares and len(shares) == len(samples) else None


def _share_of_bound(work: Work, samples: Sequence[Sample]) -> Stat | None:
    bounds = [_bound(work, sample.roofs) for sample in samples]
    known = [bound for bound in bounds if bound is not None]
    if len(known) < len(samples):
        return None
    return stat([bound / s.seconds for s, bound in zip(samples, known, strict=True)])


def _bound(work: Work, roofs: Roofs) -> float | None:
    """Seconds that the work takes at least: it reads and computes at the same time."""
    if roofs.bandwidth is None or roofs.int8 is None:
        return None
    return max(work.nbytes / roofs.bandwidth, work.ops / roofs.int8)


@dataclass(frozen=True, slots=True)
class BatchGain:
    """Tokens a second of a batch over those of one session, measured and as the bounds allow."""

    row: Row
    measured: float
    allowed: float | None


def batch_gains(rows: Sequence[Row]) -> list[BatchGain]:
    """Each batched row that stands beside the same one of a single session."""
    singles = {(row.setting, row.case): row for row in rows if row.case.batch == 1}
    gains = []
    for row in rows:
        single = singles.get((row.setting, replace(row.case, batch=1)))
        if row.case.batch == 1 or single is None:
            continue
        measured = row.tokens_per_second.median / single.tokens_per_second.median
        allowed = None
        if row.bound_share is not None and single.bound_share is not None:
            allowed = measured * single.bound_share.median / row.bound_share.median
        gains.append(BatchGain(row, measured, allowed))
    return gains


def _believable(share: Stat | None) -> Stat | None:
    return None if share is None or share.median > REFUSE_ABOVE else share
