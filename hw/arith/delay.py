"""Plain delay lines for the tags and addresses that accompany data through a fixed-latency pipeline."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value


def delay_line(m: Module, value: Any, cycles: int, *, name: str, reset_less: bool = False) -> list[Any]:
    """``[value, value one cycle later, ..., value cycles later]``, of the same shape as ``value``.

    Only flags that start something need a reset; what they qualify is ``reset_less``, which simulates faster.
    Raises ValueError when ``cycles`` is negative.
    """
    if cycles < 0:
        raise ValueError(f"Cycles must not be negative, not {cycles!r}")
    taps = [value]
    for cycle in range(1, cycles + 1):
        shape = value.shape() if hasattr(value, "shape") else Value.cast(value).shape()
        tap = Signal(shape, name=f"{name}_{cycle}", reset_less=reset_less)
        m.d.sync += tap.eq(taps[-1])
        taps.append(tap)
    return taps
