"""The first screen: what was run, how far to trust it, the key figures."""

from __future__ import annotations

from statistics import median

from trine.profiling.analysis import StageTable, speed_limit
from trine.profiling.profile import STAGES, Overhead, Profile
from trine.profiling.stats import stat
from trine.report import quantity as q
from trine.report.content.common import (
    ceiling,
    pass_bytes,
    pass_name,
    spread,
    tokens_per_second,
)
from trine.report.document import Block, Callout, Cards, Paragraph, Row, Table, code, table
from trine.report.facts import Facts
from trine.report.language import Words


def blocks(facts: Facts, words: Words) -> list[Block]:
    """Warnings first: a reader must not meet a figure before what limits it."""
    profile = facts.profile
    return [
        Paragraph(what_was_run(profile, words)),
        *(Callout("warning", title, [Paragraph(text)]) for title, text in warnings(profile, words)),
        Cards(_cards(facts, words)),
        _key_figures(facts, words),
        _setup(profile, words),
    ]


def what_was_run(profile: Profile, words: Words) -> str:
    """One sentence: model, mode, dtype, tokens, machine, threads."""
    model, run = profile.model, profile.run
    return words(
        "head.run",
        model=code(model.id),
        mode=words(f"mode.{model.mode}"),
        dtype=code(model.dtype),
        tokens=len(run.tokens),
        decode=run.decode_steps,
        cpu=profile.machine.cpu_model,
        threads=run.threads,
    )


def warnings(profile: Profile, words: Words) -> list[tuple[str, str]]:
    """(title, text) of what limits every figure: synthetic weights, fewer layers, a partial run."""
    model = profile.model
    found: list[tuple[str, str]] = []
    if model.synthetic:
        found.append((words("warn.synthetic.title"), words("warn.synthetic", seed=model.seed)))
    if model.layers < model.layers_total:
        counts = {"n": model.layers, "total": model.layers_total}
        found.append((words("warn.reduced.title", **counts), words("warn.reduced", **counts)))
    if profile.status == "partial":
        note = code(profile.status_note) or q.MISSING
        text = words("warn.partial", note=note, passes=len(profile.passes))
        found.append((words("warn.partial.title"), text))
    return found


def _cards(facts: Facts, words: Words) -> list[tuple[str, str, str]]:
    cards = []
    for stage in STAGES:
        if table := facts.warm.get(stage):
            name = pass_name(words, stage, table.state)
            cards.append((name, f"{q.ms(table.wall_ms.median)} ms", _speed(facts, words, table)))
    for compared in facts.compared:
        wall = compared.rows[-1]
        ratio = q.MISSING if wall.ratio is None else f"{q.rate(wall.ratio.median)}×"
        name = words("native.card", name=pass_name(words, compared.stage, "measured"))
        cards.append((name, f"{q.ms(wall.native_ms)} ms", words("native.card.ratio", ratio=ratio)))
    if cold := facts.cold.get("prefill"):
        compiled = sum(p.compile_ns for _, p in facts.profile.passes_of("prefill", "cold"))
        detail = words("card.compile", ms=q.nanoseconds(compiled))
        name = pass_name(words, "prefill", "cold")
        cards.append((name, f"{q.ms(cold.wall_ms.median)} ms", detail))
    model = facts.profile.model
    rss = words(
        "card.rss",
        rss=q.size(model.rss_after_load_bytes),
        file=q.size(model.file_after_load_bytes),
    )
    cards.append((words("card.load"), q.seconds(model.load_seconds), rss))
    if table := facts.warm.get("prefill"):
        own = q.percent(recorder_share(table))
        cards.append((words("card.recorder"), own, words("card.overhead")))
    return cards


def recorder_share(table: StageTable) -> float | None:
    """The recorder's own time as a share of the median pass."""
    return table.recorder_ms / table.wall_ms.median if table.wall_ms.median else None


