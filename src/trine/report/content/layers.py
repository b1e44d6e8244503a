"""Sections 2 and 3: raw rows of the first and a middle layer, and averages per block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from trine.profiling.analysis import LayerRow, StageTable, block_of
from trine.profiling.profile import Stage, State
from trine.report import quantity as q
from trine.report.content.common import pass_name, picture
from trine.report.document import (
    Block,
    Bullets,
    Heading,
    Paragraph,
    Row,
    Table,
    code,
    table,
)
from trine.report.facts import Facts
from trine.report.language import Words
from trine.report.layer_csv import ModuleRow

_RAW_COLUMNS = ("name", "type", "input", "time", "compile", "faults", "delta", "rss")
_BLOCK_COLUMNS = ("block", "time", "share", "wall", "ops", "ops_share", "bytes", "bytes_share")


@dataclass(frozen=True, slots=True)
class _Work:
    ops: int
    bytes: int


def blocks(facts: Facts, words: Words) -> list[Block]:
    """Both sections; a run that finished no prefill has nothing to show in them."""
    if not facts.modules:
        return [
            Heading(2, words("raw.title"), "raw"),
            Paragraph(words("raw.none")),
        ]
    return [*_raw(facts, words), *_averages(facts, words)]


def _raw(facts: Facts, words: Words) -> list[Block]:
    first = [row for row in facts.modules if row.layer == 0]
    middle = facts.middle_rows()
    result: list[Block] = [
        Heading(2, words("raw.title"), "raw"),
        Paragraph(words("raw.intro")),
    ]
    for number, rows in enumerate((first, middle), start=1):
        name = pass_name(words, "prefill", rows[0].state)
        heading = words("raw.layer", number=number, layer=rows[0].layer, name=name)
        result += [Heading(3, heading, f"raw-{number}"), _raw_table(rows, words)]
    result.append(Paragraph(_reading(facts, words, first)))
    return result


def _raw_table(rows: Sequence[ModuleRow], words: Words) -> Table:
    cells = [
        Row(
            [
                code(row.name.removeprefix("model.")),
                row.type,
                q.shape(row.input_shape),
                q.ms(row.time_ms),
                q.ms(row.compile_ms),
                q.count(row.minor_faults),
                q.size(row.rss_delta_bytes),
                q.size(row.rss_bytes),
            ]
        )
        for row in rows
    ]
    total = Row(
        [
            words("raw.sum"),
            "",
            "",
            q.ms(sum(row.time_ms for row in rows)),
            q.ms(sum(row.compile_ms for row in rows)),
            q.count(sum(row.minor_faults for row in rows)),
            q.size(sum(row.rss_delta_bytes for row in rows)),
            "",
        ],
        "sum",
    )
    columns = [words(f"raw.{name}") for name in _RAW_COLUMNS]
    return table(columns, [*cells, total], text_columns=3, note=words("raw.note"))


def _reading(facts: Facts, words: Words, first: Sequence[ModuleRow]) -> str:
    cold = _layer_total(facts, "prefill", "cold", 0)
    warm = _layer_total(facts, "prefill", "measured", 0)
    if cold is None or warm is None:
        return words("raw.reading.one_state")
    return words(
        "raw.reading",
        cold=q.ms(cold),
        warm=q.ms(warm),
        ratio=q.rate(cold / warm if warm else None),
        compile=q.ms(sum(row.compile_ms for row in first)),
    )


def _layer_total(facts: Facts, stage: Stage, state: State, layer: int) -> float | None:
    rows = facts.layers.get((stage, state), [])
    return next((row.total_ms for row in rows if row.layer == layer), None)


def _averages(facts: Facts, words: Words) -> list[Block]:
    result: list[Block] = [
        Heading(2, words("average.title"), "average"),
        Paragraph(words("average.intro")),
        picture(words, "layers"),
    ]
    for number, found in enumerate(facts.warm.values(), start=1):
        name = pass_name(words, found.stage, found.state)
        heading = words("average.stage", number=number, name=name)
        result += [
            Heading(3, heading, f"average-{found.stage}"),
            *_stage(facts, words, found),
        ]
    return result


def _stage(facts: Facts, words: Words, found: StageTable) -> list[Block]:
    rows = facts.layers[found.stage, found.state]
    layers = [row for row in rows if row.layer >= 0]
    later = [row for row in layers if row.layer >= 1] or layers
    names = {name for row in later for name in row.blocks}
    times = {name: fmean(row.blocks.get(name, 0.0) for row in later) for name in names}
    work = _work(facts, found)
    wall = found.wall_ms.median
    body = [
        Row(_cells(words(f"block.{name}"), times, work, [name], len(layers), wall))
        for name in sorted(times, key=lambda n: -times[n])
    ]
    body.append(
        Row(_cells(words("average.layer"), times, work, list(times), len(layers), wall), "sum")
    )
    columns = [words(f"average.{name}") for name in _BLOCK_COLUMNS]
    note = words("average.note", n=len(layers))
    items = _split(words, times, work)
    items += [_outside(words, row, wall) for row in rows if row.layer < 0]
    return [table(columns, body, note=note), Bullets(items)]


def _cells(
    label: str,
    times: Mapping[str, float],
    work: Mapping[str, _Work],
    names: Sequence[str],
    layers: int,
    wall: float,
) -> list[str]:
    """The cells of one block, or of several together."""
    time = sum(times[name] for name in names)
    ops = sum(work[name].ops for name in names if name in work)
    moved = sum(work[name].bytes for name in names if name in work)
    return [
        label,
        q.ms(time),
        q.percent(_part(time, sum(times.values()))),
        q.percent(_part(time * layers, wall)),
        q.ops(ops).strip(),
        q.percent(_part(ops, sum(w.ops for w in work.values()))),
        q.size(moved),
        q.percent(_part(moved, sum(w.bytes for w in work.values()))),
    ]


def _work(facts: Facts, found: StageTable) -> dict[str, _Work]:
    """OPs and modelled bytes of one layer by block, in one pass."""
    result: dict[str, _Work] = {}
    index = facts.profile.passes_of(found.stage, found.state)[0][0]
    for record in facts.profile.records_by_pass().get(index, []):
        if record.layer == facts.middle_layer:
            name = block_of(record.name, record.operator, record.kind)
            before = result.get(name, _Work(0, 0))
            result[name] = _Work(before.ops + record.ops, before.bytes + record.bytes)
    return result


def _split(words: Words, times: Mapping[str, float], work: Mapping[str, _Work]) -> list[str]:
    if not {"mlp", "attention"} <= set(times):
        return []
    whole = sum(times.values())
    mlp = work.get("mlp", _Work(0, 0))
    text = words(
        "average.split",
        mlp=q.percent(_part(times["mlp"], whole)),
        mlp_ops=q.percent(_part(mlp.ops, sum(w.ops for w in work.values()))),
        mlp_bytes=q.percent(_part(mlp.bytes, sum(w.bytes for w in work.values()))),
        attention=q.percent(_part(times["attention"], whole)),
    )
    return [text]


def _outside(words: Words, row: LayerRow, wall: float) -> str:
    blocks_by_time = sorted(row.blocks.items(), key=lambda item: -item[1])
    listed = [f"{words(f'block.{name}')} {q.ms(ms)} ms" for name, ms in blocks_by_time]
    parts = words("separator").join(listed)
    share = q.percent(_part(row.total_ms, wall))
    return words("average.outside", ms=q.ms(row.total_ms), share=share, parts=parts)


def _part(value: float, whole: float) -> float | None:
    return value / whole if whole else None
