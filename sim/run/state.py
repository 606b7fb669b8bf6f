"""Every flip-flop and every memory bit of a generated accelerator, found in its Verilog text.

The text is Amaranth's: a register is what is assigned with ``<=`` below ``always @(posedge clk)``, a memory is such a
register with a range of words. Tables (memories that no clocked block writes) are not state: they are constants.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_NAME = r"(\\\S+ |[A-Za-z_][\w$]*)"
_PLAIN = re.compile(r"[A-Za-z_]\w*")
_MODULE = re.compile(rf"^module {_NAME}")
_CLOCKED = re.compile(r"^  always @\(posedge clk\)")
_ASSIGNED = re.compile(rf"^\s+{_NAME}\s*(?:\[.*\]\s*)?<=")
_DECLARED = re.compile(rf"^(  reg (?:\[(\d+):0\] )?{_NAME})\s*(?:\[(\d+):0\])?( = [^;]*)?;$")
_INSTANCE = re.compile(rf"^  {_NAME}\s+{_NAME}\s*\($")
_PUBLIC = "/*verilator public_flat_rw*/"


@dataclass(frozen=True, kw_only=True)
class Element:
    """One register or memory. path : instances from the top to it, and its own name, joined by dots.

    width : bits of the register or of a word. words : of a memory; 0 for a register.
    """

    path: str
    width: int
    words: int = 0

    @property
    def bits(self) -> int:
        return self.width * max(self.words, 1)

    @property
    def unit(self) -> str:
        """The instances from the top to it."""
        return self.path.rpartition(".")[0]


@dataclass(frozen=True)
class _Register:
    name: str
    width: int
    words: int


@dataclass
class _ModuleText:
    registers: list[_Register]
    instances: list[tuple[str, str]]


def elements(verilog: str, top: str) -> tuple[Element, ...]:
    """The state of module ``top`` and of everything in it, in the order of the text."""
    modules = _modules(verilog)
    return tuple(_walk(modules, top, ""))


def _walk(modules: dict[str, _ModuleText], module: str, prefix: str) -> Iterator[Element]:
    found = modules[module]
    for register in found.registers:
        yield Element(path=prefix + register.name.lstrip("\\"), width=register.width, words=register.words)
    for kind, name in found.instances:
        if kind in modules:
            yield from _walk(modules, kind, f"{prefix}{name}.")


def exposed(verilog: str) -> str:
    """The same text in which a simulator's user may read and write every register and memory."""
    lines = []
    for body in _bodies(verilog):
        clocked = _clocked(body)
        for line in body:
            match = _DECLARED.match(line)
            if match and match[3].strip() in clocked:
                words = f" [{match[4]}:0]" if match[4] else ""
                line = f"{match[1]}{words} {_PUBLIC}{match[5] or ''};"
            lines.append(line)
    return "\n".join(lines)


def escaped(path: str) -> str:
    """The path of an element as a simulator spells it: names that are no plain identifiers between \\ and a blank."""
    return ".".join(part if _PLAIN.fullmatch(part) else f"\\{part} " for part in path.split("."))


def _bodies(verilog: str) -> Iterator[list[str]]:
    """The lines of each module, and before the first one those of the head."""
    body: list[str] = []
    for line in verilog.split("\n"):
        if _MODULE.match(line):
            yield body
            body = []
        body.append(line)
    yield body


def _modules(verilog: str) -> dict[str, _ModuleText]:
    modules = {}
    for body in _bodies(verilog):
        head = _MODULE.match(body[0]) if body else None
        if head is None:
            continue
        clocked = _clocked(body)
        declared = (_DECLARED.match(line) for line in body)
        registers = [
            _Register(match[3].strip(), int(match[2] or 0) + 1, int(match[4]) + 1 if match[4] else 0)
            for match in declared
            if match and match[3].strip() in clocked
        ]
        instances = [
            (match[1].strip().lstrip("\\"), match[2].strip().lstrip("\\"))
            for match in map(_INSTANCE.match, body)
            if match
        ]
        modules[head[1].strip().lstrip("\\")] = _ModuleText(registers, instances)
    return modules


def _clocked(body: Iterable[str]) -> set[str]:
    """Names that are assigned at the clock's edge in these lines of a module."""
    names = set()
    inside = False
    for line in body:
        if _CLOCKED.match(line):
            inside = True
        elif inside and (match := _ASSIGNED.match(line)):
            names.add(match[1].strip())
        elif line.startswith("  ") and not line.startswith("   "):
            inside = False
    return names
