"""Whole programs: fetch from the image, tensors from the write window, what stays between runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tests.golden.machine.test_matmul import config_of, matmul
from vitreous.golden import GoldenError
from vitreous.golden.machine import Machine
from vitreous.spec import layout
from vitreous.spec.isa import Activation, Instruction, Memory, Opcode, ProgramError, Queue, Scale, make
from vitreous.spec.numbers import INT8, INT16, requantize
from vitreous.spec.program import Placement, Program

CONFIG = config_of(8, 4)
SHAPE = (2, 4, 6)
PATCH, CLASSES = 2, 10
TOKENS, K = 6, 8
IMAGE_OFFSET, WEIGHT_OFFSET, PARAMETER_OFFSET = 512, 1024, 1280
WRITE_SIZE = 1024


def instructions() -> list[Instruction]:
    """Patches of the image times a weight, to X with ReLU and to R; both are stored, the second in two parts."""
    row = layout.image_row_stride(SHAPE[2])
    product = {"row_tiles": 1, "k_words": 2, "b_stride": 2, "columns": CLASSES, "scale": Scale.COLUMN}
    unfold = {
        "base": 0, "stride": 2, "first_token": 0, "patch": PATCH, "grid_columns": 3, "grid_rows": 2,
        "channels": SHAPE[0], "dram_offset": IMAGE_OFFSET, "row_stride": row, "channel_stride": row * SHAPE[1],
    }  # fmt: skip
    one = {"rows": 1, "stride": 0, "dram_stride": 0}
    relu, to_load, to_matrix, to_store = Activation.RELU, 1, 2, 8
    return [
        make(Opcode.LOAD_PATCHES, **unfold),
        make(Opcode.LOAD, memory=Memory.W, base=0, words=4, dram_offset=WEIGHT_OFFSET, **one),
        make(
            Opcode.LOAD, memory=Memory.P, base=0, words=CLASSES, dram_offset=PARAMETER_OFFSET, **one
        ).with_tokens(wait=0, signal=to_matrix),
        matmul(**product, destination=Memory.X, activation=relu, zero_point=-20, o_base=9).with_tokens(
            wait=to_load, signal=0
        ),
        matmul(**product, destination=Memory.R, o_base=4).with_tokens(wait=0, signal=to_store),
        make(Opcode.STORE, memory=Memory.X, base=9, words=3, dram_offset=0, **one).with_tokens(
            wait=to_matrix, signal=0
        ),
        make(Opcode.STORE, memory=Memory.R, base=4, words=7, dram_offset=256, **one),
        make(Opcode.STORE, memory=Memory.R, base=11, words=3, dram_offset=512, **one),
        make(Opcode.END),
    ]


def constants() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(1)
    weight = rng.integers(-128, 128, (CLASSES, K)).astype(np.int8)
    bias, multiplier = rng.integers(-9000, 9000, CLASSES), rng.integers(1 << 14, 1 << 15, CLASSES)
    return weight, bias, multiplier, rng.integers(20, 24, CLASSES)


def program() -> Program:
    code = instructions()
    weight, *parameters = constants()
    image = np.zeros(2048, np.uint8)
    for offset, part in (
        (0, b"".join(i.encode() for i in code)),
        (WEIGHT_OFFSET, layout.pack_panel(weight, 8, 4).tobytes()),
        (PARAMETER_OFFSET, layout.pack_parameters(*parameters).tobytes()),
    ):
        image[offset : offset + len(part)] = np.frombuffer(part, np.uint8)
    wide = {"tensor": "wide", "kind": "residual", "tile_stride": 10}
    return Program(
        graph_name="test", config_digest=CONFIG.digest, config=CONFIG.as_dict(), instructions=tuple(code), image=image,
        program_offset=0, input_offset=IMAGE_OFFSET, input_shape=SHAPE, write_size=WRITE_SIZE,
        output_tensor="wide", macs=1,
        placements=(
            Placement(tensor="narrow", offset=0, kind="panel", shape=(TOKENS, CLASSES), tile_stride=3),
            Placement(**wide, offset=256, shape=(TOKENS, 7)),
            Placement(**wide, offset=512, shape=(TOKENS, 3), column_start=7),
        ),
    )  # fmt: skip


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(-128, 128, SHAPE).astype(np.int8)


def expected(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    weight, bias, multiplier, shift = constants()
    narrow, wide = np.zeros((TOKENS, CLASSES), np.int8), np.zeros((TOKENS, CLASSES), np.int16)
    for token, o in np.ndindex(TOKENS, CLASSES):
        y, x = token // 3 * PATCH, token % 3 * PATCH
        patch = image[:, y : y + PATCH, x : x + PATCH].reshape(-1).astype(int)
        acc = int(patch @ weight[o].astype(int)) + int(bias[o])
        pair = int(multiplier[o]), int(shift[o])
        narrow[token, o] = max(-20, requantize(acc, *pair, -20, INT8))
        wide[token, o] = requantize(acc, *pair, 0, INT16)
    return narrow, wide


@pytest.mark.parametrize("order", ["program", "random", "late", "store first", "matrix first"])
def test_a_program_computes_its_tensors(order: str) -> None:
    result = Machine(CONFIG).run(program(), picture(), order=order)
    narrow, wide = expected(picture())
    assert len(np.unique(narrow)) > 5
    np.testing.assert_array_equal(result.tensors["narrow"], narrow)
    np.testing.assert_array_equal(result.tensors["wide"], wide)
    assert result.output is result.tensors["wide"]
    assert (result.output.dtype, result.window.dtype, result.window.shape) == (
        np.int16,
        np.uint8,
        (WRITE_SIZE,),
    )
    assert not result.leftover_tokens


def test_memories_stay_and_do_not_leak_into_the_next_image() -> None:
    machine = Machine(CONFIG)
    machine.run(program(), picture(0))
    assert machine.x.any()
    assert machine.w.any()
    second = machine.run(program(), picture(1))
    np.testing.assert_array_equal(second.output, expected(picture(1))[1])
    np.testing.assert_array_equal(second.window, Machine(CONFIG).run(program(), picture(1)).window)


def test_a_program_of_another_accelerator_is_refused() -> None:
    other = dataclasses.replace(CONFIG, array=dataclasses.replace(CONFIG.array, depth=8))
    with pytest.raises(
        GoldenError, match=f"compiled for accelerator {CONFIG.digest}, this one is {other.digest}"
    ):
        Machine(other).run(program(), picture())
    Machine(dataclasses.replace(CONFIG, name="other name")).run(program(), picture())


def test_a_wrong_image_is_refused() -> None:
    with pytest.raises(ProgramError, match="The input must be int8"):
        Machine(CONFIG).run(program(), picture()[:1])


def test_leftover_tokens_are_reported() -> None:
    code = instructions()
    code[6] = code[6].with_tokens(wait=0, signal=1)
    image = program().image.copy()
    image[6 * 32 : 7 * 32] = np.frombuffer(code[6].encode(), np.uint8)
    result = Machine(CONFIG).run(dataclasses.replace(program(), image=image), picture())
    assert result.leftover_tokens == {(Queue.STORE, Queue.LOAD): 1}


def test_parts_that_do_not_tile_their_tensor_are_refused() -> None:
    first = program().placements[:2]
    hole = dataclasses.replace(program().placements[2], column_start=8)
    overlap = dataclasses.replace(program().placements[2], column_start=6)
    for part in (hole, overlap):
        with pytest.raises(ProgramError, match="The parts of tensor wide do not tile"):
            Machine(CONFIG).run(dataclasses.replace(program(), placements=(*first, part)), picture())
    mixed = dataclasses.replace(program().placements[2], kind="panel")
    with pytest.raises(ProgramError, match="The parts of tensor wide are stored as int16 and as int8"):
        Machine(CONFIG).run(dataclasses.replace(program(), placements=(*first, mixed)), picture())
    with pytest.raises(ProgramError, match="stores no tensor 'logits'"):
        Machine(CONFIG).run(dataclasses.replace(program(), output_tensor="logits"), picture())
