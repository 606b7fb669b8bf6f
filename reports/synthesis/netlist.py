"""A mapped Yosys netlist, as ``write_json`` writes it: cells by kind, and the longest path between registers."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

from vitreous.reports.errors import ReportError

DEPTH_RULE = (
    "logic levels of the longest path from a register, block memory or input to a register, memory or output: one for "
    "a LUT, for a carry chain of any length, for a read of distributed memory or of a shift register, and for a DSP "
    "without a register on the path; the wide multiplexers of a slice count none"
)


class Kind(Enum):
    """What a cell is on a path. ``ADDRESSED``: combinational from its address, a register from its data."""

    LUT = "lut"
    CARRY = "carry"
    SLICE_MUX = "slice multiplexer"
    REGISTER = "register"
    ADDRESSED = "distributed memory"
    BLOCK = "block memory"
    DSP = "dsp"


@dataclass(frozen=True)
class Cell:
    """One type of cell of a family and its size in the units of each column. ``registers``: for a DSP, from its
    parameters to which of A and B are registered, and whether its result is; ``chain``: its carry pins.
    """

    kind: Kind
    lut: int = 0
    ff: int = 0
    dsp: int = 0
    bram: int = 0
    uram: int = 0
    carry: int = 0
    registers: Callable[[Mapping[str, str]], tuple[str, bool]] = field(default=lambda _: ("", False))
    chain: tuple[str, ...] = ()
    address: tuple[str, ...] = ()


def _number(parameters: Mapping[str, str], name: str) -> int:
    return int(str(parameters.get(name, "0")).strip() or "0", 2)


def _dsp48(parameters: Mapping[str, str]) -> tuple[str, bool]:
    operands = "".join(x for x in "AB" if _number(parameters, f"{x}REG") or _number(parameters, "MREG"))
    return operands, bool(_number(parameters, "PREG"))


def _mac16(parameters: Mapping[str, str]) -> tuple[str, bool]:
    inner = any(
        _number(parameters, name)
        for name in ("TOP_8x8_MULT_REG", "PIPELINE_16x16_MULT_REG1", "PIPELINE_16x16_MULT_REG2")
    )
    operands = "".join(x for x in "AB" if _number(parameters, f"{x}_REG") or inner)
    return operands, _number(parameters, "TOPOUTPUT_SELECT") == 1


def _mult18(parameters: Mapping[str, str]) -> tuple[str, bool]:
    registered = {name: parameters.get(f"REG_{name}_CLK", "NONE") != "NONE" for name in _MULT18_REGISTERS}
    operands = "".join(x for x in "AB" if registered[f"INPUT{x}"] or registered["PIPELINE"])
    return operands, registered["OUTPUT"]


_MULT18_REGISTERS = ("INPUTA", "INPUTB", "PIPELINE", "OUTPUT")
_XILINX_ADDRESS = ("A", "DPRA", "RADDR")
_RAM_LUTS = {
    "RAM32X1S": 1,
    "RAM64X1S": 1,
    "RAM128X1S": 2,
    "RAM256X1S": 4,
    "RAM512X1S": 8,
    "RAM32X1D": 2,
    "RAM64X1D": 2,
    "RAM128X1D": 4,
    "RAM256X1D": 8,
    "RAM32M": 4,
    "RAM64M": 4,
    "RAM32M16": 8,
    "RAM64M8": 8,
    "RAM32X16DR8": 8,
    "RAM64X8SW": 8,
}
"""LUTs of a SLICEM that a distributed memory of UltraScale+ fills (AMD UG574, chapter 3)."""

_XCUP = {
    **{f"LUT{n}": Cell(Kind.LUT, lut=1) for n in range(1, 7)},
    "INV": Cell(Kind.LUT, lut=1),
    **{name: Cell(Kind.ADDRESSED, lut=1, address=("A",)) for name in ("SRL16E", "SRLC32E")},
    **{name: Cell(Kind.ADDRESSED, lut=n, address=_XILINX_ADDRESS) for name, n in _RAM_LUTS.items()},
    **{name: Cell(Kind.SLICE_MUX) for name in ("MUXF7", "MUXF8", "MUXF9")},
    **{f"FD{x}E{edge}": Cell(Kind.REGISTER, ff=1) for x in ("R", "S", "C", "P") for edge in ("", "_1")},
    "CARRY4": Cell(Kind.CARRY, carry=4, chain=("CI", "CO")),
    "CARRY8": Cell(Kind.CARRY, carry=8, chain=("CI", "CO")),
    "DSP48E2": Cell(Kind.DSP, dsp=1, registers=_dsp48),
    "RAMB18E2": Cell(Kind.BLOCK, bram=1),
    "RAMB36E2": Cell(Kind.BLOCK, bram=2),
    "URAM288": Cell(Kind.BLOCK, uram=1),
}
_ECP5 = {
    "LUT4": Cell(Kind.LUT, lut=1),
    "CCU2C": Cell(Kind.CARRY, lut=2, carry=2, chain=("CIN", "COUT")),
    "TRELLIS_DPR16X4": Cell(Kind.ADDRESSED, lut=6, address=("RAD",)),
    **{name: Cell(Kind.SLICE_MUX) for name in ("PFUMX", "L6MUX21")},
    "TRELLIS_FF": Cell(Kind.REGISTER, ff=1),
    "MULT18X18D": Cell(Kind.DSP, dsp=1, registers=_mult18),
    "DP16KD": Cell(Kind.BLOCK, bram=1),
    "PDPW16KD": Cell(Kind.BLOCK, bram=1),
}
_ICE40 = {
    "SB_LUT4": Cell(Kind.LUT, lut=1),
    "SB_CARRY": Cell(Kind.CARRY, carry=1, chain=("CI", "CO")),
    **{
        f"SB_DFF{edge}{enable}{reset}": Cell(Kind.REGISTER, ff=1)
        for edge in ("", "N")
        for enable in ("", "E")
        for reset in ("", "SR", "R", "SS", "S")
    },
    "SB_MAC16": Cell(Kind.DSP, dsp=1, registers=_mac16),
    **{f"SB_RAM40_4K{edges}": Cell(Kind.BLOCK, bram=1) for edges in ("", "NR", "NW", "NRNW")},
}
CELLS: Mapping[str, Mapping[str, Cell]] = {"xcup": _XCUP, "ecp5": _ECP5, "ice40": _ICE40}
_FREE = {"$scopeinfo", "GND", "VCC", "VLO", "VHI"}
_CONSTANTS = {"0", "1", "x", "z"}


def cells_of(
    netlist: Mapping[str, Any], top: str, boxes: Collection[str] = ()
) -> dict[str, Mapping[str, Any]]:
    """The cells of module ``top`` that cost something, without those of the types ``boxes``.

    Raises ReportError when the netlist has no such module.
    """
    try:
        cells: dict[str, Mapping[str, Any]] = netlist["modules"][top]["cells"]
    except (KeyError, TypeError):
        raise ReportError(f"The netlist of the synthesis has no module {top}") from None
    free = _FREE.union(boxes)
    return {name: cell for name, cell in cells.items() if cell["type"] not in free}


def count(cells: Iterable[Mapping[str, Any]]) -> dict[str, int]:
    """Number of cells by type, sorted by type."""
    return dict(sorted(Counter(cell["type"] for cell in cells).items()))


def sizes(counts: Mapping[str, int], family: str) -> dict[str, int]:
    """Columns ``lut, ff, dsp, bram, uram, carry`` from the numbers of cells. Raises ReportError on an unknown cell."""
    known = CELLS[family]
    unknown = sorted(set(counts) - set(known))
    if unknown:
        raise ReportError(f"The netlist has cells of which {family} gives no size: {', '.join(unknown)}")
    columns = ("lut", "ff", "dsp", "bram", "uram", "carry")
    return {c: sum(n * int(getattr(known[name], c)) for name, n in counts.items()) for c in columns}


@dataclass(frozen=True)
class _Node:
    """A cell that delays: the bits that it waits for with what it adds after each, and the bits that it drives."""

    inputs: tuple[tuple[int, int], ...]
    outputs: tuple[int, ...]


def _pins(cell: Mapping[str, Any], direction: str) -> Iterator[tuple[str, int]]:
    for port, bits in cell["connections"].items():
        if cell["port_directions"][port] == direction:
            yield from ((port, bit) for bit in bits if bit not in _CONSTANTS)


def _node(cell: Mapping[str, Any], cost: Cell, chained: set[int]) -> _Node | None:
    """How a cell delays; None for one that only begins and ends paths."""
    pins = list(_pins(cell, "input"))
    outputs = tuple(bit for _, bit in _pins(cell, "output"))
    match cost.kind:
        case Kind.REGISTER | Kind.BLOCK:
            return None
        case Kind.DSP:
            operands, result = cost.registers(cell["parameters"])
            # With both registered, what happens beside them (C, D, modes) begins no path of its own.
            open_ = (
                ()
                if operands == "AB"
                else ((b, 1) for p, b in pins if p.rstrip("0123456789") not in operands)
            )
            return _Node(tuple(open_), () if result else outputs)
        case Kind.ADDRESSED:
            return _Node(tuple((b, 1) for port, b in pins if port.startswith(cost.address)), outputs)
        case Kind.CARRY:
            return _Node(tuple((b, int(p not in cost.chain or b not in chained)) for p, b in pins), outputs)
        case Kind.SLICE_MUX:
            return _Node(tuple((b, 0) for _, b in pins), outputs)
        case Kind.LUT:
            return _Node(tuple((b, 1) for _, b in pins), outputs)


def depth(cells: Mapping[str, Mapping[str, Any]], family: str) -> int:
    """Logic levels, by ``DEPTH_RULE``. Raises ReportError on a combinational loop or an unknown cell."""
    known = CELLS[family]
    sizes(count(cells.values()), family)
    chained = {
        bit
        for cell in cells.values()
        for port, bit in _pins(cell, "output")
        if port in known[cell["type"]].chain
    }
    nodes, level = [], dict[int, int]()
    for cell in cells.values():
        cost = known[cell["type"]]
        node = _node(cell, cost, chained)
        if node is not None:
            nodes.append(node)
            # What a DSP computes from its own registers, and a memory at a constant address, is one level deep.
            if not node.inputs and cost.kind in (Kind.DSP, Kind.ADDRESSED):
                level.update(dict.fromkeys(node.outputs, 1))
    return _longest(nodes, level)


def _longest(nodes: list[_Node], level: dict[int, int]) -> int:
    """A topological pass: every node after those that drive it. ``level``: bits that begin above zero."""
    driver = {bit: index for index, node in enumerate(nodes) for bit in node.outputs}
    users: dict[int, set[int]] = defaultdict(set)
    for index, node in enumerate(nodes):
        for bit, _ in node.inputs:
            if bit in driver:
                users[driver[bit]].add(index)
    waits = Counter(user for found in users.values() for user in found)
    ready = [index for index in range(len(nodes)) if waits[index] == 0]
    longest, done = max(level.values(), default=0), 0
    while ready:
        index = ready.pop()
        done += 1
        here = max((level.get(bit, 0) + added for bit, added in nodes[index].inputs), default=0)
        longest = max(longest, here)
        for bit in nodes[index].outputs:
            level[bit] = max(here, level.get(bit, 0))
        for user in users[index]:
            waits[user] -= 1
            if waits[user] == 0:
                ready.append(user)
    if done != len(nodes):
        raise ReportError("The netlist has a combinational loop; its depth is undefined")
    return longest
