"""What the load and the store unit have in common: a window of DRAM on one side, memories on the other."""

from __future__ import annotations

from collections.abc import Mapping

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.axi.axi import ADDRESS_BITS
from vitreous.hw.memory.ports import unit_members
from vitreous.hw.protect.guard import upset_member
from vitreous.spec.config import AcceleratorConfig


class TransferUnit(wiring.Component):
    """The ports of a unit that moves words between DRAM and the memories on the chip.

    Parameters
    ----------
    config : of the accelerator; with ``protect.parity`` there is a member ``upset``.
    bus : its side of the bus.
    ports : those of the memories, by name.

    Members
    -------
    those of ``unit_members``, and of ``ports``, Out.
    drained : Out(1), nothing is left to do on the bus.
    base, size : In(32), its window of DRAM.
    bus : Out(``bus``).
    events : ``beat``: a beat of data goes over the bus.
    """

    def __init__(
        self, config: AcceleratorConfig, bus: wiring.Signature, ports: Mapping[str, wiring.Signature]
    ) -> None:
        self._config = config
        super().__init__(
            unit_members(["beat"])
            | upset_member(config.protect.parity)
            | {"drained": Out(1), "base": In(ADDRESS_BITS), "size": In(ADDRESS_BITS), "bus": Out(bus)}
            | {name: Out(port) for name, port in ports.items()}
        )

    @property
    def config(self) -> AcceleratorConfig:
        """Of the accelerator."""
        return self._config

    def _build_stop(self, m: Module, stop: Signal, failed: Signal) -> None:
        """``stop``: halted, or ``failed``: its own error stops the unit before the machine's halt comes back."""
        m.d.comb += stop.eq(self.halt | failed)
        with m.If(self.error.valid):
            m.d.sync += failed.eq(1)
