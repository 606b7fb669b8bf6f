"""The readout's sequencer alone: columns, tags, addresses and parameter addresses of random instructions."""

from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator

from tests.hw.matrix.test_operand_sequencer import random_programs
from tests.support.hw.matrix_programs import small
from vitreous.hw.matrix.partial_contexts import depth as context_depth
from vitreous.hw.matrix.readout import Readout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Memory, Operands, Scale
from vitreous.spec.opcodes.matmul import has_result

TAG = (
    "first",
    "last",
    "index",
    "select",
    "low",
    "summed",
    "older",
    "kept",
    "first_block",
    "last_block",
    "destination",
    "slot",
    "scale",
    "residual",
    "activation",
    "addr",
    "pc",
)


BLOCKS = ("first_block", "last_block")


def places(config: AcceleratorConfig) -> int:
    """Of partial contexts, or of a tile's columns where there are none."""
    return max(config.array.lanes, context_depth(config))


def tag_value(ctx: Any, tag: Any, name: str) -> int:
    found: int = ctx.get(getattr(tag.part if name in ("low", "summed", "older") else tag, name))
    return found


def tiles_of(config: AcceleratorConfig, program: list[Instruction]) -> list[tuple[int, int, int, int]]:
    """(pc, r, c, plane) of every tile in order; plane 1 is the high one of two, 2 the low one."""
    return [
        (pc, r, c, plane)
        for pc, i in enumerate(program)
        for r in range(i["row_tiles"])
        for c in range(-(-i["columns"] // config.array.lanes))
        for plane in ((1, 2) if i["extra_planes"] else (0,))
    ]


def expected_columns(
    config: AcceleratorConfig, i: Instruction, tile: tuple[int, int, int, int]
) -> list[dict[str, int]]:
    pc, r, c, plane = tile
    if plane == 1:
        columns = range(c * config.array.lanes, min(i["columns"], (c + 1) * config.array.lanes))
        older = 1 - i["first_block"]
        return [
            {"hold": 1, "select": column % places(config), "summed": 1, "low": 0, "older": older}
            for column in columns
        ]
    lanes, depth, found = config.array.lanes, config.array.depth, []
    context = i["operands"] == Operands.SW
    for j in range(lanes):
        column = c * lanes + j
        if column >= i["columns"]:
            break
        last, to_r = column == i["columns"] - 1, i["destination"] == Memory.R
        row = 0 if i["destination"] == Memory.S else i["o_base"] + r * i["o_stride"]
        read = {Scale.COLUMN: i["p_base"] + column, Scale.TENSOR: i["p_base"]}.get(Scale(i["scale"]), -1)
        found.append(
            {
                **{name: i[name] for name in ("destination", "slot", "scale", "activation", *BLOCKS)},
                "first": int(column == 0),
                "last": int(last),
                "index": column % depth,
                "select": column % places(config),
                "low": int(plane == 2),
                "summed": int(plane == 2 or (context and not (i["first_block"] and i["last_block"]))),
                "older": int(plane == 2 or not i["first_block"]),
                "kept": int(not has_result(i)),
                "residual": int(to_r and i["residual"] and has_result(i)),
                "addr": row + (column if to_r else column // depth),
                "pc": pc,
                "emit": int(to_r or last or column % depth == depth - 1),
                "done": int(last and r == i["row_tiles"] - 1),
                "p_addr": read,
            }
        )
    return found


def readout(
    config: AcceleratorConfig, program: list[Instruction], spacing: list[int]
) -> list[tuple[int, dict[str, int]]]:
    """Starts tile ``n`` ``spacing[n]`` cycles after the one before; returns (cycles since the tile's start, column)."""
    unit, seen, tiles = Readout(config), [], tiles_of(config, program)

    async def bench(ctx: Any) -> None:
        taken = 0
        for n, (pc, r, c, plane) in enumerate(tiles):
            i = program[pc]
            last_tile = n + 1 == len(tiles)
            for cycle in range(spacing[n]):
                ctx.set(unit.start, cycle == 0)
                begins = plane != 2
                tile = {
                    "instruction_first": int(r == c == 0 and begins),
                    "row_first": int(c == 0 and begins),
                    "instruction_last": int(last_tile or tiles[n + 1][0] != pc),
                    "plane": {"high": plane & 1, "low": plane >> 1},
                }
                ctx.set(unit.tile, tile if cycle == 0 else {})
                if taken < len(program):
                    ctx.set(
                        unit.descriptor.payload.fields.as_value(),
                        int.from_bytes(program[taken].encode(), "little"),
                    )
                    ctx.set(unit.descriptor.payload.pc, taken)
                record(ctx, cycle, n)
                taken += ctx.get(unit.descriptor.ready)
                await ctx.tick()
            assert taken == pc + 1
            assert i is program[taken - 1]
        for cycle in range(config.array.lanes + 2):
            ctx.set(unit.start, 0)
            record(ctx, spacing[-1] + cycle, len(tiles))
            await ctx.tick()

    def record(ctx: Any, cycle: int, n: int) -> None:
        if not ctx.get(unit.flags.valid):
            assert not ctx.get(unit.flags.emit) | ctx.get(unit.flags.done) | ctx.get(unit.p_valid)
            if ctx.get(unit.flags.hold):
                names = ("select", "summed", "low", "older")
                held = {"hold": 1, **{name: tag_value(ctx, unit.tag, name) for name in names}}
                seen.append((cycle if cycle else spacing[n - 1], held))
            return
        assert not ctx.get(unit.flags.hold)
        column = {name: tag_value(ctx, unit.tag, name) for name in TAG}
        column |= {"emit": ctx.get(unit.flags.emit), "done": ctx.get(unit.flags.done)}
        column["p_addr"] = ctx.get(unit.p_addr) if ctx.get(unit.p_valid) else -1
        # With cycle 0 the last column of the tile before may still be there.
        seen.append((cycle if cycle else spacing[n - 1], column))

    simulator = Simulator(unit)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return seen


@pytest.mark.parametrize("gaps", [False, True])
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (4, 2), (4, 8), (8, 4)])
def test_columns(lanes: int, depth: int, gaps: bool) -> None:
    config = small(lanes, depth)
    program = random_programs(config, 15, seed=depth)
    tiles = tiles_of(config, program)
    rng = np.random.default_rng(0)
    spacing = [lanes + int(gaps and rng.integers(4)) for _ in tiles]
    seen = readout(config, program, spacing)
    wanted = [column for tile in tiles for column in expected_columns(config, program[tile[0]], tile)]
    assert [column for _, column in seen] == wanted
    # Column j comes LATENCY + j cycles after its tile's start.
    assert all(cycle == Readout.LATENCY + column["select"] % lanes for cycle, column in seen)