def recorder_difference(overhead: Overhead) -> tuple[float, float, float]:
    """How much longer a recorded prefill takes, as a share of a bare one: medians compared.

    With the bounds of the 95 % interval over the neighbouring pairs, since on a busy machine
    single passes differ by more than the recorder costs.
    """
    pairs = zip(overhead.recorded_ns, overhead.bare_ns, strict=False)
    spread_of_pairs = stat([recorded / bare - 1 for recorded, bare in pairs])
    share = median(overhead.recorded_ns) / median(overhead.bare_ns) - 1
    return share, spread_of_pairs.low, spread_of_pairs.high


def _speed(facts: Facts, words: Words, table: StageTable) -> str:
    return words(
        "card.speed",
        rate=q.rate(tokens_per_second(table)),
        ceiling=ceiling(speed_limit(facts.profile, table), words),
    )


def _key_figures(facts: Facts, words: Words) -> Table:
    tables = [facts.warm[s] for s in STAGES if s in facts.warm]
    tables += [facts.cold[s] for s in STAGES if s in facts.cold and facts.cold[s] not in tables]
    rows = []
    for t in tables:
        speed, limit = tokens_per_second(t), speed_limit(facts.profile, t)
        rows.append(
            Row(
                [
                    pass_name(words, t.stage, t.state),
                    q.count(t.passes),
                    q.count(t.tokens),
                    q.ms(t.wall_ms.median),
                    *spread(t.wall_ms),
                    q.rate(speed),
                    q.size(pass_bytes(t)),
                    ceiling(limit, words),
                    q.percent(speed / limit.tokens_per_second if speed and limit else None),
                ]
            )
        )
    columns = [words(f"key.{name}") for name in _KEY_COLUMNS]
    roof = facts.roofs.bandwidth.get("DRAM")
    fp32, int8 = facts.roofs.fp32, facts.roofs.int8
    note = words(
        "key.note",
        roof=q.rate(roof / 1e9 if roof else None),
        fp32=q.rate(fp32 / 1e9 if fp32 else None),
        int8=q.rate(int8 / 1e9 if int8 else None),
    )
    return table(columns, rows, note=note)


_KEY_COLUMNS = (
    "pass",
    "passes",
    "tokens",
    "median",
    "p10_p90",
    "interval",
    "rate",
    "bytes",
    "ceiling",
    "of_ceiling",
)


def _setup(profile: Profile, words: Words) -> Table:
    model, machine, run = profile.model, profile.machine, profile.run
    weights = words("setup.synthetic", seed=model.seed) if model.synthetic else model.id
    environment = " ".join(f"{k}={v}" for k, v in sorted(run.environment.items()))
    values = {
        "model": words(
            "setup.model.value",
            id=code(model.id),
            parameters=q.ops(model.parameters).strip(),
            ternary=q.ops(model.ternary_parameters).strip(),
            layers=model.layers,
            total=model.layers_total,
        ),
        "weights": words("setup.weights.value", origin=weights, size=q.size(model.weight_bytes)),
        "mode": f"{words(f'mode.{model.mode}')} {code(model.dtype)}",
        "machine": f"{machine.cpu_model}, {machine.platform}"
        + (words("setup.hypervisor") if machine.hypervisor else ""),
        "cores": words(
            "setup.cores.value",
            logical=machine.cores_logical,
            physical=machine.cores_physical,
            affinity=machine.cores_affinity,
            quota=q.MISSING if machine.cgroup_cpus is None else q.rate(machine.cgroup_cpus),
            threads=run.threads,
        ),
        "memory": words(
            "setup.memory.value",
            total=q.size(machine.memory_bytes),
            available=q.size(machine.memory_available_bytes),
            l2=q.size(machine.l2_bytes),
            l3=q.size(machine.l3_bytes),
        ),
        "simd": ", ".join(machine.simd) or q.MISSING,
        "versions": ", ".join(f"{k} {v}" for k, v in sorted(profile.versions.items())),
        "settings": words(
            "setup.settings.value",
            tokens=len(run.tokens),
            decode=run.decode_steps,
            warmup=run.warmup,
            repeat=run.repeat,
            cache=words(f"cache.{run.compile_cache}"),
        ),
        "environment": code(environment) or q.MISSING,
        "started": run.started,
        "command": code(run.command) or q.MISSING,
    }
    rows = [Row([words(f"setup.{name}"), value]) for name, value in values.items()]
    return Table([words("setup.what"), words("setup.value")], rows)
