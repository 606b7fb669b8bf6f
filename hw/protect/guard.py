"""Registers with a parity bit each.

A register's next value becomes a signal of its own, so that its parity is stored in the same cycle as the value itself:

    guard = Guard(m, on=parity)
    left, next_left = guard.register(Signal(16, name="left"))
    with m.If(step):
        m.d[guard.domain] += next_left.eq(left - 1)

Where it is off, ``next_left`` is ``left`` and ``guard.domain`` is ``"sync"``: the same description as without a guard.
"""

from __future__ import annotations

from typing import Any, TypeVar

from amaranth.hdl import Cat, Module, Signal, Value
from amaranth.lib import wiring
from amaranth.lib.wiring import Out

Register = TypeVar("Register", bound=Any)
Tuple = TypeVar("Tuple", bound="tuple[Any, ...]")


def upset_member(on: bool) -> dict[str, wiring.Member]:
    """``upset`` : Out(1), a part's own state is not as it was written, in this cycle. Only where it is guarded."""
    return {"upset": Out(1)} if on else {}


class Guard:
    """Makes registers of module ``m``; while ``on``, each with a parity bit that is compared in every cycle.

    ``domain`` is where the next values are assigned: ``"comb"`` while on, else ``"sync"``.
    """

    def __init__(self, m: Module, *, on: bool) -> None:
        self._m = m
        self._on = on
        self._differ: list[Value] = []

    @property
    def on(self) -> bool:
        """Whether there are parity bits."""
        return self._on

    @property
    def domain(self) -> str:
        """Of the assignments to next values."""
        return "comb" if self._on else "sync"

    def register(
        self, register: Register, *, covered: int | None = None, renewed: Value | None = None
    ) -> tuple[Register, Register]:
        """``register`` itself, a Signal or a View of one, and what its next value is assigned to, before any such
        assignment; without one it keeps its value.

        An upset stays one, whatever is written afterwards, until a reset or until a cycle with ``renewed``: the whole
        register is written then. ``covered``: bits from bit 0 on that matter, if not all.
        Raises ValueError while on where a reset leaves the register alone: then nothing would make its parity right.
        """
        if not self._on:
            return register, register
        value = Value.cast(register)
        assert isinstance(value, Signal)
        if value.reset_less:
            raise ValueError(f"Register {value.name} has a parity bit, so it must have a reset")
        following = Signal.like(register, name=f"{value.name}_next")
        parity = Signal(
            name=f"{value.name}_parity", init=(value.init & (1 << len(value[:covered])) - 1).bit_count() & 1
        )
        self._m.d.comb += Value.cast(following).eq(value)
        differs = Signal(name=f"{value.name}_differs")
        kept = differs if renewed is None else differs & ~renewed
        self._m.d.comb += differs.eq(value[:covered].xor() ^ parity)
        self._m.d.sync += [value.eq(following), parity.eq(Value.cast(following)[:covered].xor() ^ kept)]
        self._differ.append(differs)
        return register, following

    def registers(self, registers: Tuple) -> tuple[Tuple, Tuple]:
        """``register`` of each member of a named tuple."""
        pairs = [self.register(register) for register in registers]
        return registers, type(registers)(*(following for _, following in pairs))

    def behind(self, port: Signal) -> tuple[Signal, Signal]:
        """``register`` for an output that is one: ``port`` itself where off, else a register of its own, so that the
        port can be held back by ``unless_upset``."""
        return self.register(Signal.like(port, name=f"{port.name}_register") if self._on else port)

    def watch(self, upset: Value) -> None:
        """Another sign of an upset."""
        self._differ.append(upset)

    def parts(self, *parts: Any) -> None:
        """The ``upset`` of each of these counts as one of this guard. Parts have one while on."""
        self._differ.extend(part.upset for part in parts if self._on)

    @property
    def upset(self) -> Value:
        """One bit: a register is not as it was written, in this cycle. Only while on, after the last register."""
        assert self._on
        return Cat(self._differ).any()

    def unless_upset(self, value: Value) -> Value:
        """``value``, and 0 in the cycle of an upset; after the last register."""
        return value & ~self.upset if self._on else value

    def report(self, component: Any) -> None:
        """Drive ``component.upset``; after the last register."""
        if self._on:
            self._m.d.comb += component.upset.eq(self.upset)
