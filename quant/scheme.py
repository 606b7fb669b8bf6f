"""The settings of a quantization, in one frozen object."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from vitreous.quant.errors import QuantError
from vitreous.spec.errors import near

OBSERVERS = ("output", "minmax", "percentile", "mse")


@dataclass(frozen=True, kw_only=True)
class QuantScheme:
    """How a float model becomes integer.

    weight_bits, activation_bits : 8; the other widths of the design are not built yet.
    observer : how an int8 activation's range comes from calibration: ``output`` (what disturbs the network's output
        least on the half of the images that it was not found on; weights and the shifts of norms' channels too),
        ``minmax``, ``percentile`` or ``mse`` (the range with the least squared error; weights too).
    percentile : percent of all values that the two-sided ``percentile`` range covers.
    symmetric_input, symmetric_activations : zero point 0 for the image, for outputs of GELU and ReLU. Layer norm
        outputs, q, k, v and attention's context always have zero point 0.
    probability_bits : of attention, 8 or 16 in every layer; None for 8, and 16 where the accelerator has them and
        the network's output gains from them (``calibrate.widths``).
    residual_headroom : the residual stream's int16 range over the largest value seen in calibration.

    Raises QuantError that names the field.
    """

    weight_bits: int = 8
    activation_bits: int = 8
    observer: str = "output"
    percentile: float = 99.99
    symmetric_input: bool = True
    symmetric_activations: bool = False
    probability_bits: int | None = None
    residual_headroom: float = 1.5

    def __post_init__(self) -> None:
        for name in ("weight_bits", "activation_bits"):
            if getattr(self, name) != 8:
                raise QuantError(f"{name} must be 8, not {getattr(self, name)!r}")
        if self.observer not in OBSERVERS:
            raise QuantError(
                f"observer must be one of {', '.join(OBSERVERS)}, not {self.observer!r}{near(self.observer, OBSERVERS)}"
            )
        if not 50 < self.percentile <= 100:
            raise QuantError(f"percentile must be above 50 and at most 100, not {self.percentile!r}")
        if self.probability_bits not in (None, 8, 16):
            raise QuantError(f"probability_bits must be 8, 16 or None, not {self.probability_bits!r}")
        if not 1 <= self.residual_headroom <= 16:
            raise QuantError(f"residual_headroom must be in 1..16, not {self.residual_headroom!r}")

    def as_dict(self) -> dict[str, Any]:
        """All fields, for a graph's notes."""
        return dataclasses.asdict(self)
