"""Driving fixed-latency cores in Amaranth's simulator: one packed column a cycle in, one a cycle out."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from amaranth.hdl import Value
from amaranth.sim import Simulator


def pack(values: Iterable[int], width: int) -> int:
    """Lane 0 lowest, ``width`` bits each, two's complement."""
    word = 0
    for lane, value in enumerate(values):
        word |= (int(value) & ((1 << width) - 1)) << (lane * width)
    return word


def unpack(word: int, width: int, lanes: int, *, signed: bool) -> list[int]:
    """The inverse of ``pack``."""
    values = [(word >> (lane * width)) & ((1 << width) - 1) for lane in range(lanes)]
    return [v - (1 << width) if signed and v >> (width - 1) else v for v in values]


def run_pipeline(
    dut: Any, inputs: Sequence[Mapping[str, int]], outputs: Sequence[str], *, cycles: int
) -> list[dict[str, int]]:
    """Apply the member values of ``inputs[t]`` in cycle t; a missing one keeps its value.

    Returns the raw outputs that are visible in each of ``cycles`` cycles: a core answers ``inputs[t]`` at
    ``t + LATENCY``.
    """
    seen: list[dict[str, int]] = []
    members = {name: Value.cast(getattr(dut, name)) for name in {*outputs, *(n for i in inputs for n in i)}}

    async def bench(ctx: Any) -> None:
        for cycle in range(cycles):
            for name, value in inputs[cycle].items() if cycle < len(inputs) else ():
                ctx.set(members[name], value)
            seen.append({name: _raw(ctx.get(members[name]), len(members[name])) for name in outputs})
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


def _raw(value: int, width: int) -> int:
    return value & ((1 << width) - 1)
