"""`trine profile --backend fpga`: the unit's predicted times beside the CPU's measured ones."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from trine.checkpoint import Checkpoint
from trine.profiling.analysis import stage_table
from trine.profiling.profile import STAGES, Profile, Stage

if TYPE_CHECKING:
    from trine.hw.predict import Prediction, Range

FILE = "fpga_prediction.csv"
COLUMNS = (
    "Stage",
    "CPU Backend",
    "Operator",
    "Measured CPU (ms)",
    "Predicted FPGA Low (ms)",
    "Predicted FPGA Nominal (ms)",
    "Predicted FPGA High (ms)",
    "Clock (MHz)",
)
BACKEND = "fpga"
# The headline unit: four engines, base 3, one vector, 100 MHz.
CLOCK_MHZ = 100.0


@dataclass(frozen=True, slots=True)
class Row:
    """One operator of a pass: the CPU's median, and the unit's prediction, both in ms a pass."""

    stage: Stage
    backend: str
    operator: str
    measured_ms: float
    predicted_ms: Range


def split_backend(text: str) -> tuple[str, bool]:
    """A --backend list without "fpga", and whether it was there; alone it goes with native."""
    words = [word.strip() for word in text.split(",")]
    others = [word for word in words if word != BACKEND]
    return ",".join(others) or "native", BACKEND in words


def predict_for(checkpoint: Checkpoint, *, quiet: bool) -> Prediction:
    """The prediction for this model's shapes by the headline unit (minutes at the first time)."""
    from trine.cli.progress import Bar
    from trine.hw.predict import predict
    from trine.hw.sources import Unit

    config = checkpoint.config
    unit = Unit(k_max=max(6912, config.hidden_size, config.intermediate_size))
    with Bar(quiet=quiet) as bar:
        return predict(config, unit, CLOCK_MHZ, bar)


def rows(profile: Profile, prediction: Prediction) -> list[Row]:
    """Every operator that the unit would run, in all stages and backends that were measured."""
    from trine.profiling.native_steps import REPLACES

    found = []
    for part in (profile, *([profile.native] if profile.native is not None else [])):
        for stage in STAGES:
            table = stage_table(part, stage)
            for row in table.rows if table is not None else []:
                names = REPLACES.get(row.operator, (row.operator,))
                # The head scores the last token of a prompt only.
                tokens = 1 if stage == "decode" or "lm_head" in names else len(part.run.tokens)
                each = [prediction.microseconds(name, tokens) for name in names]
                times = [time for time in each if time is not None]
                if not times:
                    continue
                total = times[0]
                for time in times[1:]:
                    total = total + time
                found.append(
                    Row(
                        stage,
                        part.run.backend,
                        row.operator,
                        row.time_ms.median,
                        total.times(row.calls / 1e3),
                    )
                )
    return found


def write_rows(found: list[Row], prediction: Prediction, folder: Path) -> None:
    """The CSV beside the profile's other files."""
    with (folder / FILE).open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for row in found:
            times = row.predicted_ms
            cells = (row.stage, row.backend, row.operator, row.measured_ms)
            writer.writerow([*cells, times.low, times.nominal, times.high, prediction.clock_mhz])


def show_rows(found: list[Row], prediction: Prediction) -> None:
    """The same for people."""
    print(
        f"\nTDPU on a Zynq-7020, PREDICTED, not measured: RTL clocks with modelled memory at "
        f"{prediction.clock_mhz:g} MHz\n(evidence: "
        f"{prediction.evidence.sentence(prediction.clock_mhz)})\n"
        f"BitLinear products and a ternary head alone; memory at 60, 75, 80 % of its peak\n"
        f"{'stage':8} {'CPU':7} {'operator':14} {'CPU ms':>9} {'60 %':>9} {'75 %':>9} {'80 %':>9}"
    )
    for row in found:
        times = row.predicted_ms
        print(
            f"{row.stage:8} {row.backend:7} {row.operator:14} {row.measured_ms:9.3f} "
            f"{times.low:9.3f} {times.nominal:9.3f} {times.high:9.3f}"
        )
