"""No combinational path leads from an input of a bus to an output of it: a rule of AXI (A3.2.1), and two parts that
break it form a loop."""

from __future__ import annotations

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.combinational import paths
from tests.support.hw.programs import relay_config
from vitreous.hw.accelerator import Accelerator


class Through(wiring.Component):
    """One bit of each of three inputs, behind a register or not."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "b": In(1), "c": In(1), "held": Out(1), "open": Out(2)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        middle = Module()
        m.submodules.middle = middle
        m.d.sync += self.held.eq(self.b)
        middle.d.comb += self.open[1].eq(self.a[2] & ~self.held)
        with m.If(self.c):
            m.d.sync += self.held.eq(0)
        return m


def test_a_path_is_found_with_its_way() -> None:
    assert [(source, target) for source, target, _ in paths(Through())] == [("a", "open")]
    ((_, _, way),) = paths(Through())
    assert (way[0], way[-1]) == ("a[2]", "open[1]")


def crossing(component: wiring.Component) -> list[str]:
    return [f"{source} -> {target} by {' '.join(way)}" for source, target, way in paths(component)]


@pytest.mark.slow
def test_no_path_leads_through_the_accelerator() -> None:
    """Neither through a bus nor from a bus to the interrupt or the trace."""
    assert crossing(Accelerator(relay_config())) == []
