"""Checks of what a component is made with, at its construction: one sentence each, which names the parameter."""

from __future__ import annotations

from vitreous.spec.config import AcceleratorConfig


def accelerator(config: AcceleratorConfig) -> AcceleratorConfig:
    """``config``; raises TypeError when it is something else, as the name of an accelerator."""
    if not isinstance(config, AcceleratorConfig):
        raise TypeError(f"Config must be an AcceleratorConfig, not {config!r}")
    return config


def positive(name: str, value: int) -> int:
    """``value``; raises ValueError when it is no positive integer."""
    if not _is_integer(value) or value < 1:
        raise ValueError(f"{name} must be a positive integer, not {value!r}")
    return value


def within(name: str, value: int, least: int, most: int) -> int:
    """``value``; raises ValueError when it is no integer in ``least..most``."""
    if not _is_integer(value) or not least <= value <= most:
        raise ValueError(f"{name} must be an integer in {least}..{most}, not {value!r}")
    return value


def power_of_two(name: str, value: int, *, least: int = 1, most: int | None = None) -> int:
    """``value``; raises ValueError when it is no power of two from ``least`` on, to ``most``."""
    if not _is_integer(value) or value < least or value & (value - 1) or (most is not None and value > most):
        bounds = f"of at least {least}" if most is None else f"in {least}..{most}"
        raise ValueError(f"{name} must be a power of two {bounds}, not {value!r}")
    return value


def _is_integer(value: object) -> bool:
    """Python holds True for an integer; a width or a number of lanes it is not."""
    return isinstance(value, int) and not isinstance(value, bool)
