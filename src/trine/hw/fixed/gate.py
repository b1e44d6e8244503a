"""ReLU2 gating on accumulators: max(gate, 0)^2 * up, exact, then one rounding.

Gate and up rows are interleaved, so both accumulators of an element leave the engine together.
Their scales are the same for the whole vector: they stay out of the elements and become their
unit, which the sub-norm cancels (trine.hw.fixed.norm), eps aside.
"""

from __future__ import annotations

import numpy as np

from trine.hw.fixed.contract import Contract
from trine.hw.fixed.integer import Ints
from trine.hw.fixed.norm import Elements, to_elements
from trine.hw.fixed.scalar import Scalar


def gated(
    gate: Ints, up: Ints, gate_scale: Scalar, up_scale: Scalar, contract: Contract
) -> Elements:
    """Elements of relu2(gate) * up for accumulators [T, F] and scales [T, 1].

    |accumulator| <= 2^20 (K up to 8,256 at codes of 127): the product stays below 2^60.
    """
    if max(int(np.abs(gate).max()), int(np.abs(up).max())) > 1 << 20:
        raise ValueError("gate and up accumulators beyond 2^20: their product would not fit")
    product = np.square(np.maximum(gate, 0)) * up
    mantissa, exponent = to_elements(product, contract.element_bits)
    return Elements(mantissa, exponent, gate_scale * gate_scale * up_scale)
