"""A small accelerator and small programs for the tests of the whole machine."""

from __future__ import annotations

import random

from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, MemoryConfig, QueueConfig
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, make

LOAD_BIT, STORE_BIT = 1 << Queue.LOAD, 1 << Queue.STORE


def relay_config(data_bits: int = 64) -> AcceleratorConfig:
    return AcceleratorConfig(
        array=ArrayConfig(lanes=4, depth=1),
        memory=MemoryConfig(
            activation_kib=1, weight_kib=1, residual_kib=1, parameter_entries=32, score_keys=16
        ),
        bus=BusConfig(data_bits=data_bits, burst_beats=4, outstanding_reads=2),
        queue=QueueConfig(depth=2),
    )


def load(words: int = 16, *, wait: int = 0, signal: int = 0, **fields: int) -> Instruction:
    values = {"memory": Memory.X, "base": 0, "rows": 1, "stride": 0, "dram_offset": 0x1000, "dram_stride": 0}
    return make(Opcode.LOAD, words=words, **{**values, **fields}).with_tokens(wait=wait, signal=signal)


def store(words: int = 16, *, wait: int = 0, signal: int = 0, **fields: int) -> Instruction:
    values = {"memory": Memory.X, "base": 0, "rows": 1, "stride": 0, "dram_offset": 0, "dram_stride": 0}
    return make(Opcode.STORE, words=words, **{**values, **fields}).with_tokens(wait=wait, signal=signal)


END = make(Opcode.END)
DATA = random.Random(1).randbytes(0x800)
# Two panels of X through one buffer: the second load waits for the first store. Three words at the end of the
# first are cleared.
RELAY = [
    load(signal=STORE_BIT),
    make(Opcode.FILL, memory=Memory.X, base=13, words=3).with_tokens(wait=0, signal=STORE_BIT),
    store(wait=LOAD_BIT, signal=LOAD_BIT),
    load(words=9, wait=STORE_BIT, signal=STORE_BIT, dram_offset=0x1200),
    store(words=9, wait=LOAD_BIT, dram_offset=256),
    load(words=24, memory=Memory.R, signal=STORE_BIT, dram_offset=0x1400),
    store(words=24, memory=Memory.R, wait=LOAD_BIT, dram_offset=512),
    END,
]
# The first store must not run before the fill, so it waits for a second token from the load queue.
RELAY[2:3] = [store(words=1, wait=LOAD_BIT, dram_offset=1024), store(wait=LOAD_BIT, signal=LOAD_BIT)]


def expected(write_size: int = 0x1000) -> bytes:
    image = bytearray(write_size)
    image[0:64] = DATA[:52] + bytes(12)
    image[256:292] = DATA[0x200:0x224]
    image[512 : 512 + 24 * 8] = DATA[0x400 : 0x400 + 24 * 8]
    image[1024:1028] = DATA[:4]
    return bytes(image)
