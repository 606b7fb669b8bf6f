"""``python -m benchmarks.ecp5_array``: the clock of the bare 4 x 4 x 4 array on an LFE5U-85F-6, after routing.

The array stands behind a serial wrapper: every input comes from a shift register, the column leaves through one, so
that four pins are enough and nothing but the array sets the clock: nextpnr's timing analysis after routing (measured by
a tool run, not on a board). ``--table FILE`` puts the result into the page. Exit status 1 when no seed reaches
``LEAST``. Placements are kept in the user's cache folder; one takes some minutes.
"""

from __future__ import annotations

import argparse
import platform
import sys
from datetime import date
from pathlib import Path

from amaranth.back import rtlil
from amaranth.hdl import Cat, Elaboratable, Module, Mux, Signal

from vitreous.hw.board.rtlil import plain_names
from vitreous.hw.matrix.array import Array
from vitreous.hw.platforms import Ecp5
from vitreous.reports.synthesis.place import Placed, place
from vitreous.spec.config import AcceleratorConfig, ArrayConfig
from vitreous.spec.folders import PLACED
from vitreous.studies.bitstream import path_table

COMMAND = "python -m benchmarks.ecp5_array --table docs/results/bitstream.md"
MARK = "<!-- array -->"
LEAST = 100.0
"""MHz."""
ASKED = 120.0
"""MHz that the placement works towards."""
SITES = {"clk": "G2", "rst": "R1", "serial_in": "M1", "serial_out": "L4"}


class Serial(Elaboratable):
    """The array of ``config`` with a shift register at its inputs and one at its column."""

    def __init__(self, config: AcceleratorConfig) -> None:
        self.config = config
        self.serial_in, self.serial_out = Signal(name="serial_in"), Signal(name="serial_out")

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.array = array = Array(self.config)
        inputs = Cat(array.a, array.b, array.select, array.valid, array.first, array.last)
        held = Signal(len(inputs) + 1, reset_less=True)
        column = array.column.as_value()
        leaving = Signal(len(column), reset_less=True)
        m.d.comb += [inputs.eq(held[:-1]), self.serial_out.eq(leaving[0])]
        m.d.sync += [
            held.eq(Cat(self.serial_in, held[:-1])),
            leaving.eq(Mux(held[-1], column, leaving >> 1)),
        ]
        return m


def measure(seed: int, cache: Path) -> Placed:
    """One placement, or its kept result."""
    design = Serial(AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4)))
    ports = [design.serial_in, design.serial_out]
    text = plain_names(rtlil.convert(design, name="array", ports=ports, platform=Ecp5(), emit_src=False))
    pins = "".join(
        f'LOCATE COMP "{port}" SITE "{site}";\nIOBUF PORT "{port}" IO_TYPE=LVCMOS33;\n'
        for port, site in SITES.items()
    )
    return place(
        text,
        top="array",
        constraints=pins,
        cache=cache,
        clock_mhz=ASKED,
        seed=seed,
        progress=lambda stage: print(f"seed {seed}: {stage}", file=sys.stderr, flush=True),
    )


def table(placed: list[Placed]) -> str:
    """How it was made, a row for each seed, and the critical path of the best one, in Markdown."""
    best = max(placed, key=lambda p: p.clock_mhz)
    machine, tools = f"{platform.system()} {platform.machine()}", ", ".join(best.tools.values())
    lines = [
        f"`{COMMAND}` on {date.today().isoformat()}, {machine}, {tools}.",
        "",
        "| seed | clock reached | asked for | MULT18X18D | LUT4 | flip-flops |",
        "| ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for p in placed:
        cells = " | ".join(f"{p.used(kind):,}" for kind in ("MULT18X18D", "TRELLIS_COMB", "TRELLIS_FF"))
        lines.append(f"| {p.seed} | {p.clock_mhz:.1f} MHz | {p.asked_mhz:g} MHz | {cells} |")
    return "\n".join([*lines, "", f"The critical path of seed {best.seed}:", "", path_table(best.path)])


def main() -> int:
    """0 when one seed reaches the clock."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.ecp5_array", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--cache", type=Path, default=PLACED, metavar="DIR")
    parser.add_argument("--seed", type=int, action="append", metavar="N", help="may be repeated (default: 1)")
    parser.add_argument("--table", type=Path, metavar="FILE", help="put the result into this page")
    chosen = parser.parse_args()
    placed = [measure(seed, chosen.cache) for seed in chosen.seed or [1]]
    text = table(placed)
    if chosen.table:
        before, _, rest = chosen.table.read_text().partition(MARK)
        chosen.table.write_text(f"{before}{MARK}\n{text}\n{MARK}{rest.partition(MARK)[2]}")
    print(text)
    best = max(p.clock_mhz for p in placed)
    if best < LEAST:
        print(f"The array reaches {best:.1f} MHz, less than {LEAST:g}", file=sys.stderr)
    return int(best < LEAST)


if __name__ == "__main__":
    sys.exit(main())
