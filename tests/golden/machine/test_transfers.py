"""LOAD, FILL, LOAD_PATCHES and STORE against byte-by-byte loops."""

from __future__ import annotations

import numpy as np
import pytest

from vitreous.golden.machine import Machine, MachineError
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, MemoryConfig
from vitreous.spec.isa import ErrorCode, Memory, Opcode, make

SMALL = MemoryConfig(activation_kib=16, weight_kib=16, residual_kib=16, parameter_entries=64, score_keys=64)


def machine_of(lanes: int = 8, depth: int = 4, data_bits: int = 64) -> Machine:
    array, bus = ArrayConfig(lanes=lanes, depth=depth), BusConfig(data_bits=data_bits)
    return Machine(AcceleratorConfig(array=array, memory=SMALL, bus=bus))


def random_bytes(size: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, size).astype(np.uint8)


@pytest.mark.parametrize(("lanes", "depth"), [(4, 1), (8, 4), (16, 2), (32, 8)])
@pytest.mark.parametrize("memory", [Memory.X, Memory.W, Memory.R, Memory.P])
def test_load_puts_bytes_in_word_order(lanes: int, depth: int, memory: Memory) -> None:
    machine = machine_of(lanes, depth)
    raw = machine.memories.raw(memory)
    before = raw.copy()
    size = {Memory.R: 2 * lanes, Memory.P: 8}.get(memory, lanes * depth)
    dram = random_bytes(16384)
    fields = {
        "memory": memory,
        "base": 2,
        "words": 3,
        "rows": 4,
        "stride": 5,
        "dram_offset": 64,
        "dram_stride": 1600,
    }
    machine.execute([make(Opcode.LOAD, **fields)], dram)
    for row in range(4):
        for word in range(3):
            at = 64 + row * 1600 + word * size
            before[2 + row * 5 + word] = dram[at : at + size]
    np.testing.assert_array_equal(raw, before)


@pytest.mark.parametrize("memory", [Memory.X, Memory.W, Memory.R])
def test_store_is_the_reverse(memory: Memory) -> None:
    machine = machine_of(4, 1)  # words of 4 or 8 bytes: rows that end inside a beat
    raw = machine.memories.raw(memory)
    raw[:] = random_bytes(raw.size).reshape(raw.shape)
    fields = {
        "memory": memory,
        "base": 7,
        "words": 3,
        "rows": 2,
        "stride": 10,
        "dram_offset": 8,
        "dram_stride": 64,
    }
    window = machine.execute([make(Opcode.STORE, **fields)], write_size=128)
    expected = np.zeros(128, np.uint8)
    size = raw.shape[1]
    for row in range(2):
        part = raw[7 + 10 * row : 10 + 10 * row].reshape(-1)
        expected[8 + 64 * row : 8 + 64 * row + 3 * size] = part
    np.testing.assert_array_equal(window, expected)


@pytest.mark.parametrize("memory", [Memory.X, Memory.W, Memory.R])
def test_fill_zeroes_its_words_alone(memory: Memory) -> None:
    machine = machine_of()
    machine.memories.raw(memory)[:] = 9
    machine.execute([make(Opcode.FILL, memory=memory, base=5, words=6)])
    zero = (machine.memories.raw(memory) == 0).all(axis=1)
    assert np.flatnonzero(zero).tolist() == list(range(5, 11))


@pytest.mark.parametrize(("lanes", "depth"), [(4, 4), (8, 1), (8, 4), (16, 8)])
@pytest.mark.parametrize(
    ("grid", "patch", "channels", "first"), [((3, 3), 4, 1, 0), ((2, 5), 3, 3, 1), ((1, 1), 1, 2, 9)]
)
def test_patches_unfold_into_a_panel(lanes, depth, grid, patch, channels, first) -> None:
    machine = machine_of(lanes, depth)
    down, across = grid
    rng = np.random.default_rng(patch)
    image = rng.integers(-128, 128, (channels, down * patch, across * patch)).astype(np.int8)
    row_stride = layout.image_row_stride(across * patch)
    words = layout.ceil_div(channels * patch * patch, depth)
    machine.x[:] = 99
    dram = np.concatenate([random_bytes(64), np.frombuffer(layout.pack_image(image), np.uint8)])
    fields = {
        "base": 3, "stride": words + 1, "first_token": first, "patch": patch, "grid_columns": across, "grid_rows": down,
        "channels": channels, "dram_offset": 64, "row_stride": row_stride, "channel_stride": row_stride * down * patch,
    }  # fmt: skip
    machine.execute([make(Opcode.LOAD_PATCHES, **fields)], dram)
    expected = np.full_like(machine.x, 99)
    for gy, gx, c, y, x in np.ndindex(down, across, channels, patch, patch):
        token, k = first + gy * across + gx, (c * patch + y) * patch + x
        expected[3 + token // lanes * (words + 1) + k // depth, token % lanes, k % depth] = image[
            c, gy * patch + y, gx * patch + x
        ]
    for token, k in np.ndindex(down * across, words * depth):
        if k >= channels * patch * patch:  # the rest of a token's last word
            expected[
                3 + (first + token) // lanes * (words + 1) + k // depth, (first + token) % lanes, k % depth
            ] = 0
    np.testing.assert_array_equal(machine.x, expected)


