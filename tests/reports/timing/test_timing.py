"""Static timing analysis on netlists of a few cells: every period is added up by hand from the table of the target."""

from __future__ import annotations

import math
import time
from typing import Any

import pytest

from tests.support.reports.cells import cell, ff, lut, module
from vitreous.reports.errors import ReportError
from vitreous.reports.timing.budget import BUDGETS_MHZ
from vitreous.reports.timing.delays import load_delays, named_delays
from vitreous.reports.timing.result import Timing
from vitreous.reports.timing.timing import timing

UP = load_delays("xcup-2")
REGISTER = UP.register.clock_to_q + UP.register.setup["D"]


def net(fanout: int = 1) -> float:
    return UP.net.base + UP.net.per_octave * math.log2(fanout)


def found(*cells: dict[str, Any], target: str = "xcup-2", **more: Any) -> Timing:
    return timing(module(*cells, **more), load_delays(target))


def model_ps(*cells: dict[str, Any], target: str = "xcup-2") -> float:
    return 1000 * found(*cells, target=target).model_ns


def test_a_path_is_clock_to_output_wires_luts_and_set_up() -> None:
    period = REGISTER + net() + UP.lut.pins[-2] + net() + UP.lut.pins[-1] + net()
    assert model_ps(ff("0", 2), lut(2, "0", o=3), lut("0", 3, o=4), ff(4, 5)) == pytest.approx(period, abs=1)


def test_the_clock_is_the_period_of_the_worst_path_with_the_typical_factor_and_its_range() -> None:
    result = found(ff("0", 2), lut(2, "0", o=3), ff(3, 4), ff(4, 5))
    period = REGISTER + net() + UP.lut.pins[-2] + net()
    assert result.clock_mhz == pytest.approx(1e6 / period / UP.factor.typical, abs=0.1)
    assert result.low == pytest.approx(1e6 / period / UP.factor.high, abs=0.1)
    assert result.high == pytest.approx(1e6 / period / UP.factor.low, abs=0.1)
    assert (result.endpoints, result.cells) == (2, 4)


def test_a_net_with_many_sinks_is_slower() -> None:
    sinks = [lut(2, "0", o=10 + i) for i in range(8)]
    result = found(ff("0", 2), *sinks, *(ff(10 + i, 30 + i) for i in range(8)))
    assert 1000 * result.model_ns == pytest.approx(REGISTER + net(8) + UP.lut.pins[-2] + net(), abs=1)
    assert result.paths[0].fanout == 8


def test_a_clock_enable_is_an_end_point() -> None:
    result = found(ff("0", 2), lut(2, "0", o=3), ff("0", 5, enable=3))
    assert result.paths[0].pin == "CE"


def test_a_carry_chain_is_entered_once_and_passed_without_wires() -> None:
    chain = [
        cell(
            "CARRY4",
            {"CI": [10 + i], "S": ["0"] * 4, "DI": ["0"] * 4},
            {"CO": [90, 91, 92, 11 + i], "O": [93]},
        )
        for i in range(3)
    ]
    first = cell(
        "CARRY4", {"CI": ["0"], "S": [2, "0", "0", "0"], "DI": ["0"] * 4}, {"CO": [80, 81, 82, 10], "O": [83]}
    )
    last = cell("CARRY4", {"CI": [13], "S": ["0"] * 4, "DI": ["0"] * 4}, {"CO": [95], "O": [50, 51, 52, 53]})
    carry = UP.carry
    assert carry.s_co[0][3] == 186
    result = found(ff("0", 2), first, *chain, last, ff(53, 60))
    # The LUT in front of S is of the same slice, so there is no wire to it.
    period = REGISTER + carry.s_co[0][3] + 3 * carry.chain + carry.ci_o[3] + net()
    assert 1000 * result.model_ns == pytest.approx(period, abs=1)
    assert result.paths[0].levels == 1


def test_a_wide_multiplexer_takes_its_data_inside_the_slice() -> None:
    mux = cell("MUXF7", {"I0": [3], "I1": ["0"], "S": ["0"]}, {"O": [4]})
    period = REGISTER + net() + UP.lut.pins[-2] + UP.mux.data + net()
    assert model_ps(ff("0", 2), lut(2, "0", o=3), mux, ff(4, 5)) == pytest.approx(period, abs=1)


