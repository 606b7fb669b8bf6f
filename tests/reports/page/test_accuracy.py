"""The accuracy card: the figure with its interval, whose images it is of, and a mark where it says little."""

from __future__ import annotations

import html
import re

import pytest

from tests.support.reports.recorded import record_data
from vitreous.reports import summarize
from vitreous.reports.figures.interval import wilson
from vitreous.reports.page.page import render
from vitreous.reports.record.record import from_dict


def card(**accuracy: object) -> str:
    """The text of the first tile."""
    data = record_data()
    data["accuracy"] |= accuracy
    text = render(summarize(from_dict(data)))
    found = re.search(r'<div class="tiles">\s*(<div class="tile">.*?</div></div>)', text, re.DOTALL)
    assert found
    return html.unescape(re.sub(r"<[^>]+>", "", found[1])).replace("\u202f", " ")


def images(origin: str, source: str) -> dict[str, str]:
    return {"origin": origin, "source": source}


@pytest.mark.slow
def test_a_figure_has_its_interval_and_its_source() -> None:
    text = card()
    assert "75.00 %" in text
    assert "95 % interval 40.9 % to 92.9 %. Float 87.50 %; same class as float 87.5 %." in text
    assert "8 images: own.npz: 8 images. Calibrated on other.npz: 4 images." in text
    assert "say" not in text


@pytest.mark.alike(1)
@pytest.mark.parametrize(
    ("test", "calibration", "caution"),
    [
        (
            "synthetic",
            "synthetic",
            "Synthetic images: they say nothing about accuracy. Calibrated on synthetic images.",
        ),
        ("calibration", "given", "Calibration's own images: they flatter."),
        ("given", "synthetic", "Calibrated on synthetic images."),
    ],
)
def test_images_that_say_little_are_marked(test: str, calibration: str, caution: str) -> None:
    assert caution in card(test=images(test, "a"), calibration=images(calibration, "b"))


def test_without_labels_the_agreement_is_shown() -> None:
    text = card(correct_float=None, correct_int=None, reason="the test images have no labels")
    assert "Same class as float" in text
    assert "95 % interval 52.9 % to 97.8 %. No accuracy: the test images have no labels." in text


def test_wilsons_interval_by_hand() -> None:
    # Newcombe (1998), table I: 81 of 263 and 0 of 20.
    assert wilson(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson(0, 20) == pytest.approx((0, 0.1611), abs=5e-5)
    assert wilson(20, 20)[1] == 1
