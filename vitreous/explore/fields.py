"""The fields that a space may name: all of ``AcceleratorConfig`` and all of a quantization, by dotted name."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from vitreous.errors import RunError
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.variants import ACTIVATIONS, FUNCTIONS, ActivationFunction, ActivationVariant

Value = int | float | bool | str

QUANTIZATION = "quantization"
CALIBRATION = f"{QUANTIZATION}.calibration_images"
PROBABILITY = f"{QUANTIZATION}.probability_bits"
AUTO = "auto"
"""``quantization.probability_bits``: 16 in attentions where the network's output gains from them, else 8."""
NUMERIC_PARTS = ("softmax", "activation", "norm")
"""The parts of a configuration that change what the model computes; all others change only how fast."""


@cache
def known_fields() -> dict[str, type]:
    """Every dotted name and the type of its values, in the order of the configuration."""
    from vitreous.quant.scheme import QuantScheme

    found: dict[str, type] = {}
    default = AcceleratorConfig()
    for part in dataclasses.fields(default):
        inner = getattr(default, part.name)
        if dataclasses.is_dataclass(inner):
            for field in dataclasses.fields(inner):
                found[f"{part.name}.{field.name}"] = _type(getattr(inner, field.name))
    for field in dataclasses.fields(QuantScheme):
        found[f"{QUANTIZATION}.{field.name}"] = _type(getattr(QuantScheme(), field.name))
    # Not of one plain type: auto, 8 or 16. And not of the scheme: how many images.
    found[PROBABILITY] = object
    found[CALIBRATION] = int
    return found


def _type(value: object) -> type:
    """Of what a space may write: the member of a kind is a word there."""
    return str if isinstance(value, str) else type(value)


def neighbours(name: str) -> str:
    """The known names beside an unknown one: of the same part, or the parts."""
    part = name.partition(".")[0]
    same = [known for known in known_fields() if known.partition(".")[0] == part]
    return ", ".join(same) if same else ", ".join(dict.fromkeys(k.partition(".")[0] for k in known_fields()))


def typed(name: str, value: object) -> Value:
    """``value`` as the field ``name`` holds it; an integer also where a fraction may stand. Raises RunError."""
    wanted = known_fields()[name]
    if wanted is object:
        if value == AUTO or (type(value) is int and value in (8, 16)):
            return value
        raise RunError(f"{name} must be {AUTO}, 8 or 16, not {value!r}")
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:
        kinds = {int: "an integer", float: "a number", bool: "true or false", str: "a word in quotes"}
        raise RunError(f"{name} must be {kinds[wanted]}, not {value!r}")
    return value  # type: ignore[return-value]


@dataclass(frozen=True, kw_only=True)
class Design:
    """One point before anything is known about it: the accelerator and the quantization."""

    config: AcceleratorConfig
    quantization: Mapping[str, Value]

    @property
    def key(self) -> str:
        """The same for two designs exactly when nothing that has an effect differs."""
        contents = {k: v for k, v in self.config.as_dict().items() if k != "name"}
        return json.dumps([contents, dict(self.quantization)], sort_keys=True)


def design(base: AcceleratorConfig, settings: Mapping[str, Value]) -> Design:
    """``base`` with ``settings`` by dotted name. Raises ConfigError for a contradictory configuration."""
    data = base.as_dict()
    quantization: dict[str, Value] = {}
    for name, value in settings.items():
        part, _, field = name.partition(".")
        if part == QUANTIZATION:
            quantization[field] = value
        else:
            data[part][field] = value
    _without_effect(data)
    if quantization.get("observer") != "percentile":
        quantization.pop("percentile", None)
    return Design(config=AcceleratorConfig.from_dict(data), quantization=quantization)


def _without_effect(data: dict[str, Any]) -> None:
    """Fields that the chosen variant does not read get their defaults, so that equal hardware is one point."""
    default, activation = AcceleratorConfig().activation, data["activation"]
    variant, function = ActivationVariant(activation["variant"]), ActivationFunction(activation["function"])
    if not ACTIVATIONS[variant].tabulated:
        activation["step_bits"] = default.step_bits
        activation["range"] = FUNCTIONS[function].usual_range
    if not ACTIVATIONS[variant].interpolates:
        activation["interpolate"] = default.interpolate
