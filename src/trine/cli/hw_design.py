"""`trine hw synth`, `explore`, `predict`: area, design space and time of the unit."""

from __future__ import annotations

import csv
import dataclasses
import json as json_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from trine.cli.hw_options import BeatBits, Code, Engines, Json

if TYPE_CHECKING:
    from trine.hw.explore import Point
    from trine.hw.predict import Prediction
    from trine.hw.sources import Unit
    from trine.hw.synth import Area

ModelName = Annotated[str, typer.Argument(help="model whose shapes count: synthetic:2b-4t, ...")]
Batch = Annotated[int, typer.Option(help="activation vectors a weight pass (1-16)")]
Clock = Annotated[float, typer.Option(help="clock in MHz")]
Out = Annotated[Path | None, typer.Option(help="folder for the files (default: a new, dated one)")]
Force = Annotated[bool, typer.Option("--force", help="overwrite files")]


def synth_command(
    top: Annotated[str, typer.Option(help="tdpu_gemv, tdpu_core or tdpu_top")] = "tdpu_gemv",
    engines: Engines = 4,
    batch: Batch = 1,
    code: Code = 3,
    beat_bits: BeatBits = 64,
    place: Annotated[
        bool, typer.Option("--place", help="also place and route on an ECP5 (minutes)")
    ] = False,
    json: Json = False,
) -> int:
    """Synthesise for xc7 with Yosys: cells and logic delay; --place: an ECP5's Fmax."""
    from trine.cli.progress import Bar
    from trine.hw.place import place as place_top
    from trine.hw.sources import Unit
    from trine.hw.synth import synthesise

    unit = Unit(engines, batch, code, beat_bits)
    with Bar(quiet=json) as bar:
        bar("synthesise for xc7", 0, 1)
        area = synthesise(top, unit)
        bar("synthesise for xc7", 1, 1)
        placement = None
        if place:
            bar("place on ECP5", 0, 1)
            placement = place_top(top, unit)
            bar("place on ECP5", 1, 1)
    if json:
        ecp5 = None if placement is None else dataclasses.asdict(placement)
        print(json_module.dumps(_area(area) | {"ecp5": ecp5}, indent=2))
        return 0
    print(f"{top}: {unit}")
    for name, share in area.shares().items():
        print(f"  {name:18} {share['used']:>7} of {share['of']:>7} ({share['percent']:.1f} %)")
    print(
        f"  of the LUTs {area.lut_memory} are memory and {area.lut_shift} shift registers; "
        f"apart: {area.inverters} inverters, {area.wide_multiplexers} wide multiplexers\n"
        f"  longest path, logic without wires: {(area.logic_ps or 0) / 1e3:.2f} ns "
        f"(a bound for regressions, no clock)"
    )
    if placement is not None:
        from trine.hw.place import DEVICE

        print(f"  Fmax on an ECP5 ({DEVICE}, not a Zynq): {placement.fmax_mhz:.1f} MHz")
    return 0


def _area(area: Area) -> dict[str, Any]:
    names = (
        *("lut", "lut_memory", "lut_shift", "inverters", "wide_multiplexers"),
        *("flip_flops", "bram36", "dsp"),
    )
    return (
        dataclasses.asdict(area)
        | {name: getattr(area, name) for name in names}
        | {"xc7z020": area.shares()}
    )


def explore_command(
    model: ModelName = "synthetic:2b-4t",
    engines: Annotated[str, typer.Option(help="engine counts, with commas")] = "1,2,4",
    batches: Annotated[str, typer.Option(help="batch sizes, with commas")] = "1,4,8",
    codes: Annotated[str, typer.Option(help="trit codes, with commas")] = "2,3",
    check: Annotated[
        str, typer.Option(help="units synthesised whole as well, as engines/batch/code")
    ] = "4/1/3,4/4/3,4/1/2,2/4/3",
    clock: Clock = 100.0,
    out: Out = None,
    force: Force = False,
) -> int:
    """Compose the areas of many units, predict their speed, and name the best (many minutes)."""
    from trine.checkpoint.open import open_checkpoint
    from trine.cli.output import result_folder, writing
    from trine.cli.progress import Bar
    from trine.hw.explore import compare, explore, pareto
    from trine.hw.plots import plot_points
    from trine.hw.sources import Unit

    units = [
        Unit(e, b, c)
        for c in _numbers("--codes", codes)
        for e in _numbers("--engines", engines)
        for b in _numbers("--batches", batches)
    ]
    checked = [Unit(*_numbers("--check", text, "/", 3)) for text in check.split(",") if text]
    config = open_checkpoint(model).config
    names = ("explore.csv", "explore.png", "explore.svg")
    with result_folder(out, "explore", names, force=force) as folder:
        with Bar() as bar:
            points = explore(config, units, clock, bar)
            compositions = []
            for index, unit in enumerate(checked):
                bar("synthesise wholes", index, len(checked))
                compositions.append(compare(unit))
                bar("synthesise wholes", index + 1, len(checked))
        best = pareto(points)
        with writing(folder):
            _write_points(folder / "explore.csv", points, best)
            for name in names[1:]:
                plot_points(points, best, clock, folder / name)
    print("Pareto set on an XC7Z020 (areas composed, not placed; tokens/s predicted at an assumed")
    print(
        f"{clock:g} MHz, nominal memory, body and ternary head alone, `batch` sequences at once):"
    )
    print(f"headline unit, {evidence_text(Unit(), clock)}")
    print(f"{'engines':>8} {'batch':>6} {'code':>5} {'LUT':>7} {'BRAM36':>7} {'tok/s':>7}")
    for point in best:
        unit = point.unit
        print(
            f"{unit.engines:>8} {unit.batch:>6} {unit.code:>5} {point.lut:>7} "
            f"{point.bram36:>7g} {point.batched:>7.2f}"
        )
    for one in compositions:
        print(
            f"composition of {one.unit.engines} engine(s), batch {one.unit.batch}, code "
            f"{one.unit.code}: {one.composed} LUT, synthesised whole {one.whole} "
            f"({one.error:+.1f} %)"
        )
    print(f"wrote {', '.join(str(folder / name) for name in names)}")
    return 0


