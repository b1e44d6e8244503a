"""`tdpu_gemv`, one engine on plain streams, in a batch simulator of its own."""

from __future__ import annotations

import ctypes

import numpy as np
from numpy.typing import NDArray

from trine.hw.build import library
from trine.hw.driver import Result
from trine.hw.sources import Unit, files
from trine.kernels.reference import Codes
from trine.ternary.tdpu import Layout, pack_tdpu


def run_gemv(unit: Unit, trits: NDArray[np.int8], codes: Codes) -> Result:
    """Accumulators int32 [vectors, rows] of trits int8 [rows, K] and codes int8 [vectors, K].

    As many vectors as the unit's batch. Both streams offer a beat in each clock, so the clocks are
    those of the unit. Builds if needed.
    """
    rows, columns = trits.shape
    layout = Layout(rows, columns, unit.code, engines=1, beat_bytes=unit.beat_bytes)
    image = pack_tdpu(trits, layout)
    padded = np.zeros((unit.batch, layout.words * unit.lanes), np.int8)
    padded[:, :columns] = codes
    # Vector 0 is lowest in a word.
    words = np.ascontiguousarray(
        padded.reshape(unit.batch, layout.words, unit.lanes).transpose(1, 0, 2)
    )
    results = np.zeros((rows, unit.batch), np.int32)
    parameters = unit.parameters("tdpu_gemv")
    simulator = ctypes.CDLL(str(library(unit, files("tdpu_gemv"), parameters, top="tdpu_gemv")))
    simulator.tdpu_gemv_run.restype = ctypes.c_uint64
    clocks = simulator.tdpu_gemv_run(
        image.ctypes.data_as(ctypes.c_void_p),
        words.ctypes.data_as(ctypes.c_void_p),
        *(ctypes.c_uint32(n) for n in (rows, layout.words, unit.batch * unit.lanes, unit.batch)),
        results.ctypes.data_as(ctypes.c_void_p),
    )
    return Result(results.T.copy(), int(clocks))