def test_a_distributed_memory_reads_at_once_and_is_written_by_the_clock() -> None:
    memory = cell(
        "RAM32X1D",
        {"D": [2], "WE": ["1"], "WCLK": [1], "A0": [3], "DPRA0": [4]},
        {"DPO": [5]},
    )
    names = {"*data": [2], "*write": [3], "*read": [4], "*out": [6]}
    result = found(ff("0", 2), ff("0", 3), ff("0", 4), memory, ff(5, 6), names=names)
    needed = {(path.end, path.pin): 1000 * path.model_ns for path in result.paths}
    write = UP.register.clock_to_q + net() + UP.distributed.setup["address"]
    assert needed["cell3", "A0"] == pytest.approx(write, abs=1)
    slowest = (
        max(UP.register.clock_to_q + net() + UP.lut.pins[0], UP.distributed.clock_to_q)
        + net()
        + UP.register.setup["D"]
    )
    assert needed["out", "D"] == pytest.approx(slowest, abs=1)


@pytest.mark.parametrize("registered", [False, True])
def test_a_block_memory_is_late_without_its_output_register(registered: bool) -> None:
    memory = cell(
        "RAMB36E2", {"CLKBWRCLK": [1], "ADDRBWRADDR": [2]}, {"DOUTBDOUT": [3]}, DOB_REG=int(registered)
    )
    output = UP.block.clock_to_q_registered if registered else UP.block.clock_to_q
    period = max(
        output + net() + UP.net.block + UP.register.setup["D"],
        UP.register.clock_to_q + net() + UP.net.block + UP.block.setup["address"],
    )
    assert model_ps(ff("0", 2), memory, ff(3, 4)) == pytest.approx(period, abs=1)


def dsp(a: Any, p: int, pcin: Any = "0", pcout: int = 99, **registers: int) -> dict[str, Any]:
    return cell(
        "DSP48E2",
        {"A": [a], "B": ["0"], "C": ["0"], "PCIN": [pcin], "CLK": [1]},
        {"P": [p], "PCOUT": [pcout]},
        USE_MULT="MULTIPLY",
        AMULTSEL="A",
        **registers,
    )


def test_the_registers_of_a_dsp_block_cut_its_paths() -> None:
    d, wire = UP.dsp, net() + UP.net.block
    out = wire + UP.register.setup["D"]
    product, result = d.operand_to_m, d.m_to_alu + d.alu_to_p
    open_ = UP.register.clock_to_q + wire + d.operand + product + result + out
    assert model_ps(ff("0", 2), dsp(2, 3), ff(3, 4)) == pytest.approx(open_, abs=1)
    operand = d.clock_to_q["operand"] + product + result + out
    assert model_ps(ff("0", 2), dsp(2, 3, AREG=1), ff(3, 4)) == pytest.approx(operand, abs=1)
    middle = max(d.clock_to_q["operand"] + product + d.setup["M"], d.clock_to_q["M"] + result + out)
    assert model_ps(ff("0", 2), dsp(2, 3, AREG=1, MREG=1), ff(3, 4)) == pytest.approx(middle, abs=1)
    registered = dsp(2, 3, AREG=1, MREG=1, PREG=1)
    inside = max(
        d.clock_to_q["operand"] + product + d.setup["M"],
        d.clock_to_q["M"] + d.m_to_alu + d.setup["P"],
        UP.register.clock_to_q + wire + d.setup["operand"],
        d.clock_to_q["P"] + out,
    )
    assert model_ps(ff("0", 2), registered, ff(3, 4)) == pytest.approx(inside, abs=1)


def test_a_cascade_of_dsp_blocks_is_hard_whatever_the_factor() -> None:
    d = UP.dsp
    chain = [dsp("0", 90, pcin=10, pcout=11), dsp("0", 91, pcin=11, pcout=12, PREG=1)]
    first = dsp(2, 92, pcout=10, AREG=1, MREG=1)
    result = found(ff("0", 2), first, *chain)
    period = (
        d.clock_to_q["M"]
        + d.m_to_alu
        + d.alu_to_pcout
        + d.pcin_to_alu
        + d.alu_to_pcout
        + d.pcin_to_alu
        + 2 * d.cascade
        + d.setup["P"]
    )
    assert 1000 * result.model_ns == pytest.approx(period, abs=1)
    assert result.clock_mhz == result.low == result.high == pytest.approx(1e6 / period, abs=0.1)


