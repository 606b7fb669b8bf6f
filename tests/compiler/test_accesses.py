import pytest

from tests.support.instructions import zeros
from vitreous.compiler.accesses import WordMap, accesses
from vitreous.spec.config import AcceleratorConfig, ArrayConfig
from vitreous.spec.isa import Memory, Opcode, Operands, Scale
from vitreous.spec.opcodes.opcode import Region

CONFIG = AcceleratorConfig(array=ArrayConfig(lanes=8, depth=4))
MATMUL = {
    "a_base": 100,
    "a_stride": 6,
    "b_base": 200,
    "b_stride": 6,
    "k_words": 5,
    "row_tiles": 3,
    "columns": 18,
    "o_base": 300,
    "o_stride": 9,
    "p_base": 7,
    "multiplier": 1,
    "shift": 1,
}


def matmul(**changes: int) -> tuple[set[Region], set[Region]]:
    reads, writes = accesses(zeros(Opcode.MATMUL, **{**MATMUL, **changes}), CONFIG)
    return set(reads), set(writes)


A, B, P = Region(Memory.X, 100, 5, 3, 6), Region(Memory.W, 200, 5, 3, 6), Region(Memory.P, 7, 18)


def test_matmul() -> None:
    assert matmul() == ({A, B, P}, {Region(Memory.X, 300, 5, 3, 9)})
    stream = Region(Memory.R, 300, 18, 3, 9)
    assert matmul(destination=Memory.R) == ({A, B, P}, {stream})
    assert matmul(destination=Memory.R, residual=1) == ({A, B, P, stream}, {stream})
    swapped = {Region(Memory.W, 100, 5, 3, 6), Region(Memory.X, 200, 5, 3, 6)}
    assert matmul(operands=Operands.WX, scale=Scale.LANE)[0] == {*swapped, Region(Memory.P, 7, 24)}


def test_attention() -> None:
    reads, writes = matmul(destination=Memory.S, scale=Scale.TENSOR, slot=1, row_tiles=1)
    assert Region(Memory.P, 7, 1) in reads
    assert writes == {Region(Memory.S, 1, 1)}
    context = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "slot": 1, "row_tiles": 1}
    operands = {Region(Memory.S, 1, 1), B}
    assert matmul(**context, last_block=1) == (operands, {Region(Memory.X, 300, 5, 1, 9)})
    assert matmul(**context, last_block=0, first_block=1) == (operands, set())
    stream = Region(Memory.R, 300, 18, 1, 9)
    added = {**context, "destination": Memory.R, "residual": 1}
    assert matmul(**added, last_block=1) == ({*operands, stream}, {stream})
    assert matmul(**added, last_block=0) == (operands, set())


def test_patches_touch_the_tiles_of_their_tokens() -> None:
    shape = {"patch": 3, "grid_columns": 5, "grid_rows": 2, "channels": 2, "row_stride": 32}
    patches = zeros(Opcode.LOAD_PATCHES, base=50, stride=10, first_token=7, **shape)
    # Tokens 7 to 16: tiles 0 to 2; 18 values in 5 words.
    assert accesses(patches, CONFIG) == ((), (Region(Memory.X, 50, 5, 3, 10),))


def test_word_map_is_exact_between_the_rows() -> None:
    words = WordMap(CONFIG, 2)
    words.put(Region(Memory.X, 10, 2, 3, 5), 1, 4)
    assert words.latest(Region(Memory.X, 12, 3, 3, 5)).tolist() == [-1, -1]
    assert words.latest(Region(Memory.X, 12, 4)).tolist() == [-1, 4]
    assert words.latest(Region(Memory.X, 20, 1)).tolist() == [-1, 4]
    assert words.latest(Region(Memory.W, 10, 2)).tolist() == [-1, -1]


def test_word_map_refuses_what_lies_beyond() -> None:
    with pytest.raises(IndexError):
        WordMap(CONFIG, 1).latest(Region(Memory.X, CONFIG.x_depth - 4, 2, 2, 3))
