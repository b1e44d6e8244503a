"""The budget as Markdown: what `trine hw budget` prints and docs/hw-budget.md holds."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from trine.hw.budget import ATTENTION_LANES, BATCHES, CLOCK_MHZ, LIMITS, Pipeline, proposed
from trine.hw.synth import PART

POSITIONS = (64, 1023)
PROMPT = 64


def render() -> str:
    """All tables; the same text each time."""
    pipelines = [Pipeline(batch) for batch in BATCHES]
    best = proposed()
    used = best.used()
    shares = ", ".join(f"{100 * value / PART[name]:.1f} % {name}" for name, value in used.items())
    speeds = ", ".join(f"{best.decode(p):.2f} tok/s at position {p}" for p in POSITIONS)
    parts = [
        f"**Proposed: batch {best.batch}, {ATTENTION_LANES} attention lanes.** *Predicted*: "
        f"{shares}; {speeds}; {best.prefill(PROMPT):.1f} tok/s over a {PROMPT}-token prefill "
        f"({CLOCK_MHZ} MHz, nominal memory).",
        "## Totals\n\n" + _totals(pipelines),
        "## Block RAM\n\n" + _memories(pipelines),
        "## Logic\n\n" + _blocks(pipelines),
        "## Traffic of one decoded token, bytes\n\n" + _traffic(best),
        "## What lies in DDR\n\n" + _image(best),
        *(
            f"## Clocks of one decoded token at position {position}\n\n" + _clocks(best, position)
            for position in POSITIONS
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---", *["---:"] * (len(head) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _totals(pipelines: list[Pipeline]) -> str:
    rows = []
    for name, limit in LIMITS.items():
        values = (pipeline.used()[name] for pipeline in pipelines)
        cells = (f"{value:,g} ({100 * value / PART[name]:.1f} %)" for value in values)
        rows.append([f"{name} of {PART[name]:,}, at most {100 * limit:.0f} %", *cells])
    rows.append(["fits", *("yes" if p.fits() else "no" for p in pipelines)])
    for position in POSITIONS:
        rows.append(
            [
                f"decode at position {position}, tok/s",
                *(f"{p.decode(position):.2f}" for p in pipelines),
            ]
        )
    rows.append(
        [f"prefill of {PROMPT} tokens, tok/s", *(f"{p.prefill(PROMPT):.1f}" for p in pipelines)]
    )
    return _table(["*predicted*", *(f"batch {p.batch}" for p in pipelines)], rows)


def _memories(pipelines: list[Pipeline]) -> str:
    rows = [
        [
            same[0].name,
            " / ".join(dict.fromkeys(f"{m.words:,} x {m.bits}" for m in same)),
            *(f"{m.count} x {m.bram36 / m.count:g} = {m.bram36:g}" for m in same),
        ]
        for same in zip(*(pipeline.memories() for pipeline in pipelines), strict=True)
    ]
    head = ["memory", "words x bits", *(f"RAMB36 at batch {p.batch}" for p in pipelines)]
    return _table(head, rows)


def _blocks(pipelines: list[Pipeline]) -> str:
    rows = [
        [
            same[0].name,
            *(f"{b.count} x {b.lut:,}" for b in same),
            " / ".join(dict.fromkeys(str(b.count * b.dsp) for b in same)),
            "; ".join(dict.fromkeys(b.source for b in same)),
        ]
        for same in zip(*(pipeline.blocks() for pipeline in pipelines), strict=True)
    ]
    return _table(["block", *(f"LUT at batch {p.batch}" for p in pipelines), "DSP", "source"], rows)


def _traffic(pipeline: Pipeline) -> str:
    columns = [pipeline.traffic(position) for position in POSITIONS]
    rows = [[name, *(f"{column[name]:,}" for column in columns)] for name in columns[0]]
    rows.append(["all", *(f"{sum(column.values()):,}" for column in columns)])
    return _table(["what", *(f"at position {position}" for position in POSITIONS)], rows)


def _image(pipeline: Pipeline) -> str:
    image = pipeline.image_bytes(1024)
    rows = [[name, f"{size / 1e6:,.1f}"] for name, size in image.items()]
    return _table(["what", "MB"], [*rows, ["all", f"{sum(image.values()) / 1e6:,.1f}"]])


def _clocks(pipeline: Pipeline, position: int) -> str:
    terms = pipeline.pass_clocks([position], head=True)
    total = sum(term.clocks for term in terms)
    rows = [
        [t.name, f"{t.clocks:,.0f}", f"{100 * t.clocks / total:.1f} %", t.source, t.overlap]
        for t in terms
    ]
    rows.append(["all", f"{total:,.0f}", "100 %", f"{total / CLOCK_MHZ / 1e3:.1f} ms", ""])
    return _table(["term", "clocks", "share", "source", "runs beside it"], rows)
