"""`trine profile --backend fpga`: what the unit would take, predicted before the run."""

from __future__ import annotations

from trine.checkpoint import Checkpoint
from trine.profiling.prediction import FpgaPrediction

BACKEND = "fpga"
# The headline unit: four engines, base 3, one vector, 100 MHz.
CLOCK_MHZ = 100.0


def split_backend(text: str) -> tuple[str, bool]:
    """A --backend list without "fpga", and whether it was there; alone it goes with native."""
    words = [word.strip() for word in text.split(",")]
    others = [word for word in words if word != BACKEND]
    return ",".join(others) or "native", BACKEND in words


def predict_for(checkpoint: Checkpoint, *, quiet: bool) -> FpgaPrediction:
    """The prediction for this model's shapes by the headline unit (minutes at the first time)."""
    from trine.cli.progress import Bar
    from trine.hw.predict import predict
    from trine.hw.sources import Unit

    config = checkpoint.config
    unit = Unit(k_max=max(6912, config.hidden_size, config.intermediate_size))
    with Bar(quiet=quiet) as bar:
        return predict(config, unit, CLOCK_MHZ, bar).record()
