"""What the fixed ranges of the machine cut off, counted over the calibration images.

Formats that calibration chooses (int8 tensors, the stream, the logits) are made to fit; what they cut off all the same
is counted in ``quality``. Two cannot be made to: the input of a smooth activation ends at 32 (Q6.10), attention scores
end at ``SCORE.maximum / 2**fraction_bits`` octaves.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from vitreous.quant.importer import float_ir as ir
from vitreous.spec.numbers import ACTIVATION_INPUT, SCORE

WARNED_SHARE = 1e-4
"""From this share of saturated values on a warning names the tensor."""
_EXPONENTS = range(24)
"""Scores are counted beyond each power of two, so that any number of fraction bits can be asked for later."""
_RELEVANT = 16.0
"""Octaves below a row's largest score within which a score has a probability that int8 can tell from 0."""


@dataclass(eq=False)
class Saturation:
    """Counts by serial: ``rows`` of scores and those with a relevant score beyond ``2**k``; activations beyond 32."""

    rows: dict[int, int] = field(default_factory=dict)
    beyond: dict[int, Tensor] = field(default_factory=dict)
    largest: dict[int, float] = field(default_factory=dict)
    inputs: set[int] = field(default_factory=set)
    values: dict[int, tuple[int, int]] = field(default_factory=dict)

    @classmethod
    def of(cls, encoder: ir.Encoder) -> Saturation:
        """Empty counts for ``encoder``."""
        smooth = {a.input.serial for a in encoder.each(ir.Activation) if a.function != "relu"}
        return cls(inputs=smooth)

    def see(self, source: ir.Source, value: Tensor) -> None:
        """Count a source's ``value [n, tokens, width]``."""
        if source.serial not in self.inputs:
            return
        limit = ACTIVATION_INPUT.maximum / 2.0**ACTIVATION_INPUT.fraction
        size = value.abs()
        saturated, count = self.values.get(source.serial, (0, 0))
        self.values[source.serial] = saturated + int((size > limit).sum()), count + value.numel()
        self.largest[source.serial] = max(self.largest.get(source.serial, 0.0), float(size.max()))

    def see_scores(self, source: ir.Attention, scores: Tensor) -> None:
        """Count the rows of ``scores [n, heads, T, T]``, in octaves."""
        top = scores.amax(-1)
        # Relevant scores lie between the largest of the row and _RELEVANT below it.
        size = torch.maximum(top, _RELEVANT - top)
        known = self.beyond.get(source.serial, torch.zeros(len(_EXPONENTS), dtype=torch.float64))
        counts = torch.tensor([float((size > 2.0**k).sum()) for k in _EXPONENTS], dtype=torch.float64)
        self.beyond[source.serial] = known + counts
        self.rows[source.serial] = self.rows.get(source.serial, 0) + top.numel()
        self.largest[source.serial] = max(self.largest.get(source.serial, 0.0), float(scores.abs().max()))

    def scores_share(self, source: ir.Attention, fraction_bits: int) -> float:
        """The share of rows in which a relevant score is beyond the format."""
        exponent = math.ceil(math.log2(SCORE.maximum)) - fraction_bits
        return float(self.beyond[source.serial][exponent]) / self.rows[source.serial]

    def input_share(self, source: ir.Activation) -> float:
        """The share of an activation's inputs beyond Q6.10."""
        saturated, count = self.values[source.input.serial]
        return saturated / count
