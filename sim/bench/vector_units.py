"""The hardware side of the vector bench: units that compare their outputs with what a word says, under one top."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
from amaranth.back import verilog
from amaranth.hdl import (
    Cat,
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Module,
    ResetSignal,
    Shape,
    Value,
)
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from vitreous.spec.errors import VitreousError

TOP = "vector_bench"
_UNITS = "vector_units"
_CONTAINERS = (1, 2, 4, 8)


class VectorError(VitreousError, ValueError):
    """Vectors that do not fit a unit, or a bench that did not compare what it was given."""


@dataclass(frozen=True, kw_only=True)
class Port:
    """``count`` values of ``width`` bits, each in a container of ``size`` bytes; the first at byte ``offset``."""

    name: str
    width: int
    signed: bool
    count: int
    offset: int

    def of(self, component: Any) -> Value:
        """The port, or the field of a structure, that the name stands for."""
        return Value.cast(reduce(getattr, self.name.split("."), component))

    @property
    def size(self) -> int:
        return next(size for size in _CONTAINERS if 8 * size >= self.width)

    @property
    def end(self) -> int:
        return self.offset + self.size * self.count

    @property
    def dtype(self) -> tuple[str, str, tuple[int]]:
        """Of a record in the file: big-endian, because ``$fread`` fills a word from its top."""
        return self.name, f">{'i' if self.signed else 'u'}{self.size}", (self.count,)

    def values(self, word: Value) -> list[Value]:
        """The values in the containers of a word."""
        places = (8 * (self.offset + self.size * index) for index in range(self.count))
        return [word[place : place + self.width] for place in places]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """The word of one cycle: inputs, a check byte for each output, expected outputs; offsets count from the low end."""

    inputs: tuple[Port, ...]
    checks: tuple[Port, ...]
    outputs: tuple[Port, ...]

    @property
    def bytes(self) -> int:
        return (*self.inputs, *self.checks, *self.outputs)[-1].end

    @property
    def dtype(self) -> np.dtype[Any]:
        """A record of the file; the last value of an array comes first."""
        return np.dtype([p.dtype for p in reversed((*self.inputs, *self.checks, *self.outputs))])

    @property
    def actual_dtype(self) -> np.dtype[Any]:
        """The outputs alone."""
        return np.dtype([p.dtype for p in reversed(self.outputs)])


def _elements(shape: Any) -> tuple[int, int, bool]:
    """(count, width, signed) of a member; what is wider than 64 bits is a row of bytes."""
    if isinstance(shape, data.ArrayLayout):
        count, width, signed = _elements(shape.elem_shape)
        return count * shape.length, width, signed
    plain = Shape.cast(shape)
    if plain.width <= 64:
        return 1, plain.width, plain.signed
    if plain.width % 8:
        raise VectorError(f"A member of {plain.width} bits is neither an array nor a row of bytes")
    return plain.width // 8, 8, False


def _fields(name: str, shape: Any) -> Iterator[tuple[str, Any]]:
    """A member, or the fields of one that is a structure, as ``member.field``."""
    if isinstance(shape, data.StructLayout):
        for key, field in shape:
            yield from _fields(f"{name}.{key}", field.shape)
    else:
        yield name, shape


def layout(component: wiring.Component) -> Layout:
    """Of all members of ``component``. Raises VectorError where it has other members than plain ports."""
    offset = 0

    def port(name: str, shape: Any) -> Port:
        nonlocal offset
        count, width, signed = _elements(shape)
        made = Port(name=name, width=width, signed=signed, count=count, offset=offset)
        offset = made.end
        return made

    members = component.signature.members
    for name, member in members.items():
        if not member.is_port or member.dimensions:
            raise VectorError(f"Member {name} is not a plain port; wrap the unit in one that has only ports")
    found = {
        flow: [
            pair for n, member in members.items() if member.flow is flow for pair in _fields(n, member.shape)
        ]
        for flow in (In, Out)
    }
    inputs = [port(*pair) for pair in found[In]]
    outputs = found[Out]
    if not outputs:
        raise VectorError("A unit without outputs has nothing to compare")
    checks = [port(f"check {name}", 1) for name, _ in outputs]
    return Layout(inputs=tuple(inputs), checks=tuple(checks), outputs=tuple(port(*pair) for pair in outputs))


class Copies(wiring.Component):
    """``count`` units side by side, each member an array: a unit of one lane gets ``count`` vectors a cycle."""

    def __init__(self, make: Callable[[], wiring.Component], *, count: int) -> None:
        self.units = [make() for _ in range(count)]
        if (latency := getattr(self.units[0], "LATENCY", None)) is not None:
            self.LATENCY = latency
        members = self.units[0].signature.members.items()
        super().__init__(
            {name: wiring.Member(m.flow, data.ArrayLayout(m.shape, count)) for name, m in members}
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, unit in enumerate(self.units):
            m.submodules[f"copy_{index}"] = unit
            for name, member in unit.signature.members.items():
                outer, inner = Value.cast(getattr(self, name)[index]), Value.cast(getattr(unit, name))
                m.d.comb += inner.eq(outer) if member.flow is In else outer.eq(inner)
        return m


class CheckedUnit(wiring.Component):
    """A unit with its comparison. ``word`` : In. ``wrong`` : Out, a checked output differs. ``checks`` : Out, outputs
    that are checked. ``actual`` : Out, all outputs in their containers.
    """

    def __init__(self, component: wiring.Component) -> None:
        self.component, self.layout = component, layout(component)
        super().__init__(
            {
                "word": In(8 * self.layout.bytes),
                "wrong": Out(1),
                "checks": Out(range(len(self.layout.outputs) + 1)),
                "actual": Out(8 * self.layout.actual_dtype.itemsize),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.unit = self.component
        wrong, checks, actual = [], [], []
        for port in self.layout.inputs:
            m.d.comb += port.of(self.component).eq(Cat(*port.values(self.word)))
        for port, check in zip(self.layout.outputs, self.layout.checks, strict=True):
            seen = port.of(self.component)
            checks.append(check.values(self.word)[0])
            differs = seen.as_unsigned() != Cat(*port.values(self.word))
            wrong.append(checks[-1] & differs)
            padding = Const(0, 8 * port.size - port.width)
            for index in range(port.count):
                actual += [seen[port.width * index : port.width * (index + 1)], padding]
        m.d.comb += [
            self.wrong.eq(Cat(*wrong).any()),
            self.checks.eq(sum(checks)),
            self.actual.eq(Cat(*actual)),
        ]
        return m


class _Units(wiring.Component):
    """All units side by side, each with its own clock and reset."""

    def __init__(self, components: Mapping[str, wiring.Component]) -> None:
        self.units = [CheckedUnit(component) for component in components.values()]
        members: dict[str, Any] = {}
        for index, unit in enumerate(self.units):
            members |= {f"clk_{index}": In(1), f"rst_{index}": In(1)}
            members |= {f"{name}_{index}": member for name, member in unit.signature.members.items()}
        super().__init__(members)

    def elaborate(self, platform: object) -> Module:
        m = Module()
        for index, unit in enumerate(self.units):
            domain = f"domain_{index}"
            m.domains += ClockDomain(domain)
            m.submodules[f"checked_{index}"] = DomainRenamer(domain)(unit)
            m.d.comb += [
                ClockSignal(domain).eq(getattr(self, f"clk_{index}")),
                ResetSignal(domain).eq(getattr(self, f"rst_{index}")),
                unit.word.eq(getattr(self, f"word_{index}")),
                *(getattr(self, f"{n}_{index}").eq(getattr(unit, n)) for n in ("wrong", "checks", "actual")),
            ]
        return m


def emit(components: Mapping[str, wiring.Component]) -> str:
    """Verilog of the units and of the bench's top, which has one ``vector_reader`` for each."""
    units = _Units(components)
    text = verilog.convert(units, name=_UNITS, strip_internal_attrs=True, emit_src=False)
    readers, connections = [], []
    for index, unit in enumerate(units.units):
        widths = {name: Shape.cast(m.shape).width for name, m in unit.signature.members.items()}
        wires = "".join(f"  wire [{width - 1}:0] {name}_{index};\n" for name, width in widths.items())
        ports = ["clk", "rst", *widths]
        connections += [f".{name}_{index}({name}_{index})" for name in ports]
        readers.append(
            f"  wire clk_{index}, rst_{index};\n{wires}"
            f"  vector_reader #(.UNIT({index}), .WORD_BITS({widths['word']}), .CHECK_BITS({widths['checks']}),\n"
            f"      .ACTUAL_BITS({widths['actual']})) reader_{index} (\n"
            f"      {', '.join(f'.{name}({name}_{index})' for name in ports)}, .finished(ended[{index}]));\n"
        )
    top = (
        f"module {TOP} (output wire finished);\n  wire [{len(readers) - 1}:0] ended;\n"
        f"  assign finished = |ended;\n{''.join(readers)}"
        f"  {_UNITS} units ({', '.join(connections)});\nendmodule\n"
    )
    return f"{text}\n`timescale 1ns/1ps\n{top}"