def test_a_block_without_a_product_adds_at_once() -> None:
    adds = cell("DSP48E2", {"A": [2], "CLK": [1]}, {"P": [3]}, USE_MULT="NONE")
    d, wire = UP.dsp, net() + UP.net.block
    period = REGISTER + wire + d.operand + d.ab_to_alu + d.alu_to_p + wire
    assert model_ps(ff("0", 2), adds, ff(3, 4)) == pytest.approx(period, abs=1)


def test_constants_and_what_they_drive_begin_no_path() -> None:
    result = found(ff("0", 2), lut("1", "0", o=7), lut(7, 2, o=3), ff(3, 4), lut(7, "1", o=8), ff(8, 9))
    assert result.endpoints == 1  # neither D of the register behind constants nor their enables


def test_ports_are_as_registers() -> None:
    ports = {
        "valid": {"direction": "input", "bits": [2]},
        "ready": {"direction": "output", "bits": [3]},
    }
    result = found(lut(2, "1", o=3), ports=ports, names={"valid": [2], "ready": [3]})
    assert (result.paths[0].start, result.paths[0].end, result.paths[0].pin) == ("valid", "ready", "ready")


def test_names_are_those_of_registers_and_elements_get_their_brackets_back() -> None:
    result = found(
        ff("0", 2),
        ff("0", 6),
        lut(2, 6, o=3),
        ff(3, 4),
        names={"load.i__payload": [2], "*rows.count{3}": [9, 2], "*back.full": [6], "*back.level": [4]},
    )
    path = result.paths[0]
    assert (path.start, path.end, path.block) == ("rows.count[3][1]", "back.level", "back")
    assert path.steps[0].beside == ("back.full",)
    assert [worst.path.block for worst in result.blocks] == ["back"]


def test_paths_that_are_alike_are_one() -> None:
    pairs = [(ff("0", 10 + i), lut(10 + i, "0", o=20 + i), ff(20 + i, 30 + i)) for i in range(5)]
    names = {f"*unit.a_{i}": [10 + i] for i in range(5)} | {f"*unit.b_{i}": [30 + i] for i in range(5)}
    result = found(*(one for three in pairs for one in three), names=names)
    assert len(result.paths) == 1
    assert result.blocks[0].endpoints == 5


def test_a_combinational_loop_is_refused_with_its_cells() -> None:
    with pytest.raises(ReportError, match=r"has a combinational loop: (cell1, cell2|cell2, cell1)"):
        found(ff("0", 2), lut(2, 4, o=3), lut(3, "0", o=4), ff(4, 5))


def test_a_cell_without_delays_is_refused_by_name() -> None:
    with pytest.raises(ReportError, match="cells of which xcup-2 gives no delay: MYSTERY"):
        found(ff("0", 2), cell("MYSTERY", {"I": [2]}, {"O": [3]}), ff(3, 4))


def test_a_netlist_without_a_path_has_no_clock() -> None:
    with pytest.raises(ReportError, match="no path that begins and ends at a register"):
        found(ff("0", 2), ff("0", 3))


def test_a_clock_below_the_budget_is_said_with_its_path() -> None:
    logic = [lut(10 + i, "0", o=11 + i) for i in range(60)]
    slow = found(ff("0", 10), *logic, ff(70, 80), names={"*halt": [10], "*load.level": [80]})
    assert slow.over == 1
    assert slow.budget_mhz == BUDGETS_MHZ["xcup-2"]
    assert "miss the budget" in slow.missed
    assert "halt -> load.level (D)" in slow.missed
    assert found(ff("0", 2), ff(2, 3)).missed == ""


def test_every_target_has_a_budget() -> None:
    assert set(BUDGETS_MHZ) == set(named_delays())


@pytest.mark.slow
def test_a_netlist_of_150_000_cells_takes_seconds() -> None:
    width, depth = 5000, 28
    cells = [ff("0", 10 + i) for i in range(width)]
    for level in range(depth):
        base = 10 + level * width
        cells += [
            lut(base + i, base + (i + 7) % width, base + (i * 3) % width, o=base + width + i)
            for i in range(width)
        ]
    cells += [ff(10 + depth * width + i, 10_000_000 + i) for i in range(width)]
    flat = module(*cells)
    begin = time.process_time()
    assert timing(flat, UP).cells == 150_000
    assert time.process_time() - begin < 60
