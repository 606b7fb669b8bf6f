"""The file of a space: a TOML file, read and checked (docs/exploration.md)."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vitreous.errors import RunError
from vitreous.explore.entries import number, only, strings, text
from vitreous.explore.evaluation import scheme_of
from vitreous.explore.fields import CALIBRATION, QUANTIZATION, Value, known_fields, neighbours, typed
from vitreous.explore.limits import read_limits
from vitreous.explore.objectives import OBJECTIVES
from vitreous.explore.space import Dimension, Space, Target
from vitreous.reports.area.area import named_targets
from vitreous.reports.energy.technology import load_dram, load_technology
from vitreous.spec.config import AcceleratorConfig, ConfigError, load_accelerator
from vitreous.spec.limits import MEMORY_LATENCY
from vitreous.spec.storage import StorageError, read_toml

LARGEST_RANGE = 1 << 20


def read_space(path: str | Path) -> Space:
    """The space of a file. Raises RunError with one sentence that names the key and what it may be."""
    path = Path(path)
    try:
        data = read_toml(path, "space")
    except StorageError as error:
        raise RunError(str(error)) from None
    return space_of(data, path.stem)


def space_of(data: Mapping[str, Any], name: str) -> Space:
    """A space from the contents of a file that is called ``name``. Raises RunError, ConfigError and ReportError."""
    keys = ("models", "accelerator", "objectives", "accuracy_images", "technology", "constraints", "space")
    only(data, keys, "the space")
    base = load_accelerator(text(data, "accelerator", "edge256"))
    objectives = strings(data, "objectives", ("latency", "energy", "area"))
    for objective in objectives:
        if objective not in OBJECTIVES:
            raise RunError(f"Unknown objective {objective!r}; the objectives are {', '.join(OBJECTIVES)}")
    targets = _targets(data.get("technology"))
    dimensions = tuple(_dimension(name, value) for name, value in _flat(data.get("space")))
    _check_values(base, dimensions)
    images = data.get("accuracy_images")
    space = Space(
        name=name,
        models=strings(data, "models", None),
        targets=targets,
        base=base,
        dimensions=dimensions,
        objectives=objectives,
        limits=read_limits(data.get("constraints", {}), targets[0].area),
        accuracy_images=None if images is None else number(data, "accuracy_images", int, low=1),
    )
    if not space.searched:
        raise RunError("[space] fixes every field that it names; give at least one of them two values")
    return space


def _targets(entries: object) -> tuple[Target, ...]:
    if isinstance(entries, Mapping):
        entries = [entries]
    if not isinstance(entries, list) or not entries:
        raise RunError("technology must be a table [technology], or several [[technology]], with a name")
    found = []
    for entry in entries:
        keys = ("name", "dram", "clock_mhz", "area", "memory_latency", "memory_throughput")
        only(entry, keys, "technology")
        target = Target(
            technology=text(entry, "name", None),
            dram=text(entry, "dram", None),
            clock_mhz=number(entry, "clock_mhz", float, low=1.0, where="technology."),
            area=text(entry, "area", "xcup"),
            memory_latency=number(entry, "memory_latency", int, MEMORY_LATENCY, low=1, where="technology."),
            memory_throughput=number(
                entry, "memory_throughput", int, 100, low=1, high=100, where="technology."
            ),
        )
        load_technology(target.technology)
        load_dram(target.dram)
        if target.area not in named_targets():
            raise RunError(f"Unknown area {target.area!r}; measured are {', '.join(named_targets())}")
        found.append(target)
    if len({target.label for target in found}) < len(found):
        raise RunError("Two [[technology]] tables have the same name, dram and clock_mhz")
    if len({target.area for target in found}) > 1:
        raise RunError("All [[technology]] tables must have the same area; make two spaces of them")
    return tuple(found)


def _flat(table: object, prefix: str = "") -> list[tuple[str, object]]:
    """Dotted names and their entries; ``array.lanes = ..`` and ``"array.lanes" = ..`` are the same."""
    if not isinstance(table, Mapping) or not table:
        raise RunError('[space] must name at least one field, as "array.lanes" = [4, 8, 16]')
    found: list[tuple[str, object]] = []
    for key, value in table.items():
        name = f"{prefix}{key}"
        if name in known_fields():
            found.append((name, value))
        elif isinstance(value, Mapping) and any(known.startswith(f"{name}.") for known in known_fields()):
            found += _flat(value, f"{name}.")
        else:
            raise RunError(f"Unknown field {name} in [space]; known here are {neighbours(name)}")
    return found


def _dimension(name: str, entry: object) -> Dimension:
    if isinstance(entry, Mapping):
        return Dimension(name=name, values=_range(name, entry))
    values = entry if isinstance(entry, list) else [entry]
    if not values:
        raise RunError(f"{name} must have at least one value; its list is empty")
    found = tuple(typed(name, value) for value in values)
    if len({(type(value), value) for value in found}) < len(found):
        raise RunError(f"{name} has a value twice: {', '.join(map(str, found))}")
    return Dimension(name=name, values=found)


def _range(name: str, entry: Mapping[str, Any]) -> tuple[int, ...]:
    """``low, low + step, ..`` or, with ``log``, ``low, 2 low, 4 low, ..``, up to ``high``."""
    if known_fields()[name] is not int:
        raise RunError(f"{name} is not an integer, so it takes a list of values, not a range")
    only(entry, ("low", "high", "step", "log"), f"the range {name}")
    low = number(entry, "low", int, low=1, where=f"{name}.")
    high = number(entry, "high", int, low=low, where=f"{name}.")
    log = entry.get("log", False)
    if not isinstance(log, bool):
        raise RunError(f"{name}.log must be true or false, not {log!r}")
    if log and "step" in entry:
        raise RunError(f"{name} has step and log; give one of them")
    if log:
        return tuple(low << doubled for doubled in range((high // low).bit_length()))
    step = number(entry, "step", int, 1, low=1, where=f"{name}.")
    if (high - low) // step >= LARGEST_RANGE:
        raise RunError(f"{name} has {(high - low) // step + 1} values; use step or log")
    return tuple(range(low, high + 1, step))


def _check_values(base: AcceleratorConfig, dimensions: tuple[Dimension, ...]) -> None:
    """Refuse a value that no combination with the other fields of its part allows: a typing error, not a design."""
    parts: dict[str, list[Dimension]] = {}
    for dimension in dimensions:
        parts.setdefault(dimension.name.partition(".")[0], []).append(dimension)
    for part, members in parts.items():
        for member in members:
            for value in dict.fromkeys((member.values[0], member.values[-1], *member.values[:64])):
                others = [[(d.name, v) for v in d.values[:64]] for d in members if d is not member]
                _check_value(base, part, member.name, value, others)


def _check_value(
    base: AcceleratorConfig, part: str, name: str, value: Value, others: list[list[tuple[str, Value]]]
) -> None:
    refusal: Exception | None = None
    for chosen in itertools.islice(itertools.product(*others), 4096):
        try:
            if part == QUANTIZATION:
                check_scheme(dict([*chosen, (name, value)]))
            else:
                fields = {key.partition(".")[2]: item for key, item in [*chosen, (name, value)]}
                current = getattr(base, part)
                type(current)(**{**{f: getattr(current, f) for f in current.__dataclass_fields__}, **fields})
            return
        except (ConfigError, RunError) as error:
            refusal = refusal or error
    assert refusal is not None
    raise RunError(str(refusal))


def check_scheme(settings: Mapping[str, Value]) -> None:
    """Whether a quantization with ``settings`` by dotted name can be. Raises RunError."""
    from vitreous.quant.errors import QuantError

    count = settings.get(CALIBRATION, 1)
    if not isinstance(count, int) or count < 1:
        raise RunError(f"{CALIBRATION} must be at least 1, not {count}")
    try:
        scheme_of({name.partition(".")[2]: value for name, value in settings.items()})
    except QuantError as error:
        raise RunError(f"{QUANTIZATION}: {error}") from None
