"""Why attention's probabilities have the precision that they have, in sentences for the terminal and the page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import assert_never

from vitreous.reports.errors import ReportError
from vitreous.reports.record.attention import GainRecord, ProbabilityRecord
from vitreous.spec.graph.widths import WidthReason

_OF = "the squared error of an image's output"


@dataclass(frozen=True)
class Width:
    """Of one attention: its layer, its bits, and what 16 bits in it alone gain (``AttentionRecord.gain``)."""

    layer: str
    bits: int
    gain: GainRecord | None


def sentences(choice: ProbabilityRecord, widths: Sequence[Width]) -> list[str]:
    """How many attentions have which precision and why, then a sentence for each to which calibration gave 16 bits."""
    images = f"{choice.images} calibration image{'' if choice.images == 1 else 's'}"
    where = f"relative error of the network's output on {images}"
    errors = choice.errors
    match choice.reason:
        case WidthReason.GIVEN:
            return [f"{_counts(widths)}, as given; {where}: {errors.chosen:.3g}"]
        case WidthReason.ONLY:
            return [f"{_counts(widths)}, the machine has no other; {where}: {errors.chosen:.3g}"]
        case WidthReason.MEASURED:
            ends = f"{where}: {errors.narrow:.3g} with 8 bits everywhere, {errors.wide:.3g} with 16"
            if any(width.bits == 16 for width in widths):
                chosen = f"{_counts(widths)}; {ends}, {errors.chosen:.3g} as chosen"
                return [chosen, *(_reason(width) for width in widths if width.bits == 16)]
            assert choice.gain is not None
            everywhere = (
                f"16 bits everywhere take {_part(choice.gain)} off {_OF}; {_rule(choice, choice.gain)}"
            )
            return [f"{_counts(widths)}; {ends}", everywhere]
        case _:
            assert_never(choice.reason)


def _counts(widths: Sequence[Width]) -> str:
    """``8 bits in all 6 attentions`` or ``8 bits in 4 of 6 attentions, 16 in 2``."""
    counts = {bits: sum(width.bits == bits for width in widths) for bits in (8, 16)}
    for bits, count in counts.items():
        if count == len(widths):
            return f"{bits} bits in all {count} attentions" if count > 1 else f"{bits} bits in the attention"
    return f"8 bits in {counts[8]} of {len(widths)} attentions, 16 in {counts[16]}"


def _rule(choice: ProbabilityRecord, gain: GainRecord) -> str:
    """Why 16 bits were not chosen where they have this gain everywhere."""
    least = f"{100 * choice.margin:g} % with an interval above 0"
    if gain.part >= choice.margin and gain.interval is not None and gain.interval[0] > 0:
        return f"no attention contributes {least}"
    return f"chosen from {least} on"


def _reason(width: Width) -> str:
    if width.gain is None:
        raise ReportError(f"16 bits in {width.layer} were chosen by a gain that is not recorded")
    others = len(width.gain.attentions) - 1
    tried = f"with {others} other attention{'' if others == 1 else 's'}" if others else "alone"
    return f"16 bits in {width.layer}: {tried} they take {_part(width.gain)} off {_OF}"


def _part(gain: GainRecord) -> str:
    """``25.4 % (95 % interval 21.0 to 29.5 %)``."""
    part = f"{100 * gain.part:.1f} %"
    if gain.interval is None:
        return f"{part} (of one image, without an interval)"
    low, high = gain.interval
    least = f"{100 * low:.1f}" if low > -1 else "less than -100"
    return f"{part} (95 % interval {least} to {100 * high:.1f} %)"
