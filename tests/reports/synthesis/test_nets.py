"""Nets of a flat netlist: each bit once, with what drives it."""

from __future__ import annotations

from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.nets import Net, design, nets_of

RTLIL = r"""
module \top
  wire input 1 \clk
  wire width 2 input 2 \a
  wire width 3 output 3 \y
  wire width 3 \unit.$sum
  wire width 3 \kept
  cell $add \adder
    parameter \A_SIGNED 0
    parameter \B_SIGNED 0
    parameter \A_WIDTH 2
    parameter \B_WIDTH 2
    parameter \Y_WIDTH 3
    connect \A \a
    connect \B \a
    connect \Y \unit.$sum
  end
  cell $dff \register
    parameter \WIDTH 3
    parameter \CLK_POLARITY 1
    connect \CLK \clk
    connect \D \unit.$sum
    connect \Q \kept
  end
  connect \y \kept
end
"""


def module(**changes: Any) -> dict[str, Any]:
    """A gate and a register behind each other; bit 6 is driven and never read."""
    pins = {"A": "input", "Y": "output"}
    found: dict[str, Any] = {
        "ports": {
            "clk": {"direction": "input", "bits": [2]},
            "a": {"direction": "input", "bits": [3]},
            "y": {"direction": "output", "bits": [5, "0"]},
        },
        "cells": {
            "gate": {"type": "$not", "port_directions": pins, "connections": {"A": [3], "Y": [4]}},
            "spare": {"type": "$not", "port_directions": pins, "connections": {"A": [3], "Y": [6]}},
            "register": {
                "type": "$dff",
                "port_directions": {"CLK": "input", "D": "input", "Q": "output"},
                "connections": {"CLK": [2], "D": [4], "Q": [5]},
            },
        },
        "netnames": {
            "a": {"bits": [3]},
            "made": {"bits": [6, 4]},
            "y": {"bits": [5, "0"]},
            "z": {"bits": [5]},
        },
    }
    return found | changes


def test_a_net_is_a_bit_that_a_cell_drives_and_something_reads() -> None:
    assert nets_of(module()) == (Net("made", 1, False), Net("y", 0, True))
    assert [net.bit for net in nets_of(module())] == ["made[1]", "y[0]"]


def test_a_net_without_a_name_is_refused() -> None:
    with pytest.raises(ReportError, match="^Yosys gave net 4 no name$"):
        nets_of(module(netnames={"y": {"bits": [5]}}))


@pytest.mark.slow
def test_names_that_verilog_escapes_become_plain_ones() -> None:
    found = design(RTLIL, top="top")
    assert found.ports == {"clk": (1, False), "a": (2, False), "y": (3, True)}
    assert "\\" not in found.verilog
    assert {(net.name, net.register) for net in found.nets} == {("unit_sum", False), ("y", True)}
    assert sorted(net.bit for net in found.nets if net.register) == ["y[0]", "y[1]", "y[2]"]
    assert "unit_sum" in found.verilog
