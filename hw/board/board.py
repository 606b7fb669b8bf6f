"""The design on a board: accelerator, on-chip memory, serial loader."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.accelerator import Accelerator
from vitreous.hw.axi.axi import Axi4, Axi4Lite
from vitreous.hw.board.host_bus import HostSplit, RegisterBridge
from vitreous.hw.board.loader import Loader
from vitreous.hw.board.memory import AxiRam
from vitreous.hw.board.uart import UartReceiver, UartTransmitter, checked_divisor
from vitreous.hw.checks import positive
from vitreous.hw.control.registers import BUS_ADDRESS_BITS
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Queue

LED_COUNT = 8


class Board(wiring.Component):
    """An accelerator whose AXI4 port is block RAM and whose host is a serial line (``hw.board.loader``).

    Parameters
    ----------
    config : of the accelerator.
    memory_kib : size of the on-chip memory, which begins at byte 0.
    divisor : clock cycles of a bit on the serial line.

    Members
    -------
    rx : In(1), tx : Out(1), the serial line.
    led : Out(8): interrupt, rx low, tx low, one for each queue that changes with every retired instruction, and one
        that changes every 2**24 cycles.
    """

    def __init__(self, config: AcceleratorConfig, *, memory_kib: int, divisor: int) -> None:
        self._config = config
        self._memory_kib = positive("Memory KiB", memory_kib)
        self._divisor = checked_divisor(divisor)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1), "led": Out(LED_COUNT)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        config = self._config
        m.submodules.accelerator = accelerator = Accelerator(config)
        beats = self._memory_kib * 1024 // config.bus.beat_bytes
        m.submodules.memory = memory = AxiRam(data_bits=config.bus.data_bits, beats=beats)
        m.submodules.receiver = receiver = UartReceiver(divisor=self._divisor)
        m.submodules.transmitter = transmitter = UartTransmitter(divisor=self._divisor)
        m.submodules.loader = loader = Loader()
        m.submodules.split = split = HostSplit()
        m.submodules.bridge = bridge = RegisterBridge()
        wiring.connect(m, receiver.o, loader.i)
        wiring.connect(m, loader.o, transmitter.i)
        wiring.connect(m, loader.host, split.host)
        wiring.connect(m, split.memory, memory.host)
        wiring.connect(m, split.registers, bridge.host)
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(transmitter.tx)]
        self._connect(m, accelerator, "m_axi", Axi4(config.bus.data_bits), memory.bus)
        self._connect(m, accelerator, "s_axil", Axi4Lite(BUS_ADDRESS_BITS).flip(), bridge.bus)
        done, life = Signal(len(Queue)), Signal(25)
        m.d.sync += [done.eq(done ^ accelerator.trace_done), life.eq(life + 1)]
        m.d.comb += self.led.eq(Cat(accelerator.irq, ~self.rx, ~self.tx, done, life[-1]))
        return m

    @staticmethod
    def _connect(
        m: Module, accelerator: Accelerator, prefix: str, signature: wiring.Signature, bus: Any
    ) -> None:
        """Port for port: the accelerator's buses are plain names, seen from it as in ``signature``."""
        for name, member in signature.members.items():
            port, other = getattr(accelerator, f"{prefix}_{name}"), getattr(bus, name)
            m.d.comb += other.eq(port) if member.flow is Out else port.eq(other)
