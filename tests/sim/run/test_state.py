"""Registers and memories are found in the text by their paths, and made public there."""

from __future__ import annotations

import re

import pytest
from amaranth.back import verilog
from amaranth.hdl import Module, Signal
from amaranth.lib import fifo, memory, wiring
from amaranth.lib.wiring import Out

from vitreous.sim.run.state import Element, elements, escaped, exposed


class Everything(wiring.Component):
    """A register, a queue in a module of its own, a table, and two registers of one name."""

    def __init__(self) -> None:
        super().__init__({"o": Out(8)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.waiting = waiting = fifo.SyncFIFO(width=12, depth=4)
        m.submodules.table = table = memory.Memory(shape=9, depth=16, init=range(1, 17))
        count, first, second = Signal(5, name="count"), Signal(name="same"), Signal(name="same")
        port = table.read_port(domain="comb")
        m.d.comb += [port.addr.eq(count), waiting.w_data.eq(port.data)]
        m.d.comb += [waiting.w_en.eq(first), waiting.r_en.eq(second)]
        m.d.sync += [
            count.eq(count + 1),
            first.eq(~second),
            second.eq(waiting.w_rdy),
            self.o.eq(waiting.r_data),
        ]
        return m


@pytest.fixture(scope="module")
def text() -> str:
    return verilog.convert(Everything(), name="top", strip_internal_attrs=True, emit_src=False)


def test_every_register_and_every_word_is_found_once(text: str) -> None:
    found = {element.path: element for element in elements(text, "top")}
    assert len(found) == len(elements(text, "top"))
    assert found["count"] == Element(path="count", width=5)
    assert found["o"].bits == 8
    assert sum(e.bits for e in found.values() if e.unit == "") == 5 + 1 + 1 + 8
    queue = found["waiting.storage"]
    assert (queue.width, queue.words, queue.bits, queue.unit) == (12, 4, 48, "waiting")
    # A queue of four: a level of 0 to 4, two pointers of two bits, and its words. The table is a constant.
    assert sum(e.bits for e in found.values() if e.unit == "waiting") == 3 + 2 + 2 + 48
    assert not any("table" in path for path in found)


def test_what_is_found_is_public_and_nothing_else_changes(text: str) -> None:
    open_text = exposed(text)
    assert open_text.count("/*verilator public_flat_rw*/") == len(elements(text, "top"))
    assert re.sub(r" ?/\*verilator public_flat_rw\*/", "", open_text).split() == text.split()
    assert elements(re.sub(r" ?/\*verilator public_flat_rw\*/", "", open_text), "top") == elements(
        text, "top"
    )


def test_names_as_a_simulator_spells_them() -> None:
    assert escaped("load.bursts.left") == "load.bursts.left"
    assert escaped("load.front.o__payload$48") == "load.front.\\o__payload$48 "
    assert escaped("norm.root$44.seed") == "norm.\\root$44 .seed"
