"""Delays of one target: what a cell, a net and a register take, each section with its source, from a TOML file.

All values are picoseconds in the slow corner. A file that lacks a value or has one too many is refused.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from vitreous.reports.errors import ReportError
from vitreous.reports.json_file import check_format, structured
from vitreous.spec.errors import near
from vitreous.spec.storage import StorageError, read_toml

FORMAT = "vitreous.delays/1"
FOLDER = Path(__file__).parent / "tables"
Origin = Literal["published", "modelled", "assumed"]
"""How a section's values were obtained. ``modelled``: computed from published ones, as its source says."""


@dataclass(frozen=True, kw_only=True)
class Factor:
    """What a vendor's tools make of the model: the period is ``factor * soft + hard`` of the worst path."""

    low: float
    typical: float
    high: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Of a table that is another one's times ``value``."""

    value: float
    source: str


@dataclass(frozen=True, kw_only=True)
class Section:
    """``source``: of ``Delays.sources``; ``how`` its values were obtained."""

    source: str
    how: Origin


@dataclass(frozen=True, kw_only=True)
class Net(Section):
    """``base + per_octave * log2(fan-out)``, and ``block`` more at a pin of a block memory or DSP block. ``local``: a
    wire inside a slice, from a LUT to its carry chain or wide multiplexer."""

    base: float
    per_octave: float
    block: float
    local: float


@dataclass(frozen=True, kw_only=True)
class Lut(Section):
    """``pins``: from the slowest input to the fastest; a LUT with fewer inputs uses the fastest."""

    pins: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class Clocked(Section):
    """clock_to_q, and the set-up time of each kind of input."""

    clock_to_q: float
    setup: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Block(Clocked):
    """A memory block; with its output register the second."""

    clock_to_q_registered: float


@dataclass(frozen=True, kw_only=True)
class Mux(Section):
    """A slice's wide multiplexer, from a data input (with the wire from the LUT) and from the select input."""

    data: float
    select: float


@dataclass(frozen=True, kw_only=True)
class Carry(Section):
    """A carry chain of four bits. ``s_o[i][j - i]``: from S[i] to O[j]; ``d_o[i][j - i - 1]``: from DI[i] to
    O[j], j > i; ``s_co``, ``d_co``: to CO[j], from j = i. ``chain``: from the carry of one to that of the next.
    """

    s_o: tuple[tuple[float, ...], ...]
    d_o: tuple[tuple[float, ...], ...]
    s_co: tuple[tuple[float, ...], ...]
    d_co: tuple[tuple[float, ...], ...]
    ci_o: tuple[float, ...]
    ci_co: tuple[float, ...]
    init_o: tuple[float, ...]
    init_co: tuple[float, ...]
    chain: float


@dataclass(frozen=True, kw_only=True)
class Dsp(Section):
    """A DSP block by its parts: from a pin to the operand behind its register, from there to the product (``M``),
    through the pre-adder, from M, from A and B without a product, from C and from the cascade to the adder, and from
    there to the results. ``cascade``: the wire from PCOUT to the next PCIN. clock_to_q and setup by register: those of
    A, B and D (``operand``), M, C, P; setup of M and P counts from the product and from the adder, ``enable``: of
    enables and resets.
    """

    operand: float
    operand_to_m: float
    pre_adder: float
    m_to_alu: float
    ab_to_alu: float
    c_to_alu: float
    pcin_to_alu: float
    alu_to_p: float
    alu_to_pcout: float
    cascade: float
    clock_to_q: Mapping[str, float]
    setup: Mapping[str, float]


@dataclass(frozen=True, kw_only=True)
class Delays:
    """A target. ``family``: of Yosys; ``sources`` by the names that the sections use."""

    name: str
    title: str
    family: str
    sources: Mapping[str, str]
    factor: Factor
    net: Net
    lut: Lut
    register: Clocked
    mux: Mux
    carry: Carry
    distributed: Clocked
    block: Block
    ultra: Block | None = None
    dsp: Dsp

    @cached_property
    def digest(self) -> str:
        """Of everything in it: a result with other delays is another result."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]


SETUPS: Mapping[str, frozenset[str]] = {
    "register": frozenset(("D", "CE", "R", "S")),
    "distributed": frozenset(("data", "address", "enable")),
    "block": frozenset(("data", "address", "enable", "write", "register")),
    "ultra": frozenset(("data", "address", "enable", "write", "register")),
    "dsp": frozenset(("operand", "M", "C", "P", "enable")),
}
"""The inputs that each section gives a set-up time of."""


def named_delays() -> tuple[str, ...]:
    """The targets that ship."""
    return tuple(sorted(path.stem for path in FOLDER.glob("*.toml")))


@lru_cache
def load_delays(name: str, folder: Path = FOLDER) -> Delays:
    """The delays of a target. Raises ReportError that names the value that is missing or wrong."""
    path = folder / f"{name}.toml"
    if not path.is_file():
        known = tuple(sorted(p.stem for p in folder.glob("*.toml")))
        raise ReportError(f"There are no delays of {name!r}; there are {', '.join(known)}{near(name, known)}")
    try:
        data = read_toml(path, "table of delays")
    except StorageError as error:
        raise ReportError(str(error)) from None
    check_format(data, FORMAT, f"{path.name} has")
    found = structured(Delays, {**_based(data, folder), "name": name}, path.name)
    _check(found, path.name)
    return found


def _based(data: Mapping[str, Any], folder: Path) -> Mapping[str, Any]:
    """A file that names a ``base``: every delay of that one times ``scale.value``."""
    if "base" not in data:
        return data
    base = asdict(load_delays(data["base"], folder))
    own = {name: value for name, value in data.items() if name not in ("base", "scale")}
    scale = structured(Scale, data.get("scale", {}), "scale")
    sections = {
        name: {key: _scaled(part, scale.value) for key, part in section.items()}
        for name, section in base.items()
        if isinstance(section, Mapping) and "how" in section
    }
    sources = {
        name: f"{text}; times {scale.value:g}: {scale.source}" for name, text in base["sources"].items()
    }
    return {**base, **sections, "sources": sources, **own}


def _scaled(value: Any, scale: float) -> Any:
    match value:
        case int() | float():
            return round(value * scale, 1)
        case Mapping():
            return {key: _scaled(part, scale) for key, part in value.items()}
        case list() | tuple():
            return [_scaled(part, scale) for part in value]
        case _:
            return value


def _check(delays: Delays, where: str) -> None:
    for name, entries in SETUPS.items():
        section = getattr(delays, name)
        if section is not None and set(section.setup) != entries:
            wrong = sorted(entries.symmetric_difference(section.setup))
            raise ReportError(
                f"{where}: {name}.setup must have exactly {', '.join(sorted(entries))}; see {wrong[0]}"
            )
    for name, section in vars(delays).items():
        if isinstance(section, Section):
            if section.source not in delays.sources:
                raise ReportError(
                    f"{where}: {name}.source names {section.source!r}, which sources does not have"
                )
            if section.how not in get_args(Origin):
                raise ReportError(
                    f"{where}: {name}.how must be one of {', '.join(get_args(Origin))}, not {section.how!r}"
                )
    factor = delays.factor
    if not 0 < factor.low <= factor.typical <= factor.high:
        raise ReportError(f"{where}: factor must be positive and rise from low over typical to high")
