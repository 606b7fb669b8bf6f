"""Standard-cell libraries in the Liberty format: as much of one as an area needs, checked before anything runs.

    library (name) { cell (NAND2X1) { area : 24; pin (A) { direction : input; capacitance : 0.009; } ... } ... }

A group has a kind, names in parentheses, attributes and groups inside. Timing tables are skipped: ABC reads them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from vitreous.reports.errors import ReportError

_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|/\*.*?\*/|//[^\n]*|[{}();:]|[^\s{}();:"]+', re.DOTALL)
_CONTINUED = re.compile(r"\\\s*\n")


@dataclass
class Group:
    """``kind (names) { attributes and groups }``; an attribute that is given twice keeps its last value."""

    kind: str
    names: tuple[str, ...]
    attributes: dict[str, str] = field(default_factory=dict)
    groups: list[Group] = field(default_factory=list)

    def of(self, kind: str) -> Iterator[Group]:
        return (group for group in self.groups if group.kind == kind)


@dataclass(frozen=True)
class StandardCell:
    """area in the unit of the library (µm² in all that we know); ``flip_flop``: it keeps a bit at a clock edge;
    ``buffer``: its output is its only input; ``load_ff``: capacitance of that input, femtofarad.
    """

    name: str
    area: float
    flip_flop: bool
    buffer: bool
    load_ff: float
    dont_use: bool


def read_cells(path: Path) -> tuple[str, dict[str, StandardCell]]:
    """The name of the library and its cells. Raises ReportError that says what is wrong with the file."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ReportError(f"Cannot read the library {path}: {error.strerror}") from None
    library = parse(text, str(path))
    farad = _femtofarads(library)
    cells = {cell.names[0]: _cell(cell, farad, str(path)) for cell in library.of("cell") if cell.names}
    if not cells:
        raise ReportError(f"{path} has no cells")
    if not any(cell.flip_flop and not cell.dont_use for cell in cells.values()):
        raise ReportError(
            f"{path} has no flip-flop (a cell with an ff group): registers cannot be mapped to it"
        )
    if not any(cell.buffer for cell in cells.values()):
        raise ReportError(
            f"{path} has no buffer (a cell whose output is its only input): nets cannot be driven"
        )
    return library.names[0] if library.names else path.stem, cells


def parse(text: str, where: str) -> Group:
    """The one ``library`` group of a Liberty text. Raises ReportError on another kind of file or a truncated one."""
    tokens = [
        found[0]
        for found in _TOKEN.finditer(_CONTINUED.sub(" ", text))
        if not found[0].startswith(("/*", "//"))
    ]
    if tokens[:2] != ["library", "("]:
        begin = " ".join(tokens[:2]) or "nothing"
        raise ReportError(
            f"{where} is not a Liberty file: it begins with {begin[:40]!r}, not with 'library ('"
        )
    root = Group("", ())
    open_, index = [root], 0
    while index < len(tokens):
        index = _statement(tokens, index, open_)
    if len(open_) > 1:
        inside = open_[-1]
        place = f"{inside.kind} ({', '.join(inside.names)})"
        raise ReportError(
            f"{where} is truncated: it ends inside {place}, with {len(open_) - 1} groups not closed"
        )
    return root.groups[0]


def _statement(tokens: list[str], index: int, open_: list[Group]) -> int:
    """Take one statement at ``index``; the index after it."""
    token = tokens[index]
    if token == "}":
        if len(open_) > 1:
            open_.pop()
        return index + 1
    following = tokens[index + 1] if index + 1 < len(tokens) else ""
    if following == ":":
        end = index + 2
        while end < len(tokens) and tokens[end] not in (";", "}", "{"):
            end += 1
        open_[-1].attributes[token] = " ".join(tokens[index + 2 : end]).strip('"')
        return end + (end < len(tokens) and tokens[end] == ";")
    if following == "(":
        end = tokens.index(")", index) if ")" in tokens[index : index + 4096] else len(tokens)
        names = tuple(
            part.strip('" ') for part in " ".join(tokens[index + 2 : end]).split(",") if part.strip()
        )
        if end + 1 < len(tokens) and tokens[end + 1] == "{":
            group = Group(token, names)
            open_[-1].groups.append(group)
            open_.append(group)
            return end + 2
        open_[-1].attributes[token] = ",".join(names)
        return end + 1
    return index + 1


_FEMTOFARADS: Mapping[str, float] = {"ff": 1.0, "pf": 1000.0}


def _femtofarads(library: Group) -> float:
    """Femtofarads of the library's unit of capacitance."""
    number, _, unit = library.attributes.get("capacitive_load_unit", "1,pf").partition(",")
    name = unit.strip('" ').lower()
    if name not in _FEMTOFARADS:
        raise ReportError(
            f"capacitive_load_unit must be in {' or '.join(_FEMTOFARADS)}, not {unit.strip()!r}"
        )
    return float(number) * _FEMTOFARADS[name]


def _cell(cell: Group, farad: float, where: str) -> StandardCell:
    pins = list(cell.of("pin"))
    inputs = [pin for pin in pins if pin.attributes.get("direction") == "input"]
    outputs = [pin for pin in pins if pin.attributes.get("direction") == "output"]
    function = outputs[0].attributes.get("function", "") if len(outputs) == 1 else ""
    keeps = [group.kind for group in cell.groups if group.kind in ("ff", "latch", "statetable")]
    try:
        return StandardCell(
            name=cell.names[0],
            area=float(cell.attributes.get("area", "0")),
            flip_flop="ff" in keeps,
            buffer=len(inputs) == 1 and not keeps and function.strip("() ") == inputs[0].names[0],
            load_ff=farad * float(inputs[0].attributes.get("capacitance", "0")) if inputs else 0.0,
            dont_use=cell.attributes.get("dont_use", "false").lower() == "true",
        )
    except ValueError as error:
        raise ReportError(f"{where}: cell {cell.names[0]}: {error}") from None
