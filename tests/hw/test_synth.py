"""Areas and delays from Yosys, kept by the hash of the sources."""

from __future__ import annotations

from pathlib import Path

import pytest

from requirements import require_package
from trine.hw import synth, yosys
from trine.hw.sources import Unit
from trine.hw.synth import Area, synthesise, synthesised

SMALL = Unit(engines=1, batch=1, code=2, beat_bits=32, k_max=64)


def test_luts_count_memory_and_shift_registers_and_nothing_else() -> None:
    cells = {"LUT1": 1, "LUT6": 10, "INV": 5, "MUXF7": 3, "RAM32M": 2, "SRL16E": 4, "FDRE": 7}
    cells |= {"RAMB36E1": 1, "RAMB18E1": 1, "CARRY4": 9}
    area = Area("tdpu_top", SMALL, cells, 3000)
    assert (area.lut, area.lut_memory, area.lut_shift) == (11 + 8 + 4, 8, 4)
    assert (area.inverters, area.wide_multiplexers) == (5, 3)
    assert (area.flip_flops, area.bram36, area.dsp) == (7, 1.5, 0)
    assert area.shares()["LUT"]["percent"] == pytest.approx(100 * 23 / 53_200)


def test_a_block_is_synthesised_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    require_package("pyosys")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert synthesised("tdpu_gemv", SMALL) is None
    area = synthesise("tdpu_gemv", SMALL)
    assert area.dsp == 0
    assert area.lut > 8 * 8  # eight lanes of eight bits
    # A LUT and a flip-flop alone take longer than 0.2 ns (cells_sim.v), the tree less than 10.
    assert area.logic_ps is not None and 200 < area.logic_ps < 10_000

    monkeypatch.setattr(synth, "run_yosys", lambda *_: pytest.fail("synthesised again"))
    assert synthesise("tdpu_gemv", SMALL) == area == synthesised("tdpu_gemv", SMALL)


def test_what_yosys_refuses_is_one_line() -> None:
    require_package("pyosys")
    with pytest.raises(yosys.ToolError, match=r"yosys failed: ERROR: .*no_such_command"):
        yosys.run_yosys(["no_such_command"])


def test_without_pyosys_the_install_command_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yosys.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(yosys.MissingExtra, match=r'pip install "trine\[hw\]"'):
        yosys.run_yosys(["help"])


@pytest.mark.hardware
@pytest.mark.parametrize(
    ("unit", "most"),
    [
        (Unit(1, 1, 2), 17.0),
        (Unit(1, 4, 2), 15.5),
        (Unit(1, 1, 3), 22.0),
        (Unit(1, 4, 3), 17.0),
        (Unit(1, 8, 3), 15.5),
    ],
    ids=str,
)
def test_luts_a_lane_and_vector(unit: Unit, most: float) -> None:
    values = unit.parameters("tdpu_gemv")
    assert synthesise("tdpu_engine", unit, values).lut_per_lane <= most


@pytest.mark.hardware
@pytest.mark.parametrize(("batch", "lut", "bram"), [(4, 35, 25), (8, 50, 40)])
def test_the_whole_fits_its_share_of_the_part(batch: int, lut: float, bram: float) -> None:
    shares = synthesise("tdpu_top", Unit(4, batch, 3)).shares()
    assert shares["LUT"]["percent"] <= lut
    assert shares["BRAM36"]["percent"] <= bram
    assert shares["DSP"]["used"] == 0
