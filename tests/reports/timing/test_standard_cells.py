"""Standard cells: tables of a small library read by hand, and a netlist of its cells added up."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.reports.cells import cell, module
from vitreous.reports.errors import ReportError
from vitreous.reports.timing.standard_cells import ACCESS_FO4, FACTOR, SETUP_FO4, CellDelays, load_cell_delays
from vitreous.reports.timing.timing import timing

TABLE = 'index_1 ("0.0, 0.1"); index_2 ("0.1, 0.2, 0.4"); values ("0.01, 0.02, 0.09", "0.05, {slow}, 0.10");'
LIBRARY = """
library (little) {{
  time_unit : "1ns";
  lu_table_template (load) {{ variable_1 : total_output_net_capacitance; variable_2 : input_net_transition; }}
  cell (INV) {{ pin (A) {{ direction : input; capacitance : 0.01; }} pin (Y) {{ direction : output; function : "(!A)";
    timing () {{ related_pin : "A"; cell_rise (load) {{ {rise} }} cell_fall (load) {{ {fall} }} }} }} }}
  cell (DFF) {{ ff (IQ, IQN) {{ clocked_on : "CK"; next_state : "D"; }}
    pin (CK) {{ direction : input; capacitance : 0.02; clock : true; }}
    pin (D) {{ direction : input; capacitance : 0.02;
      timing () {{ related_pin : "CK"; timing_type : setup_rising; rise_constraint (x) {{ values ("0.07"); }}
        fall_constraint (x) {{ values ("0.08"); }} }} }}
    pin (Q) {{ direction : output; function : "IQ";
      timing () {{ related_pin : "CK"; timing_type : rising_edge; cell_rise (load) {{ {rise} }} }} }} }}
}}
"""


def delays(folder: Path) -> CellDelays:
    path = folder / "little.lib"
    path.write_text(LIBRARY.format(rise=TABLE.format(slow="0.08"), fall=TABLE.format(slow="0.06")))
    return load_cell_delays(path)


def at(load: float) -> float:
    """Of the rise table at its middle slew: 20 ps without load, 80 ps at 0.1."""
    return 20 + 600 * load


def test_a_table_is_read_at_the_middle_slew_and_the_load(tmp_path: Path) -> None:
    little = delays(tmp_path)
    assert little.name == "cells:little"
    rise, fall = (curve for _, _, curve in little.cells["INV"].arcs)
    assert rise.at(0.05) == pytest.approx(at(0.05))
    assert rise.at(0.2) == pytest.approx(at(0.2))  # beyond its end
    assert fall.at(0.1) == pytest.approx(60)
    assert little.cells["DFF"].setup == {"D": 80}
    assert little.fo4 == pytest.approx(at(0.04))


def test_a_path_is_the_slower_edge_of_each_cell_at_its_load(tmp_path: Path) -> None:
    def ff(d: int, q: int) -> dict[str, object]:
        return cell("DFF", {"D": [d], "CK": [1]}, {"Q": [q]})

    def inv(a: int, y: int) -> dict[str, object]:
        return cell("INV", {"A": [a]}, {"Y": [y]})

    flat = module(ff(9, 2), inv(2, 3), inv(3, 4), inv(3, 5), ff(4, 6))
    for one in flat["cells"].values():
        del one["port_directions"]  # Yosys does not know the library's cells
    found = timing(flat, delays(tmp_path))
    period = at(0.01) + at(0.02) + at(0.02) + 80
    assert 1000 * found.model_ns == pytest.approx(period, abs=1)
    assert found.clock_mhz == pytest.approx(1e6 / period / FACTOR.typical, rel=0.001)
    assert (found.budget_mhz, found.over, found.missed) == (0.0, 0, "")


def test_a_memory_that_is_a_macro_is_assumed_in_multiples_of_an_inverter(tmp_path: Path) -> None:
    little = delays(tmp_path)
    memory = cell("macro_memory", {"RD_ADDR": [2], "RD_CLK": [1]}, {"RD_DATA": [3]})
    read = timing(
        module(memory, cell("INV", {"A": [3]}, {"Y": [4]}), cell("DFF", {"D": [4]}, {"Q": [9]})), little
    )
    assert 1000 * read.model_ns == pytest.approx(ACCESS_FO4 * little.fo4 + at(0.02) + 80, abs=1)
    address = timing(module(cell("DFF", {"D": [8]}, {"Q": [2]}), memory), little)
    assert 1000 * address.model_ns == pytest.approx(at(0.0) + SETUP_FO4 * little.fo4, abs=1)


def test_a_cell_that_the_library_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="cells of which cells:little gives no delay: MYSTERY"):
        timing(module(cell("MYSTERY", {"A": [2]}, {"Y": [3]})), delays(tmp_path))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("library (x) { time_unit : 1us; }", "time_unit must be 1ns, 100ps, 10ps or 1ps, not '1us'"),
        ("library (x) { cell (BUF) { area : 1; } }", "has no inverter with a table of delays"),
        ("module x; endmodule", "is not a Liberty file"),
    ],
)
def test_a_library_without_what_is_needed_is_refused(tmp_path: Path, text: str, sentence: str) -> None:
    path = tmp_path / "wrong.lib"
    path.write_text(text)
    with pytest.raises(ReportError, match=sentence):
        load_cell_delays(path)
    with pytest.raises(ReportError, match="Cannot read the library"):
        load_cell_delays(tmp_path / "missing.lib")
