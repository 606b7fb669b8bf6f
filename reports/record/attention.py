"""What a record holds of the precision of attention's probabilities: the choice, and each attention's figures."""

from __future__ import annotations

from dataclasses import dataclass

from vitreous.reports.errors import ReportError
from vitreous.spec.graph.widths import WidthReason


@dataclass(frozen=True, kw_only=True)
class WidthRecord:
    """Probabilities of one precision in one attention.

    cycles : of the array for probabilities times values of one image, without waiting.
    error : the largest of a probability, against the float network; rounding : against the exact softmax of the
    integer graph's own scores; mass, worst : root mean square and largest of ``|1 - sum|`` of a row. All on calibration
    images, None where the graph does not say.
    """

    bits: int
    cycles: int
    error: float | None
    rounding: float | None
    mass: float | None
    worst: float | None


@dataclass(frozen=True, kw_only=True)
class GainRecord:
    """The part of the squared error of the network's output that a precision takes away: geometric mean over the
    calibration images, and its 95 % interval over them (Student); None for a single image.

    attentions : names of those that had 16 bits, while all others had 8.
    """

    attentions: tuple[str, ...]
    part: float
    interval: tuple[float, float] | None


@dataclass(frozen=True, kw_only=True)
class AttentionRecord:
    """One attention: its size, the precision of its probabilities, and what each precision would cost and give.

    gain : of 16 bits in this attention over 8 bits everywhere, alone or with others that were tried together; None
    where that was not measured.
    """

    name: str
    layer: str
    heads: int
    queries: int
    keys: int
    probability_bits: int
    gain: GainRecord | None
    widths: tuple[WidthRecord, ...]

    def __post_init__(self) -> None:
        if self.probability_bits not in [width.bits for width in self.widths]:
            raise ReportError(f"Attention {self.name}: nothing is recorded for {self.probability_bits} bits")


@dataclass(frozen=True, kw_only=True)
class ErrorRecord:
    """Relative errors of the network's output by the precision of probabilities: 8 bits everywhere, 16 everywhere, and
    as it was chosen. None where that was not run."""

    narrow: float | None
    wide: float | None
    chosen: float


@dataclass(frozen=True, kw_only=True)
class ProbabilityRecord:
    """Why the attentions have the precision that they have.

    images : of calibration, on which errors were measured. gain : of 16 bits everywhere over 8 everywhere; None where
    that was not measured. margin : the part from which on a gain counts, if its interval lies above 0.
    """

    reason: WidthReason
    images: int
    margin: float
    errors: ErrorRecord
    gain: GainRecord | None

    def __post_init__(self) -> None:
        if self.reason is WidthReason.MEASURED and None in (self.errors.narrow, self.errors.wide, self.gain):
            raise ReportError(
                "A measured precision of probabilities needs errors of 8 and of 16 bits, and the gain"
            )
