"""The loader's protocol on a small memory and register file; the split between the two."""

from __future__ import annotations

import random
import struct
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from tests.support.hw.simulation import simulate, sink, source
from vitreous.hw.board.host_bus import REGISTERS_BIT, HostSplit, RegisterBridge
from vitreous.hw.board.loader import Loader
from vitreous.hw.board.memory import AxiRam
from vitreous.hw.control.registers import Registers
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Register

CONFIG = AcceleratorConfig()


class Dut(wiring.Component):
    """The loader in front of 32 words of memory and the accelerator's registers."""

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.submodules.loader = loader = Loader()
        m.submodules.split = split = HostSplit()
        m.submodules.bridge = bridge = RegisterBridge()
        m.submodules.memory = memory = AxiRam(data_bits=64, beats=16)
        m.submodules.registers = registers = Registers(CONFIG)
        wiring.connect(m, wiring.flipped(self.i), loader.i)
        wiring.connect(m, loader.o, wiring.flipped(self.o))
        wiring.connect(m, loader.host, split.host)
        wiring.connect(m, split.memory, memory.host)
        wiring.connect(m, split.registers, bridge.host)
        wiring.connect(m, bridge.bus, registers.bus)
        return m


def request(kind: bytes, address: int, words: list[int] | int) -> bytes:
    if isinstance(words, int):
        return kind + struct.pack("<II", address, words)
    return kind + struct.pack(f"<II{len(words)}I", address, len(words), *words)


def answer(words: list[int], *, read: bool) -> bytes:
    data = struct.pack(f"<{len(words)}I", *words)
    return (data if read else b"") + bytes([sum(data) & 0xFF])


@pytest.mark.parametrize("stall", [0.0, 0.6])
def test_requests(stall: float) -> None:
    rng = random.Random(11)
    words = [rng.getrandbits(32) for _ in range(9)]
    registers = 1 << REGISTERS_BIT
    sent = b"\0\0" + request(b"W", 8, words) + request(b"R", 8, len(words)) + b"\0?"
    got = answer(words, read=False) + answer(words, read=True)
    sent += request(b"R", registers | Register.MAGIC, 2)
    got += answer([isa.MAGIC_VALUE, CONFIG.digest32], read=True)
    sent += request(b"W", registers | Register.READ_SIZE, [0x1234]) + request(
        b"R", registers | Register.READ_SIZE, 1
    )
    got += answer([0x1234], read=False) + answer([0x1234], read=True)
    sent += request(b"W", 0, []) + request(b"R", 4, 2)
    got += answer([], read=False) + answer([0, words[0]], read=True)
    dut = Dut()

    async def bench(ctx: Any) -> None:
        seen, _ = await sink(ctx, dut.o, len(got), rng, stall)
        assert bytes(seen) == got

    simulate(dut, bench, source(dut.i, list(sent), rng, stall))
