"""Counting and depth on hand-made netlists, in which every number can be seen."""

from __future__ import annotations

from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import netlist


def cell(
    kind: str, inputs: dict[str, list[Any]], outputs: dict[str, list[Any]], **parameters: int
) -> dict[str, Any]:
    return {
        "type": kind,
        "parameters": {name: format(value, "032b") for name, value in parameters.items()},
        "port_directions": {**dict.fromkeys(inputs, "input"), **dict.fromkeys(outputs, "output")},
        "connections": {**inputs, **outputs},
    }


def lut(a: int, o: int) -> dict[str, Any]:
    return cell("LUT2", {"I0": [a], "I1": ["1"]}, {"O": [o]})


def ff(d: int, q: int) -> dict[str, Any]:
    return cell("FDRE", {"D": [d], "C": [1], "CE": ["1"], "R": ["0"]}, {"Q": [q]})


def depth(*cells: dict[str, Any]) -> int:
    return netlist.depth({str(i): c for i, c in enumerate(cells)}, "xcup")


def test_a_register_cuts_a_path() -> None:
    assert depth(lut(2, 3), lut(3, 4), ff(4, 5), lut(5, 6)) == 2


def test_only_registers_have_depth_0() -> None:
    assert depth(ff(2, 3), ff(3, 4)) == 0


def test_the_longer_of_two_paths_counts() -> None:
    join = cell("LUT2", {"I0": [9], "I1": [4]}, {"O": [10]})
    assert depth(lut(2, 3), lut(3, 4), join, lut(2, 9)) == 3


def test_a_carry_chain_counts_once() -> None:
    chain = [
        cell("CARRY4", {"CI": [9 + i], "S": [20 + i], "DI": ["0"]}, {"CO": [10 + i], "O": [30 + i]})
        for i in range(5)
    ]
    assert depth(lut(2, 20), *chain) == 2
    assert depth(lut(2, 20), *chain, lut(34, 40)) == 3


def test_a_carry_in_from_logic_counts() -> None:
    assert (
        depth(lut(2, 9), cell("CARRY4", {"CI": [9], "S": ["0"], "DI": ["0"]}, {"CO": [10], "O": [11]})) == 2
    )


def test_slice_multiplexers_are_free() -> None:
    mux = cell("MUXF7", {"I0": [3], "I1": [4], "S": [5]}, {"O": [6]})
    assert depth(lut(2, 3), lut(2, 4), mux) == 1


@pytest.mark.parametrize(
    ("registers", "expected"),
    [
        ({}, 3),  # LUT, DSP, LUT
        ({"AREG": 1, "BREG": 1}, 2),  # from the operand registers: DSP, LUT
        ({"MREG": 1}, 2),
        ({"PREG": 1}, 2),  # LUT, DSP
        ({"MREG": 1, "PREG": 1}, 1),
    ],
)
def test_registers_of_a_dsp_cut_paths(registers: dict[str, int], expected: int) -> None:
    dsp = cell("DSP48E2", {"A": [3], "B": [3]}, {"P": [4]}, **registers)
    assert depth(lut(2, 3), dsp, lut(4, 5)) == expected


def test_distributed_memory_is_read_through_but_written_at_the_clock() -> None:
    memory = cell("RAM64X1D", {"D": [3], "WE": ["1"], "DPRA0": [2], "A0": [2]}, {"DPO": [4]})
    assert depth(lut(9, 2), memory) == 2
    assert depth(lut(9, 10), lut(10, 3), lut(8, 2), memory) == 2


def test_a_loop_is_refused() -> None:
    with pytest.raises(ReportError, match="The netlist has a combinational loop; its depth is undefined"):
        depth(lut(2, 3), lut(3, 2))


def test_an_unknown_cell_is_refused_and_never_free() -> None:
    with pytest.raises(ReportError, match="The netlist has cells of which xcup gives no size: PCIE40E4"):
        netlist.sizes({"PCIE40E4": 1, "LUT2": 3}, "xcup")


def test_columns() -> None:
    xcup = {
        "LUT2": 3,
        "INV": 1,
        "RAM64M": 2,
        "SRL16E": 5,
        "CARRY4": 2,
        "FDRE": 7,
        "FDSE": 1,
        "RAMB36E2": 3,
        "RAMB18E2": 1,
        "URAM288": 2,
    }
    assert netlist.sizes(xcup, "xcup") == {"lut": 17, "ff": 8, "dsp": 0, "bram": 7, "uram": 2, "carry": 8}
    ecp5 = {
        "LUT4": 10,
        "CCU2C": 4,
        "TRELLIS_DPR16X4": 1,
        "TRELLIS_FF": 2,
        "MULT18X18D": 3,
        "DP16KD": 1,
        "PFUMX": 9,
    }
    assert netlist.sizes(ecp5, "ecp5") == {"lut": 24, "ff": 2, "dsp": 3, "bram": 1, "uram": 0, "carry": 8}
    ice40 = {"SB_LUT4": 4, "SB_DFF": 1, "SB_DFFNESR": 1, "SB_CARRY": 3, "SB_MAC16": 2, "SB_RAM40_4KNR": 1}
    assert netlist.sizes(ice40, "ice40") == {"lut": 4, "ff": 2, "dsp": 2, "bram": 1, "uram": 0, "carry": 3}


def test_one_registered_operand_of_a_dsp_cuts_its_own_paths_only() -> None:
    """A product that goes back to its registered operand is not a loop; the other operand still begins a path."""
    product = cell("DSP48E2", {"A": [3], "B": [4]}, {"P": [5]}, AREG=1)
    assert depth(lut(2, 4), product, lut(5, 3)) == 3
    with pytest.raises(ReportError, match="combinational loop"):
        depth(lut(2, 3), product, lut(5, 4))
