"""The patch unfolder alone against the loop nest of docs/machine.md: order, masks, widths of a write, stalls."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.hw.simulation import simulate, sink, source
from tests.support.hw.transfer_bench import small
from tests.support.instructions import zeros
from vitreous.hw.load.patches import PatchUnfolder
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Instruction, Opcode

Writes = dict[tuple[int, int], int]
"""(word address, byte in the word) to value."""


def unfold(config: AcceleratorConfig, i: Instruction, rows: list[bytes]) -> Writes:
    """docs/machine.md, word for word."""
    lanes, depth, patch, writes = config.array.lanes, config.array.depth, i["patch"], {}
    pixels = iter(rows)
    for gy in range(i["grid_rows"]):
        for c in range(i["channels"]):
            for y in range(patch):
                row = next(pixels)
                for gx in range(i["grid_columns"]):
                    for x in range(patch):
                        token, k = i["first_token"] + gy * i["grid_columns"] + gx, (c * patch + y) * patch + x
                        where = i["base"] + token // lanes * i["stride"] + k // depth
                        writes[where, token % lanes * depth + k % depth] = row[gx * patch + x]
                        if k == i["channels"] * patch * patch - 1:
                            for rest in range(k % depth + 1, depth):
                                writes[where, token % lanes * depth + rest] = 0
    return writes


def write_count(depth: int, beat: int, i: Instruction) -> int:
    """Writes end where the patch row, the panel word or the beat ends."""
    patch, count = i["patch"], 0
    for _ in range(i["grid_rows"]):
        for c in range(i["channels"]):
            for y in range(patch):
                for gx in range(i["grid_columns"]):
                    starts = range(gx * patch, (gx + 1) * patch)
                    k = (c * patch + y) * patch
                    count += sum(
                        p == gx * patch or p % beat == 0 or (k + p - gx * patch) % depth == 0 for p in starts
                    )
    return count


@pytest.mark.parametrize("stall", [0.0, 0.4])
@pytest.mark.parametrize("data_bits", [64, 256])
@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (4, 4), (8, 2), (8, 8)])
def test_random_images(lanes: int, depth: int, data_bits: int, stall: float) -> None:
    config, rng = small(lanes, depth, data_bits), random.Random(lanes * depth + data_bits)
    beat = data_bits // 8
    for _ in range(3):
        patch, channels = rng.randint(1, 7), rng.randint(1, 3)
        i = zeros(
            Opcode.LOAD_PATCHES,
            base=rng.randrange(50),
            stride=-(-channels * patch**2 // depth) + rng.randrange(3),
            first_token=rng.randrange(3 * lanes),
            patch=patch,
            grid_columns=rng.randint(1, 5),
            grid_rows=rng.randint(1, 3),
            channels=channels,
        )
        count = i["grid_rows"] * i["channels"] * i["patch"]
        rows = [rng.randbytes(i["grid_columns"] * i["patch"]) for _ in range(count)]
        check(config, i, rows, beat, rng, stall)


def test_more_channels_than_a_byte_counts() -> None:
    config, rng = small(4, 4, 64), random.Random(3)
    i = zeros(
        Opcode.LOAD_PATCHES,
        base=7,
        stride=66,
        first_token=2,
        patch=1,
        grid_columns=3,
        grid_rows=2,
        channels=261,
    )
    rows = [rng.randbytes(3) for _ in range(2 * 261)]
    check(config, i, rows, 8, rng, 0.0)


def check(
    config: AcceleratorConfig, i: Instruction, rows: list[bytes], beat: int, rng: random.Random, stall: float
) -> None:
    dut, depth = PatchUnfolder(config), config.array.depth
    expected = write_count(depth, beat, i)

    async def bench(ctx: Any) -> None:
        ctx.set(dut.command.payload, {"opcode": i.opcode, **i.fields})
        ctx.set(dut.command.valid, 1)
        await ctx.tick()
        ctx.set(dut.command.valid, 0)
        assert not ctx.get(dut.command.ready), "one instruction at a time"
        got, cycles = await sink(ctx, dut.o, expected, rng, stall)
        assert [w.last for w in got] == [0] * (expected - 1) + [1]
        writes: Writes = {}
        for w in got:
            touched = [b for b in range(config.panel_word_bytes) if w.mask >> b & 1]
            assert 1 <= len(touched) <= depth
            assert len({b // depth for b in touched}) == 1, "one lane in a write"
            for b in touched:
                assert (w.addr, b) not in writes, "a byte twice"
                writes[w.addr, b] = w.data >> 8 * (b % depth) & 0xFF
        assert writes == unfold(config, i, rows)
        assert ctx.get(dut.command.ready)
        if not stall:
            assert cycles <= expected + 4, "up to V bytes of a patch row a cycle"

    beats = [row[at : at + beat] for row in rows for at in range(0, len(row), beat)]
    numbers = [int.from_bytes(part + rng.randbytes(beat - len(part)), "little") for part in beats]
    simulate(dut, bench, source(dut.i, numbers, rng, stall))
