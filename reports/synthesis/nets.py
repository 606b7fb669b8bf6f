"""The nets of a design: flat Verilog in which each net has one name, and what drives it. Made by Yosys without mapping.

The netlist stays at the level of words: one cell for a product, a sum, a multiplexer. So the nets inside a multiplier
are not in it. Copies of a net under other names, and nets that nothing reads, are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

from vitreous.reports.errors import ReportError
from vitreous.reports.synthesis.synthesis import run_script, workplace

WORDS = (
    "read_rtlil design.il; hierarchy -top {top}; proc; flatten; opt_clean; wreduce; memory -nomap; opt_clean -purge; "
    "rename -enumerate -pattern net_% w:*"
)
"""Words as the hardware description has them, without the upper bits of results that nothing reads."""
GATES = (
    "read_rtlil design.il; rename -hide w:*\\[*; synth -flatten -noabc -top {top}; splitnets; opt_clean -purge; "
    "rename -enumerate -pattern net_% w:*"
)
"""Gates of one bit as Yosys' own mapping makes them, a product as rows of full adders: also the nets inside multipliers
and adders. ABC is left out: it takes minutes here."""
_REGISTERS = ("$dff", "$adff", "$sdff", "$dffe", "$_DFF", "$_SDFF", "$_DFFE", "$mem")
_ESCAPED = re.compile(r"\\(\S+) ")
_IDENTIFIER = re.compile(r"[A-Za-z]\w*")
TIMEOUT_SECONDS = 1200


@dataclass(frozen=True)
class Net:
    """One bit. ``name``: as the Verilog calls it, ``index`` None for a signal of one bit. ``register``: a register or a
    memory's output register drives it, else combinational cells.
    """

    name: str
    index: int | None
    register: bool

    @property
    def bit(self) -> str:
        """``valid`` or ``a[3]``."""
        return self.name if self.index is None else f"{self.name}[{self.index}]"


@dataclass(frozen=True)
class Design:
    """verilog : of the flat module. nets : driven by its cells and read by a cell or an output. ports : by name, width
    and whether it is an output.
    """

    verilog: str
    nets: tuple[Net, ...]
    ports: Mapping[str, tuple[int, bool]]


def design(text: str, *, top: str, script: str = WORDS, timeout: float = TIMEOUT_SECONDS) -> Design:
    """Flatten module ``top`` of an RTLIL text by ``script``. Raises ReportError when Yosys is missing or refuses it."""
    with workplace() as folder:
        (folder / "design.il").write_text(text, encoding="utf-8")
        commands = f"{script.format(top=top)}; write_verilog -noattr design.v; write_json design.json"
        run_script(commands, folder, timeout)
        module = json.loads((folder / "design.json").read_text(encoding="utf-8"))["modules"][top]
        plain = _Plain(module["netnames"])
        verilog = _ESCAPED.sub(plain.escaped, (folder / "design.v").read_text(encoding="utf-8"))
        module["netnames"] = {plain(name): entry for name, entry in module["netnames"].items()}
        return Design(verilog, nets_of(module), _ports(module))


class _Plain:
    """Names without the characters that Verilog has to escape and a waveform takes for a hierarchy: a dot is one of
    ``_``, and a name that then is taken gets a number.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self._made = {name: name for name in names if _IDENTIFIER.fullmatch(name)}
        self._taken = set(self._made)

    def __call__(self, name: str) -> str:
        name = name.removeprefix("\\")  # JSON keeps it before a $ that is part of the name
        if name not in self._made:
            base = re.sub(r"\W+", "_", name).strip("_") or "net"
            choices = chain((base,), (f"{base}_{number}" for number in count(2)))
            self._made[name] = next(choice for choice in choices if choice not in self._taken)
            self._taken.add(self._made[name])
        return self._made[name]

    def escaped(self, match: re.Match[str]) -> str:
        return self(match[1]) + " "


def _ports(module: Mapping[str, Any]) -> dict[str, tuple[int, bool]]:
    return {
        name: (len(port["bits"]), port["direction"] == "output") for name, port in module["ports"].items()
    }


def nets_of(module: Mapping[str, Any]) -> tuple[Net, ...]:
    """The nets of a flat module, as ``write_json`` gives it. Raises ReportError on a net without a name."""
    drivers: dict[int, bool] = {}
    read: set[int] = set()
    for cell in module["cells"].values():
        register = cell["type"].startswith(_REGISTERS)
        for pin, bits in cell["connections"].items():
            for bit in bits:
                if cell["port_directions"][pin] == "input":
                    read.add(bit)
                elif isinstance(bit, int):
                    drivers[bit] = register
    for port in module["ports"].values():
        if port["direction"] == "output":
            read.update(port["bits"])
    names: dict[int, tuple[str, int | None]] = {}
    for name, entry in sorted(module["netnames"].items()):
        for index, bit in enumerate(entry["bits"]):
            place = index + entry.get("offset", 0)
            names.setdefault(bit, (name, place if len(entry["bits"]) > 1 else None))
    found = []
    for bit in sorted(drivers.keys() & read):
        if bit not in names:
            raise ReportError(f"Yosys gave net {bit} no name")
        found.append(Net(*names[bit], drivers[bit]))
    return tuple(found)
