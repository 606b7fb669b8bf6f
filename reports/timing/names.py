"""Words for the cells of a mapped netlist: the registers, memories and ports of the design that they are.

Mapping keeps the names of registers and memories and loses those of the logic between them. A register's bit may have
several names, of the wires that carry it on: one that Yosys was told to be a register's comes first. Logic is known by
the registers that it reads.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from vitreous.reports.timing.graph import OUTSIDE, Graph, Pins

REGISTER = "register"
"""The attribute of a wire that is a register of the design."""
TOP = "top"
"""The block of what is in no module below the top."""
_COPY = re.compile(r"(?:\.\d+)+$")
_NUMBER = re.compile(r"\d+")
_OUTPUTS = ("Q", "P", "PCOUT", "DOUTADOUT", "DOUTBDOUT", "DOADO", "DOBDO")
_REGISTERS = ("FD", "TRELLIS_FF", "DSP48", "MULT18")
_LOGIC = ("LUT", "INV", "MUXF", "PFUMX", "L6MUX", "CARRY", "CCU2C")
_MADE_UP = re.compile(r"_(?:TRELLIS_\w+|LUT4|PFUMX|L6MUX21|CCU2C|MULT18X18D|P?DP\w*16KD)_[A-Z]")
"""In a name that Yosys gives for ECP5: the nearest name of the design with the cells between."""


class Names:
    """Of the cells of one graph."""

    def __init__(self, module: Mapping[str, Any], graph: Graph) -> None:
        self._graph = graph
        self._public = {name for name, cell in module["cells"].items() if not cell.get("hide_name", 0)}
        self._bits = _named_bits(module)

    def bit(self, bit: int) -> str:
        """``load.back.count[3]``, or empty."""
        return self._bits.get(bit, ("", ""))[1]

    def cell(self, index: int, node: int = 0) -> str:
        """What the cell ``index`` is in the design; ``node``: a bit of its, for a port. Empty for unnamed logic."""
        if index == OUTSIDE:
            return self.bit(node) or "a port"
        name, pins = self._graph.cells[index]
        if pins.type.startswith(_LOGIC):
            return ""
        if pins.type.startswith(_REGISTERS) or name not in self._public:
            driven = next((self.bit(bit) for bit in pins.bits(*_OUTPUTS) if bit in self._bits), "")
            if driven:
                return driven
        return _shown(_COPY.sub("", _MADE_UP.split(name)[0])) if name in self._public else ""

    def beside(self, pins: Pins, without: int) -> Iterator[str]:
        """The registers that a cell reads, but for the bit ``without``."""
        for port in pins.ports():
            if port[0] == "I" or port in ("S", "DI", "A", "B", "C", "D"):
                for bit in pins.bits(port):
                    if bit != without and bit in self._bits:
                        yield self.bit(bit)


def block(name: str) -> str:
    """The module of a name: ``load.back`` of ``load.back.count[3]``."""
    return name.rpartition(".")[0] or TOP


def alike(name: str) -> str:
    """A name without its numbers: two bits, lanes or copies of one thing are alike."""
    return _NUMBER.sub("#", name)


def whole(name: str) -> str:
    """A name without the bit's number."""
    return re.sub(r"\[\d+\]$", "", name)


def _named_bits(module: Mapping[str, Any]) -> dict[int, tuple[Any, str]]:
    """(rank, name) by bit: registers first, then ports and the wires of the highest module."""
    found: dict[int, tuple[Any, str]] = {}
    for name, net in module["netnames"].items():
        if net["hide_name"] or _MADE_UP.search(name):
            continue
        rank = (REGISTER not in net["attributes"], name.count("."), "__" in name, len(name), name)
        for index, bit in enumerate(net["bits"]):
            if isinstance(bit, int) and (bit not in found or rank < found[bit][0]):
                one = len(net["bits"]) == 1
                found[bit] = (rank, _shown(name) if one else f"{_shown(name)}[{index}]")
    return found


def _shown(name: str) -> str:
    """As the source calls it: an element's number in brackets, no escape."""
    return name.removeprefix("\\").replace("{", "[").replace("}", "]")