def _numbers(option: str, text: str, separator: str = ",", count: int = 0) -> list[int]:
    from trine.errors import UsageError

    parts = text.split(separator)
    if not all(part.strip().isdecimal() for part in parts) or (count and len(parts) != count):
        shape = "numbers like 4/1/3" if count else "numbers with commas"
        raise UsageError(f"{option} {text}: {shape} are legal")
    return [int(part) for part in parts]


def _write_points(path: Path, points: list[Point], best: list[Point]) -> None:
    rows = [
        {
            "engines": point.unit.engines,
            "batch": point.unit.batch,
            "code": point.unit.code,
            "beat_bits": point.unit.beat_bits,
            "lut": point.lut,
            "flip_flops": point.flip_flops,
            "bram36": point.bram36,
            "dsp": point.dsp,
            "beats_per_clock": f"{point.rate:.4f}",
            "decode_tok_s": f"{point.decode:.3f}",
            "batched_tok_s": f"{point.batched:.3f}",
            "fits": int(point.fits),
            "pareto": int(point in best),
        }
        for point in points
    ]
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def predict_command(
    model: ModelName = "synthetic:2b-4t",
    engines: Engines = 4,
    batch: Batch = 1,
    code: Code = 3,
    clock: Clock = 100.0,
    plots: Annotated[
        Path | None, typer.Option(help="folder for the plot of beats against FIFO depth")
    ] = None,
    json: Json = False,
) -> int:
    """Predict body and head of a token: clocks counted in RTL, every other term assumed."""
    from trine.checkpoint.open import open_checkpoint
    from trine.cli.output import writing
    from trine.cli.progress import Bar
    from trine.errors import UsageError
    from trine.hw.plots import plot_streams
    from trine.hw.predict import SHARES, predict
    from trine.hw.published import points
    from trine.hw.sources import Unit
    from trine.hw.traffic import PEAK_GBS, Streams

    if plots is not None and not plots.is_dir():
        raise UsageError(f"--plots {plots}: no such folder")
    with Bar(quiet=json) as bar:
        found = predict(open_checkpoint(model).config, Unit(engines, batch, code), clock, bar)
    published = points()
    cap = SHARES["nominal"] * PEAK_GBS
    stagger = {
        staggered: Streams(cap_gbs=cap, staggered=staggered).beats_per_clock()
        for staggered in (True, False)
    }
    if json:
        document = dataclasses.asdict(found) | {
            "milliseconds": dataclasses.asdict(found.milliseconds()),
            "published": [
                dataclasses.asdict(p) | {"residual_percent": p.residual} for p in published
            ],
            "beats_per_clock": {"staggered": stagger[True], "same_bank": stagger[False]},
        }
        print(json_module.dumps(document, indent=2))
    else:
        _print_prediction(model, found)
        print("memory model against published Zynq-7000 figures (nothing is fitted):")
        for point in published:
            print(
                f"  {point.what:51} {point.published:>6.0f} {point.model:>7.1f} {point.unit:9} "
                f"{point.residual:+6.1f} %  {point.source}"
            )
        print(
            f"four streams in the memory model: {stagger[True]:.3f} beats a clock with the bank "
            f"stagger, {stagger[False]:.3f} without"
        )
    if plots is not None:
        with writing(plots):
            for ending in ("png", "svg"):
                plot_streams(clock, cap, plots / f"fifo-depth.{ending}")
    return 0


def _print_prediction(model: str, found: Prediction) -> None:
    unit, total = found.unit, found.milliseconds()
    print(
        f"{model}: BitLinear body and ternary head of one weight pass ({unit.batch} token(s)), "
        f"{unit.engines} engine(s), code {unit.code}\n"
        f"predicted for {found.clock_mhz:g} MHz, not measured on a board\n"
        f"evidence for the clock: {found.evidence.sentence(found.clock_mhz)}\n"
        f"{'ms with memory at':>24}  60 %      75 %      80 % of 4.27 GB/s"
    )
    for term in found.terms:
        time = term.clocks.times(1e-3 / found.clock_mhz)
        print(
            f"  {term.operator:16} {time.low:9.3f} {time.nominal:9.3f} {time.high:9.3f}  "
            f"{term.kind}: {term.formula}"
        )
    print(f"  {'total':16} {total.low:9.3f} {total.nominal:9.3f} {total.high:9.3f}")
    rate = unit.batch * 1e3
    print(
        f"  at most tokens/s {rate / total.low:9.2f} {rate / total.nominal:9.2f} "
        f"{rate / total.high:9.2f}  no other operator is in it"
    )


def evidence_text(unit: Unit, clock: float) -> str:
    """What was measured for this unit before, or how to measure it: minutes, so not done here."""
    from trine.hw.predict import known_evidence

    evidence = known_evidence(unit)
    if evidence is None:
        return "no evidence for this clock yet: trine hw predict places the core on an ECP5"
    said = "evidence" if evidence.holds(clock) else "evidence against it"
    return f"{said}: {evidence.sentence(clock)}"
