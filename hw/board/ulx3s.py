"""A board with an LFE5U-85F: clock, reset and pins of the ULX3S (https://github.com/emard/ulx3s)."""

from __future__ import annotations

import math

from amaranth.hdl import ClockDomain, ClockSignal, Const, Instance, Module, ResetSignal, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.board.board import LED_COUNT, Board
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.errors import VitreousError

DEVICE, PACKAGE, SPEED = "85k", "CABGA381", 6
"""Of the LFE5U-85F-6BG381C, as nextpnr names them."""
INPUT_MHZ = 25
BAUD = 1_000_000
PINS = {"clk25": "G2", "rx": "M1", "tx": "L4"} | {
    f"led[{index}]": site for index, site in enumerate(("B2", "C2", "C1", "D2", "D1", "E2", "E1", "H3"))
}
"""Site of each port; rx is the pin that the board calls ftdi_txd."""
_OSCILLATOR_MHZ = (400, 800)
"""Range of the oscillator of the clock generator EHXPLLL."""
_RESET_CYCLES = 64


class ClockError(VitreousError, ValueError):
    """A clock that the clock generator cannot make."""


def dividers(clock_mhz: int) -> tuple[int, int, int]:
    """(input, feedback, output) divider: ``clock = 25 / input * feedback``, oscillator ``clock * output``.

    Raises ClockError when ``clock_mhz`` is not in 10..200 or takes dividers above 128.
    """
    if not 10 <= clock_mhz <= 200:
        raise ClockError(f"The clock must be in 10..200 MHz, not {clock_mhz!r}")
    common = math.gcd(clock_mhz, INPUT_MHZ)
    output = round(sum(_OSCILLATOR_MHZ) / 2 / clock_mhz)
    return INPUT_MHZ // common, clock_mhz // common, output


class Ulx3s(wiring.Component):
    """``Board`` with the board's 25 MHz clock brought to ``clock_mhz``, and a reset until that clock is stable.

    Parameters
    ----------
    config, memory_kib : as for ``Board``.
    clock_mhz : of the whole design.

    Members
    -------
    clk25, rx : In(1). tx : Out(1). led : Out(8).

    Raises ClockError as ``dividers``.
    """

    def __init__(self, config: AcceleratorConfig, *, memory_kib: int, clock_mhz: int) -> None:
        self._dividers = dividers(clock_mhz)
        self._board = Board(config, memory_kib=memory_kib, divisor=round(clock_mhz * 1_000_000 / BAUD))
        super().__init__({"clk25": In(1), "rx": In(1, init=1), "tx": Out(1, init=1), "led": Out(LED_COUNT)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.domains.sync = ClockDomain("sync")
        m.domains.start = ClockDomain("start", reset_less=True)
        m.submodules.board = board = self._board
        locked, left = Signal(), Signal(range(_RESET_CYCLES + 1), init=_RESET_CYCLES)
        reset = Signal(init=1)
        self._build_clock(m, locked)
        m.d.comb += [ClockSignal("start").eq(ClockSignal()), ResetSignal().eq(reset)]
        with m.If(~locked):
            m.d.start += left.eq(_RESET_CYCLES)
        with m.Elif(left != 0):
            m.d.start += left.eq(left - 1)
        m.d.start += reset.eq(left != 0)
        m.d.comb += [board.rx.eq(self.rx), self.tx.eq(board.tx), self.led.eq(board.led)]
        return m

    def _build_clock(self, m: Module, locked: Signal) -> None:
        source, feedback, output = self._dividers
        clock = Signal(attrs={"keep": 1}, name="clock")
        m.submodules.generator = Instance(
            "EHXPLLL",
            a_ICP_CURRENT="12",
            a_LPF_RESISTOR="8",
            p_CLKI_DIV=source,
            p_CLKFB_DIV=feedback,
            p_CLKOP_DIV=output,
            p_CLKOP_ENABLE="ENABLED",
            p_CLKOP_CPHASE=output - 1,
            p_CLKOP_FPHASE=0,
            p_FEEDBK_PATH="CLKOP",
            p_OUTDIVIDER_MUXA="DIVA",
            p_PLLRST_ENA="DISABLED",
            p_INTFB_WAKE="DISABLED",
            p_STDBY_ENABLE="DISABLED",
            p_DPHASE_SOURCE="DISABLED",
            i_CLKI=self.clk25,
            i_CLKFB=clock,
            i_RST=Const(0),
            i_STDBY=Const(0),
            i_PHASESEL0=Const(0),
            i_PHASESEL1=Const(0),
            i_PHASEDIR=Const(1),
            i_PHASESTEP=Const(1),
            i_PHASELOADREG=Const(1),
            i_PLLWAKESYNC=Const(0),
            i_ENCLKOP=Const(0),
            o_CLKOP=clock,
            o_LOCK=locked,
        )
        m.d.comb += ClockSignal().eq(clock)
