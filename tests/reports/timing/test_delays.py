"""Tables of delays: every value has a source, and the parts of a DSP block add up to what is published."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.timing.delays import FOLDER, Section, load_delays, named_delays


@pytest.mark.parametrize("name", named_delays())
def test_every_section_of_every_target_names_its_source(name: str) -> None:
    delays = load_delays(name)
    sections = [getattr(delays, field.name) for field in fields(delays)]
    assert sum(isinstance(section, Section) for section in sections) >= 8
    for section in sections:
        if isinstance(section, Section):
            assert delays.sources[section.source]
    assert delays.factor.source
    assert list(delays.lut.pins) == sorted(delays.lut.pins, reverse=True)


def test_the_parts_of_dsp48e1_add_up_to_what_is_published() -> None:
    d = load_delays("xc7-1").dsp
    to_p = d.m_to_alu + d.alu_to_p
    assert d.operand + d.operand_to_m + to_p == 2823  # A to P
    assert d.clock_to_q["operand"] + d.operand_to_m + to_p == 2952
    assert d.clock_to_q["M"] + to_p == 1671
    assert d.clock_to_q["C"] + d.c_to_alu + d.alu_to_p == 1687
    assert d.operand + d.operand_to_m + d.setup["M"] == 1416
    assert d.pcin_to_alu + d.alu_to_p == 1107
    assert d.pcin_to_alu + d.alu_to_pcout == 1255
    assert d.pcin_to_alu + d.setup["P"] == 1025
    assert d.operand + d.ab_to_alu + d.alu_to_p == 1523  # without a product


def test_the_parts_of_mult18x18d_add_up_to_what_nextpnr_says() -> None:
    d = load_delays("ecp5").dsp
    assert d.operand + d.operand_to_m + d.m_to_alu + d.alu_to_p == 3927
    assert d.clock_to_q["operand"] + d.operand_to_m + d.m_to_alu + d.alu_to_p == 3864
    assert d.operand + d.operand_to_m + d.setup["P"] == 3486


def test_a_table_may_be_another_one_scaled() -> None:
    whole, scaled = load_delays("xc7-1"), load_delays("xc7-2")
    assert scaled.lut.pins == pytest.approx([0.66 * ps for ps in whole.lut.pins], abs=0.1)
    assert scaled.dsp.setup["M"] == pytest.approx(0.66 * whole.dsp.setup["M"], abs=0.1)
    assert scaled.family == "xc7"
    assert scaled.digest != whole.digest
    assert "times 0.66" in scaled.sources["prjxray"]


def test_an_unknown_target_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(
        ReportError, match=r"no delays of 'xcup-1'; there are ecp5, xc7-1, xc7-2, xcup-2; did you mean"
    ):
        load_delays("xcup-1")


@pytest.mark.parametrize(
    ("before", "after", "sentence"),
    [
        ("base = 140\n", "", r"net lacks base"),
        ("base = 140\n", "base = 140\nmystery = 1\n", r"net has unknown entries: mystery"),
        (
            'source = "routed"',
            'source = "hearsay"',
            r"net\.source names 'hearsay', which sources does not have",
        ),
        ('how = "modelled"', 'how = "guessed"', r"how"),
        ("D = 25, CE", "CE", r"register\.setup must have exactly CE, D, R, S"),
        ("low = 0.49", "low = 0.9", r"factor must be positive and rise from low over typical to high"),
        (
            "vitreous.delays/1",
            "vitreous.delays/9",
            r"format 'vitreous.delays/9'; expected 'vitreous.delays/1'",
        ),
    ],
)
def test_a_wrong_table_is_refused_with_its_entry(
    tmp_path: Path, before: str, after: str, sentence: str
) -> None:
    text = (FOLDER / "xcup-2.toml").read_text()
    assert before in text
    (tmp_path / "mine.toml").write_text(text.replace(before, after, 1))
    with pytest.raises(ReportError, match=sentence):
        load_delays("mine", tmp_path)
