"""`trine hw`: the ternary dot-product unit, simulated, fed, synthesised."""

from __future__ import annotations

import dataclasses
import json as json_module
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from trine.cli import hw_budget, hw_design
from trine.cli.hw_options import BeatBits, Code, Engines, Json

NAME = "hw"

app = typer.Typer(
    help="The BitLinear operator in hardware: simulate it, make its data, size it.",
    no_args_is_help=True,
)
app.command("synth")(hw_design.synth_command)
app.command("explore")(hw_design.explore_command)
app.command("predict")(hw_design.predict_command)
app.command("budget")(hw_budget.budget_command)

Model = Annotated[str, typer.Argument(help="model: synthetic:2b-4t, a directory, a hub id")]
LayerOption = Annotated[int, typer.Option(min=0, help="decoder layer")]
LinearOption = Annotated[str, typer.Option(help="q_proj, k_proj, v_proj, o_proj, gate_proj, ...")]
Tokens = Annotated[int, typer.Option(min=1, help="activation vectors (one a token)")]


@app.command("simulate")
def simulate_command(
    model: Model = "synthetic:2b-4t",
    layer: LayerOption = 0,
    linear: LinearOption = "q_proj",
    tokens: Tokens = 1,
    engines: Engines = 4,
    code: Code = 3,
    beat_bits: BeatBits = 64,
    timing: Annotated[str, typer.Option(help="memory: ideal, random (stalls) or ddr3")] = "ddr3",
    clock: Annotated[float, typer.Option(help="assumed clock in MHz")] = 100.0,
    cpu: Annotated[
        bool, typer.Option("--cpu/--no-cpu", help="time the native kernel on this machine too")
    ] = True,
    json: Json = False,
) -> int:
    """Run one BitLinear through the simulated RTL and compare every accumulator."""
    from trine.checkpoint.open import open_checkpoint
    from trine.errors import UsageError
    from trine.hw.simulate import memory_for, simulate
    from trine.hw.simulation import MemoryModel, Timing
    from trine.hw.sources import Unit
    from trine.hw.vectors import golden_vectors

    kinds = {kind.name.lower(): kind for kind in Timing}
    if timing not in kinds:
        raise UsageError(f"--timing {timing}: there are {', '.join(kinds)}")
    say = Console(stderr=True)
    say.print("trine: weights and activations from the reference", highlight=False)
    vectors = golden_vectors(open_checkpoint(model), layer, linear, tokens)
    columns = vectors.trits.shape[1]
    unit = Unit(engines, tokens, code, beat_bits, k_max=max(6912, columns))
    memory = MemoryModel(
        size=memory_for(vectors, unit),
        timing=kinds[timing],
        latency=30 if timing == "ddr3" else 0,
        cap_gbs=3.2 if timing == "ddr3" else 0.0,
        clock_khz=round(clock * 1000),
    )
    say.print("trine: simulating (the first run builds the simulator)", highlight=False)
    report = simulate(vectors, unit, memory)
    beside = None
    if cpu:
        from trine.hw.cpu import time_on_cpu
        from trine.profiling.machine import describe, usable_cores

        say.print("trine: the same product on this CPU", highlight=False)
        beside = time_on_cpu(vectors, usable_cores(describe()))
    if json:
        figures = dataclasses.asdict(report) | {
            "beats_per_clock": report.beats_per_clock,
            "predicted_microseconds": report.microseconds,
            "cpu": None if beside is None else dataclasses.asdict(beside),
        }
        print(json_module.dumps(figures, indent=2))
    else:
        rate = report.clocks / report.seconds / 1e3
        print(
            f"{report.operator}: {report.rows} x {report.columns}, {report.vectors} vector(s), "
            f"{engines} engine(s) of {unit.lanes} lanes\n"
            f"  accumulators differing from the reference: {report.differing} "
            f"of {report.accumulators} (L1, simulated)\n"
            f"  clocks: {report.clocks}, counted in RTL with {timing} memory (modelled)\n"
            f"  weight beats a clock inside the job: {report.beats_per_clock:.3f}\n"
            f"  predicted at an assumed {clock:g} MHz: {report.microseconds:.1f} us\n"
            f"    {hw_design.evidence_text(unit, clock)}\n"
            f"  simulated at {rate:.0f} k clocks a second"
        )
        if beside is not None:
            print(
                f"  measured on this CPU: {beside.microseconds:.1f} us ({beside.least:.1f} to "
                f"{beside.most:.1f}), kernel {beside.kernel}, {beside.threads} thread(s), base 3, "
                f"weights from memory\n"
                f"    its sums differing from the reference: {beside.differing}"
            )
    wrong = report.differing + report.faults + (beside.differing if beside is not None else 0)
    return 1 if wrong else 0


@app.command("image")
def image_command(
    out: Annotated[Path, typer.Option(help="file to write")],
    model: Model = "synthetic:2b-4t",
    layer: LayerOption = 0,
    linear: LinearOption = "q_proj",
    engines: Engines = 4,
    code: Code = 3,
    beat_bits: BeatBits = 64,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file")] = False,
) -> int:
    """Write the weight image of one BitLinear, as the unit's ports stream it."""
    from trine.checkpoint.config import LINEARS
    from trine.checkpoint.open import open_checkpoint
    from trine.checkpoint.tensors import layer_tensor
    from trine.errors import UsageError
    from trine.hw.sources import Unit
    from trine.ternary import unpack_hf
    from trine.ternary.tdpu import Layout, pack_tdpu

    _refuse_existing(out, force)
    checkpoint = open_checkpoint(model)
    if linear not in LINEARS or layer >= checkpoint.config.layers:
        raise UsageError(
            f"layer {layer} {linear}: {model} has layers 0 to {checkpoint.config.layers - 1} "
            f"of {', '.join(LINEARS)}"
        )
    unit = Unit(engines, 1, code, beat_bits)
    trits = unpack_hf(checkpoint.ternary(layer_tensor(layer, linear)).packed)
    rows, columns = trits.shape
    layout = Layout(rows, columns, unit.code, unit.engines, unit.beat_bytes)
    pack_tdpu(trits, layout).tofile(out)
    print(json_module.dumps(dataclasses.asdict(layout) | {"stride": layout.stride}))
    return 0


@app.command("vectors")
def vectors_command(
    out: Annotated[Path, typer.Option(help="file to write (.npz)")],
    model: Model = "synthetic:2b-4t",
    layer: LayerOption = 0,
    linear: LinearOption = "q_proj",
    tokens: Tokens = 1,
    force: Annotated[bool, typer.Option("--force", help="overwrite the file")] = False,
) -> int:
    """Write golden vectors: trits, the int8 codes that reach them, the int32 accumulators."""
    import numpy as np

    from trine.checkpoint.open import open_checkpoint
    from trine.hw.vectors import golden_vectors

    _refuse_existing(out, force)
    vectors = golden_vectors(open_checkpoint(model), layer, linear, tokens)
    with out.open("wb") as file:
        np.savez(
            file,
            trits=vectors.trits,
            activations=vectors.activations,
            accumulators=vectors.accumulators,
        )
    print(f"{out}: trits {vectors.trits.shape}, activations {vectors.activations.shape}")
    return 0


def _refuse_existing(path: Path, force: bool) -> None:
    from trine.errors import OutputExists, UsageError

    if path.exists() and not force:
        raise OutputExists(f"{path} exists; use --force to overwrite it, or another --out")
    if not path.parent.is_dir():
        raise UsageError(f"--out {path}: the folder {path.parent} does not exist")
