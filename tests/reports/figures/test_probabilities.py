"""Why probabilities have their precision, in words: by reason, number of attentions and what was measured."""

from __future__ import annotations

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.figures.probabilities import Width, sentences
from vitreous.reports.record.attention import ErrorRecord, GainRecord, ProbabilityRecord
from vitreous.spec.graph.widths import WidthReason

SURE = GainRecord(attentions=("b",), part=0.254, interval=(0.21, 0.295))
NARROW, WIDE = (
    Width("a", 8, GainRecord(attentions=("b",), part=0.01, interval=(-0.2, 0.2))),
    Width("b", 16, SURE),
)
WHERE = "relative error of the network's output on 8 calibration images"
ENDS = f"{WHERE}: 0.0233 with 8 bits everywhere, 0.0195 with 16"


def choice(
    reason: WidthReason, gain: GainRecord | None = SURE, wide: float | None = 0.0195, images: int = 8
) -> ProbabilityRecord:
    errors = ErrorRecord(narrow=0.0233, wide=wide, chosen=0.0201)
    return ProbabilityRecord(reason=reason, images=images, margin=0.1, errors=errors, gain=gain)


def test_a_layer_with_16_bits_has_its_figure() -> None:
    assert sentences(choice(WidthReason.MEASURED), [NARROW, WIDE, NARROW]) == [
        f"8 bits in 2 of 3 attentions, 16 in 1; {ENDS}, 0.0201 as chosen",
        "16 bits in b: alone they take 25.4 % (95 % interval 21.0 to 29.5 %) off the squared error of an image's "
        "output",
    ]


def test_attentions_that_were_tried_together() -> None:
    together = GainRecord(attentions=("a", "b"), part=0.254, interval=(0.21, 0.295))
    first, *others = sentences(
        choice(WidthReason.MEASURED), [Width("a", 16, together), Width("b", 16, together)]
    )
    assert first.startswith("16 bits in all 2 attentions; ")
    assert [other.partition(" (")[0] for other in others] == [
        "16 bits in a: with 1 other attention they take 25.4 %",
        "16 bits in b: with 1 other attention they take 25.4 %",
    ]


def test_16_bits_without_a_figure_are_an_error() -> None:
    with pytest.raises(ReportError, match="16 bits in a were chosen by a gain that is not recorded"):
        sentences(choice(WidthReason.MEASURED), [Width("a", 16, None)])


def test_a_gain_to_which_none_contributes_enough() -> None:
    assert sentences(choice(WidthReason.MEASURED), [NARROW, NARROW])[1].endswith(
        "25.4 % (95 % interval 21.0 to 29.5 %) off the squared error of an image's output; no attention contributes "
        "10 % with an interval above 0"
    )


@pytest.mark.parametrize(
    ("gain", "words"),
    [
        (
            GainRecord(attentions=("b",), part=0.2, interval=(-0.015, 0.4)),
            "20.0 % (95 % interval -1.5 to 40.0 %)",
        ),
        (
            GainRecord(attentions=("b",), part=0.2, interval=(-300.0, 0.4)),
            "20.0 % (95 % interval less than -100 to 40.0 %)",
        ),
        (
            GainRecord(attentions=("b",), part=0.2, interval=None),
            "20.0 % (of one image, without an interval)",
        ),
    ],
)
def test_nothing_gained(gain: GainRecord, words: str) -> None:
    assert sentences(choice(WidthReason.MEASURED, gain), [NARROW, NARROW]) == [
        f"8 bits in all 2 attentions; {ENDS}",
        f"16 bits everywhere take {words} off the squared error of an image's output; chosen from 10 % with an "
        "interval above 0 on",
    ]


@pytest.mark.parametrize(
    ("reason", "why"), [(WidthReason.GIVEN, "as given"), (WidthReason.ONLY, "the machine has no other")]
)
def test_nothing_to_choose(reason: WidthReason, why: str) -> None:
    (sentence,) = sentences(choice(reason, gain=None, wide=None, images=1), [NARROW])
    where = WHERE.replace("8 calibration images", "1 calibration image")
    assert sentence == f"8 bits in the attention, {why}; {where}: 0.0201"


def test_a_measured_choice_has_its_figures() -> None:
    for gain, wide in ((None, 0.01), (SURE, None)):
        with pytest.raises(ReportError, match="A measured precision of probabilities needs errors"):
            choice(WidthReason.MEASURED, gain, wide)
