"""What several proofs need: registers of a unit by name, time since the start, stream rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from amaranth.hdl import Assert, Assume, Fragment, Module, Mux, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import In


def open_unit(m: Module, unit: Any, name: str = "unit") -> dict[str, Signal]:
    """Make ``unit`` a submodule and return the signals that it drives itself, by name.

    An invariant about a hidden register can then be stated, which k-induction needs.
    """
    fragment = Fragment.get(unit, None)
    m.submodules[name] = fragment
    driven: dict[str, Signal] = {}
    for statements in fragment.statements.values():
        for statement in statements:
            driven |= {signal.name: signal for signal in statement._lhs_signals()}
    return driven


class UnitTop(wiring.Component):
    """A unit whose inputs are all free, and what ``check(m, unit, registers, free)`` assumes and asserts about it.

    ``free`` names the check's own free inputs; they reach it as an object with these attributes.
    """

    def __init__(self, unit: Any, check: Callable[..., None], **free: Any) -> None:
        self.unit, self._check = unit, check
        super().__init__({name: In(shape) for name, shape in free.items()})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        self._check(m, self.unit, open_unit(m, self.unit), self)
        return m


def past(m: Module, value: Any, cycles: int = 1, *, name: str) -> Signal:
    """``value`` some cycles ago; 0 before the start."""
    current = Value.cast(value)
    for cycle in range(cycles):
        following = Signal(current.shape(), name=f"{name}_past_{cycle}")
        m.d.sync += following.eq(current)
        current = following
    return current


def past_when(m: Module, event: Any, value: Any, name: str) -> Signal:
    """``value`` at the last ``event``."""
    kept = Signal.like(value, name=name)
    with m.If(event):
        m.d.sync += kept.eq(value)
    return kept


def elapsed(m: Module, maximum: int) -> Signal:
    """Cycles since the start, at most ``maximum``."""
    time = Signal(range(maximum + 1), name="elapsed")
    with m.If(time != maximum):
        m.d.sync += time.eq(time + 1)
    return time


def constant(m: Module, value: Any, name: str) -> None:
    """Assume that the free input ``value`` keeps one (any) value."""
    begun = past(m, 1, name=f"{name}_begun")
    m.d.comb += Assume(~begun | (value == past(m, value, name=name)))


def _holds(m: Module, stream: Any, name: str, unless: Any) -> Value:
    payload = Value.cast(stream.payload)
    waits = past(m, stream.valid & ~stream.ready, name=f"{name}_waits")
    before = past(m, payload, name=f"{name}_payload")
    return ~waits | unless | (stream.valid & (payload == before))


def assume_holds(m: Module, stream: Any, name: str) -> None:
    """The environment keeps an offered payload until it is taken."""
    m.d.comb += Assume(_holds(m, stream, name, 0))


def assert_holds(m: Module, stream: Any, name: str, unless: Any = 0) -> None:
    """The unit keeps an offered payload until it is taken (or ``unless`` says that the contract ends)."""
    m.d.comb += Assert(_holds(m, stream, name, unless))


def count(m: Module, event: Any, bits: int, name: str) -> Signal:
    """Events so far, modulo ``2**bits``."""
    events = Signal(bits, name=name)
    m.d.sync += events.eq(events + event)
    return events


def assert_in_order(
    m: Module, put: Any, item: Any, take: Any, result: Any, chosen: Any, name: str
) -> tuple[Signal, Signal]:
    """What is taken is what was put, in the same order: nothing dropped, duplicated, changed or swapped.

    For any one constant place ``chosen`` of the sequence (a free input) the item that was put there must be the
    one that is taken there. Returns the numbers of items put and taken, modulo the range of ``chosen``.
    """
    item, result = Value.cast(item), Value.cast(result)
    constant(m, chosen, f"{name}_chosen")
    puts = count(m, put, len(chosen), f"{name}_put")
    takes = count(m, take, len(chosen), f"{name}_taken")
    kept, held = Signal(len(item), name=f"{name}_kept"), Signal(name=f"{name}_held")
    with m.If(put & (puts == chosen)):
        m.d.sync += [kept.eq(item), held.eq(1)]
    with m.If(take & (takes == chosen)):
        m.d.comb += Assert(Mux(held, result == kept, put & (puts == chosen) & (result == item)))
        m.d.sync += held.eq(put & (puts == chosen) & held)
    return puts, takes
