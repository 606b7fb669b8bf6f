"""The board's design as RTLIL for Yosys, with the names that place and route shows, and its pin constraints."""

from __future__ import annotations

import re

from amaranth.back import rtlil

from vitreous.hw.board.ulx3s import INPUT_MHZ, PINS, Ulx3s
from vitreous.hw.platforms import Ecp5
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.errors import VitreousError

TOP = "board"
_IDENTIFIER = re.compile(r"\\\S+")
_ELEMENT = re.compile(r"\[(\d+)\]")


class BoardError(VitreousError, ValueError):
    """A design that cannot be written; the sentence says why."""


def emit(config: AcceleratorConfig, *, memory_kib: int, clock_mhz: int) -> str:
    """RTLIL of ``Ulx3s``: the same text for the same arguments, without paths of this machine."""
    design = Ulx3s(config, memory_kib=memory_kib, clock_mhz=clock_mhz)
    text = rtlil.convert(design, name=TOP, platform=Ecp5(), emit_src=False)
    return plain_names(text)


def plain_names(text: str) -> str:
    """``x.0`` instead of ``x[0]`` for an element of an array port: ABC9 stops on a wire of that name beside bit 0 of a
    port ``x``, and without names the critical path would be unreadable.

    Raises BoardError when another wire has that name already.
    """
    names = set(_IDENTIFIER.findall(text))
    plain = {name: _ELEMENT.sub(r".\1", name) for name in names if _ELEMENT.search(name)}
    taken = sorted(set(plain.values()) & names)
    if taken or len(set(plain.values())) != len(plain):
        raise BoardError(f"Two wires would have the name {(taken or sorted(plain.values()))[0]!r}")
    return _IDENTIFIER.sub(lambda found: plain.get(found[0], found[0]), text)


def constraints() -> str:
    """Pins, voltages and the frequency of the input clock, as a Lattice preference file."""
    lines = [f'FREQUENCY PORT "clk25" {INPUT_MHZ} MHZ;']
    for port, site in PINS.items():
        pull = " PULLMODE=UP" if port == "rx" else ""
        lines += [f'LOCATE COMP "{port}" SITE "{site}";', f'IOBUF PORT "{port}" IO_TYPE=LVCMOS33{pull};']
    return "\n".join(lines) + "\n"
