"""Technologies: what one event costs on an FPGA or in a process, and what a DRAM takes for a bit, from TOML.

Every value is a range with its unit, its source and how it was obtained. A file that lacks a value, has one too many
or one in another unit is refused: nothing defaults to zero. docs/energy.md lists the values and their use.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any, Literal, get_args

from vitreous.reports.errors import ReportError
from vitreous.spec.errors import near
from vitreous.spec.storage import StorageError, read_toml

Origin = Literal["measured", "published", "modelled", "assumed"]
"""How a value was obtained. ``modelled``: computed from other values, by scaling or a fit that its source names."""

DEFAULT_TECHNOLOGY = "fpga-ultrascale-plus"
"""The family for which area is reported too."""
DEFAULT_DRAM = "ddr4"
"""What the boards with such an FPGA carry."""

UNITS: Mapping[str, str] = {
    "multiply_int8": "pJ",
    "add_int32": "pJ",
    "register_bit": "pJ/bit",
    "clock_bit": "pJ/bit",
    "table_bit": "pJ/bit",
    "wire_bit": "pJ/bit",
    "data_dependence": "1",
    "leakage_register": "uW/bit",
    "leakage_memory": "mW/KiB",
    "device_power": "W",
}
"""The values of a technology but its memories, and their units."""
MEMORIES = ("memory_read", "memory_write")
MEMORY_UNIT = "pJ/64 bit"
DRAM_UNIT = "pJ/bit"

_TEXTS = ("title", "kind")
_NUMBERS = ("node_nm", "voltage_v")
_RANGE = ("low", "typical", "high")


@dataclass(frozen=True, slots=True)
class Range:
    """A quantity between ``low`` and ``high``; sums assume that all their parts are low, or high, together."""

    low: float
    typical: float
    high: float

    def __add__(self, other: Range) -> Range:
        return Range(self.low + other.low, self.typical + other.typical, self.high + other.high)

    def __mul__(self, factor: float | Range) -> Range:
        if isinstance(factor, Range):
            return Range(self.low * factor.low, self.typical * factor.typical, self.high * factor.high)
        return Range(self.low * factor, self.typical * factor, self.high * factor)

    __rmul__ = __mul__

    def __truediv__(self, divisor: float) -> Range:
        return self * (1 / divisor)


ZERO = Range(0.0, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Value:
    """A range with its unit, where it comes from (``source``) and how it was obtained (``how``)."""

    range: Range
    unit: str
    source: str
    how: Origin


@dataclass(frozen=True, slots=True)
class MemoryCost:
    """Energy of an access of 64 bits by capacity: ``points`` of (KiB, pJ), capacities rising."""

    points: tuple[tuple[float, Range], ...]
    unit: str
    source: str
    how: Origin

    def at(self, kib: float) -> Range:
        """Energy in pJ of 64 bits of a memory of ``kib``: a power of the capacity between two points.

        Beyond the last point the same power continues; below the first one its energy holds.
        """
        first = self.points[0]
        if kib <= first[0] or len(self.points) == 1:
            return first[1]
        index = 1
        while index < len(self.points) - 1 and kib > self.points[index][0]:
            index += 1
        (x0, y0), (x1, y1) = self.points[index - 1], self.points[index]
        place = math.log(kib / x0) / math.log(x1 / x0)
        return Range(*(a * (b / a) ** place for a, b in zip(_triple(y0), _triple(y1), strict=True)))


@dataclass(frozen=True, eq=False)
class Technology:
    """One FPGA family or process. ``values`` by the names of ``UNITS``, ``memories`` by those of ``MEMORIES``."""

    name: str
    title: str
    kind: Literal["asic", "fpga"]
    node_nm: float
    voltage_v: float
    values: Mapping[str, Value]
    memories: Mapping[str, MemoryCost]

    def __getitem__(self, name: str) -> Range:
        return self.values[name].range


@dataclass(frozen=True, eq=False)
class Dram:
    """A type of DRAM: energy of a bit that is read or written, bursts of one row after the other."""

    name: str
    title: str
    bit: Value

    @cached_property
    def bit_pj(self) -> Range:
        return self.bit.range


def _triple(value: Range) -> tuple[float, float, float]:
    return value.low, value.typical, value.high


def _number(data: Mapping[str, Any], key: str, where: str) -> float:
    value = data[key]
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ReportError(f"{where}.{key} must be a number, not {value!r}")
    if value < 0:
        raise ReportError(f"{where}.{key} must not be negative, but is {value:g}")
    return float(value)


def _exactly(data: Any, keys: tuple[str, ...], where: str) -> Mapping[str, Any]:
    if not isinstance(data, Mapping):
        raise ReportError(f"{where} must be a table, not {data!r}")
    for problem, names in (
        ("has unknown entries", set(data) - set(keys)),
        ("lacks", set(keys) - set(data)),
    ):
        if names:
            raise ReportError(f"{where} {problem}: {', '.join(sorted(names))}")
    return data


def _range(data: Mapping[str, Any], where: str) -> Range:
    """Of ``low``, ``typical`` and ``high``, or of one ``value``."""
    if "value" in data:
        value = _number(data, "value", where)
        return Range(value, value, value)
    low, typical, high = (_number(data, key, where) for key in _RANGE)
    if not low <= typical <= high:
        raise ReportError(f"{where} must have low <= typical <= high, not {low:g}, {typical:g}, {high:g}")
    return Range(low, typical, high)


def _origin(data: Mapping[str, Any], unit: str, where: str) -> tuple[str, str, Origin]:
    if data["unit"] != unit:
        raise ReportError(f"{where}.unit must be {unit!r}, not {data['unit']!r}")
    if not isinstance(data["source"], str) or not data["source"].strip():
        raise ReportError(f"{where}.source must say where the value comes from")
    if data["how"] not in get_args(Origin):
        raise ReportError(f"{where}.how must be one of {', '.join(get_args(Origin))}, not {data['how']!r}")
    return unit, data["source"], data["how"]


def _keys(data: Any) -> tuple[str, ...]:
    single = isinstance(data, Mapping) and "value" in data
    return (*(("value",) if single else _RANGE), "unit", "source", "how")


def _value(data: Any, unit: str, where: str) -> Value:
    entries = _exactly(data, _keys(data), where)
    return Value(_range(entries, where), *_origin(entries, unit, where))


def _memory(data: Any, where: str) -> MemoryCost:
    entries = _exactly(data, ("points", "unit", "source", "how"), where)
    points: list[tuple[float, Range]] = []
    if not isinstance(entries["points"], list) or not entries["points"]:
        raise ReportError(f"{where}.points must be a list of capacities with their energies")
    for index, point in enumerate(entries["points"]):
        place = f"{where}.points[{index}]"
        _exactly(point, ("kib", *(key for key in _keys(point) if key in ("value", *_RANGE))), place)
        kib, energy = _number(point, "kib", place), _range(point, place)
        if not kib > (points[-1][0] if points else 0):
            raise ReportError(f"{place}.kib must be positive and above the previous point, not {kib:g}")
        if not energy.low > 0:
            raise ReportError(f"{place} must be above zero: an access of a memory costs energy")
        points.append((kib, energy))
    return MemoryCost(tuple(points), *_origin(entries, MEMORY_UNIT, where))


def _read(path: Path, what: str) -> dict[str, Any]:
    try:
        return read_toml(path, f"{what} file")
    except StorageError as error:
        raise ReportError(str(error)) from None


def _title(data: Mapping[str, Any], where: str) -> str:
    if not isinstance(data["title"], str) or not data["title"].strip():
        raise ReportError(f"{where}.title must be a sentence that says what this is, not {data['title']!r}")
    return data["title"]


def technology_from(data: Mapping[str, Any], name: str) -> Technology:
    """From the contents of a TOML file. Raises ReportError that names the entry."""
    _exactly(data, (*_TEXTS, *_NUMBERS, *UNITS, *MEMORIES), name)
    kind = data["kind"]
    if kind not in ("asic", "fpga"):
        raise ReportError(f"{name}.kind must be asic or fpga, not {kind!r}")
    node, voltage = (_number(data, key, name) for key in _NUMBERS)
    if not (node and voltage):
        raise ReportError(f"{name}: node_nm and voltage_v must be above zero")
    return Technology(
        name=name,
        title=_title(data, name),
        kind=kind,
        node_nm=node,
        voltage_v=voltage,
        values={key: _value(data[key], unit, f"{name}.{key}") for key, unit in UNITS.items()},
        memories={key: _memory(data[key], f"{name}.{key}") for key in MEMORIES},
    )


def _folder(drams: bool = False) -> Path:
    folder = Path(__file__).absolute().parent / "tech"
    return folder / "dram" if drams else folder


def named_technologies() -> list[str]:
    """The names that ``load_technology`` knows, sorted."""
    return sorted(path.stem for path in _folder().glob("*.toml"))


def named_drams() -> list[str]:
    """The names that ``load_dram`` knows, sorted."""
    return sorted(path.stem for path in _folder(drams=True).glob("*.toml"))


def _path(name_or_path: str, *, drams: bool) -> Path:
    if name_or_path.endswith(".toml"):
        return Path(name_or_path)
    path = _folder(drams) / f"{name_or_path}.toml"
    if not path.is_file():
        what, names = ("DRAM", named_drams()) if drams else ("technology", named_technologies())
        raise ReportError(
            f"Unknown {what} {name_or_path!r}; named ones are {', '.join(names)}, or give a .toml file"
            f"{near(name_or_path, names)}"
        )
    return path


@lru_cache(maxsize=64)
def load_technology(name_or_path: str) -> Technology:
    """A named technology of ``reports/energy/tech/`` or a TOML file. Raises ReportError."""
    path = _path(name_or_path, drams=False)
    return technology_from(_read(path, "technology"), path.stem)


@lru_cache(maxsize=64)
def load_dram(name_or_path: str) -> Dram:
    """A named type of DRAM of ``reports/energy/tech/dram/`` or a TOML file. Raises ReportError."""
    path = _path(name_or_path, drams=True)
    data = _exactly(_read(path, "DRAM"), ("title", "bit"), path.stem)
    return Dram(
        name=path.stem,
        title=_title(data, path.stem),
        bit=_value(data["bit"], DRAM_UNIT, f"{path.stem}.bit"),
    )
