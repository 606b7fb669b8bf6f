"""Dividers of the clock generator, names in the RTLIL, pins."""

from __future__ import annotations

import pytest

from tests.support.hw.programs import relay_config
from vitreous.hw.board import rtlil
from vitreous.hw.board.rtlil import BoardError, plain_names
from vitreous.hw.board.ulx3s import INPUT_MHZ, ClockError, dividers


@pytest.mark.parametrize("clock", [10, 25, 48, 50, 60, 62, 75, 100, 200])
def test_dividers(clock: int) -> None:
    source, feedback, output = dividers(clock)
    assert INPUT_MHZ * feedback == clock * source
    assert 400 <= clock * output <= 800
    assert max(source, feedback, output) <= 128


@pytest.mark.parametrize("clock", [0, 9, 201])
def test_clocks_out_of_range(clock: int) -> None:
    with pytest.raises(ClockError, match=f"The clock must be in 10..200 MHz, not {clock}"):
        dividers(clock)


def test_plain_names() -> None:
    text = "wire width 2 \\x\n  connect \\x[0] \\y [3:0]\n  wire \\x[1]\n"
    assert plain_names(text) == "wire width 2 \\x\n  connect \\x.0 \\y [3:0]\n  wire \\x.1\n"
    with pytest.raises(BoardError, match="Two wires would have the name"):
        plain_names("wire \\x[0]\n wire \\x.0\n")


@pytest.mark.slow
def test_the_design_is_the_same_text_each_time_and_has_its_pins() -> None:
    texts = [rtlil.emit(relay_config(), memory_kib=4, clock_mhz=50) for _ in range(2)]
    assert texts[0] == texts[1]
    assert "cell \\EHXPLLL" in texts[0]
    for port in ("clk25", "rx", "tx", "led"):
        assert f"\\{port}\n" in texts[0]
    assert rtlil.constraints().count("LOCATE COMP") == 11