LOAD = {"memory": 0, "base": 0, "words": 1, "rows": 2, "stride": 1, "dram_offset": 0, "dram_stride": 64}
PATCHES = {
    "base": 0, "stride": 4, "first_token": 0, "patch": 4, "grid_columns": 2, "grid_rows": 2, "channels": 1,
    "dram_offset": 0, "row_stride": 32, "channel_stride": 256,
}  # fmt: skip
FILL = {"memory": 0, "base": 0, "words": 1}
REFUSED = [
    (Opcode.LOAD, LOAD, {"memory": Memory.S}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.LOAD, LOAD, {"memory": 5}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.LOAD, LOAD, {"words": 0}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.LOAD, LOAD, {"rows": 0}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.LOAD, LOAD, {"dram_offset": 4}, ErrorCode.ALIGNMENT),
    (Opcode.LOAD, LOAD, {"dram_stride": 12}, ErrorCode.ALIGNMENT),
    (Opcode.LOAD, LOAD, {"dram_offset": 232 - 64}, ErrorCode.WINDOW),
    (Opcode.LOAD, LOAD, {"dram_offset": 1 << 31}, ErrorCode.WINDOW),
    (Opcode.LOAD, LOAD, {"base": 511}, ErrorCode.ADDRESS),
    (Opcode.LOAD, LOAD, {"stride": 65535}, ErrorCode.ADDRESS),
    (Opcode.LOAD, LOAD, {"memory": Memory.P, "base": 64}, ErrorCode.ADDRESS),
    (Opcode.STORE, LOAD, {"memory": Memory.P}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.STORE, LOAD, {"memory": Memory.S}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.STORE, LOAD, {"words": 0}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.STORE, LOAD, {"dram_offset": 4}, ErrorCode.ALIGNMENT),
    (Opcode.STORE, LOAD, {"dram_offset": 168}, ErrorCode.WINDOW),
    (Opcode.STORE, LOAD, {"base": 511}, ErrorCode.ADDRESS),
    (Opcode.FILL, FILL, {"memory": Memory.P}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.FILL, FILL, {"words": 0}, ErrorCode.ILLEGAL_FIELD),
    (Opcode.FILL, FILL, {"words": 513}, ErrorCode.ADDRESS),
    *((Opcode.LOAD_PATCHES, PATCHES, {n: 0}, ErrorCode.ILLEGAL_FIELD)
      for n in ("patch", "grid_columns", "grid_rows", "channels")),
    *((Opcode.LOAD_PATCHES, PATCHES, {n: 12}, ErrorCode.ALIGNMENT)
      for n in ("dram_offset", "row_stride", "channel_stride")),
    (Opcode.LOAD_PATCHES, PATCHES, {"grid_rows": 3}, ErrorCode.WINDOW),
    (Opcode.LOAD_PATCHES, PATCHES, {"base": 509}, ErrorCode.ADDRESS),
]  # fmt: skip


@pytest.mark.parametrize(("opcode", "legal", "change", "code"), REFUSED, ids=str)
def test_errors_leave_everything_as_it_was(opcode, legal, change, code) -> None:
    dram = random_bytes(232)  # PATCHES reads bytes 0..231 exactly
    machine = machine_of()
    machine.execute([make(opcode, **legal)], dram, write_size=232)
    machine = machine_of()
    with pytest.raises(MachineError, match=f"Instruction 0: {code.name}") as caught:
        machine.execute([make(opcode, **{**legal, **change})], dram, write_size=232)
    assert (caught.value.code, caught.value.pc) == (code, 0)
    assert not machine.x.any()
