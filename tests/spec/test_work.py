"""What each instruction adds to the counters, against counts by hand on a small array."""

from __future__ import annotations

import pytest

from tests.support.instructions import zeros
from vitreous.hw.vector.pipeline import VARIANTS
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, BusConfig, NormConfig
from vitreous.spec.isa import COUNTERS, Activation, Instruction, Memory, Opcode, Operands, Scale, make
from vitreous.spec.layout import word_bytes
from vitreous.spec.opcodes.norm import has_mean_pass
from vitreous.spec.work import work

CONFIG = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=2), bus=BusConfig(data_bits=64))
"""Words: X and W 8 bytes, R 8, S 16, P 8; a beat has 8 bytes."""


def matmul(**fields: int) -> Instruction:
    return zeros(Opcode.MATMUL, **({"k_words": 5, "row_tiles": 3, "columns": 10} | fields))


def counted(*instructions: Instruction, config: AcceleratorConfig = CONFIG) -> dict[str, int]:
    return {name: count for name, count in work(instructions, config).items() if count}


def test_a_linear_with_a_padded_tile() -> None:
    """10 columns are 3 tiles of 4 lanes: 3 x 3 x 5 word pairs; 30 columns, 5 words of 2 for each row of tiles."""
    assert counted(matmul()) == {
        "instructions": 1,
        "array_busy": 45,
        "x_reads": 45,
        "w_reads": 45,
        "p_reads": 30,
        "readout_columns": 30,
        "x_writes": 15,
    }


def test_a_linear_with_gelu_reads_lane_parameters_once() -> None:
    found = counted(matmul(activation=Activation.SMOOTH, scale=Scale.LANE, destination=Memory.W))
    assert (found["activation_columns"], found["p_reads"], found["w_writes"]) == (30, 12, 15)
    assert "x_writes" not in found


def test_a_residual_is_read_and_written_by_column() -> None:
    found = counted(matmul(destination=Memory.R, residual=1))
    assert (found["r_reads"], found["r_writes"]) == (30, 30)


def test_scores_and_context() -> None:
    scores = counted(matmul(destination=Memory.S, row_tiles=1))
    assert (scores["score_columns"], scores["s_writes"]) == (10, 5)
    context = counted(matmul(operands=Operands.SW, scale=Scale.SOFTMAX, row_tiles=1, extra_planes=1))
    assert (context["array_busy"], context["s_reads"], context["w_reads"]) == (30, 30, 30)
    assert context["readout_columns"] == 10
    assert "x_reads" not in context
    assert "p_reads" not in context


@pytest.mark.parametrize("destination", [Memory.X, Memory.R])
def test_only_the_last_block_of_a_context_has_results(destination: Memory) -> None:
    block = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "row_tiles": 1, "destination": destination}
    last = counted(matmul(**block, last_block=1))
    assert last[f"{destination.name.lower()}_writes"] == (5 if destination is Memory.X else 10)
    for first in (0, 1):
        found = counted(matmul(**block, first_block=first))
        assert found == {
            "instructions": 1,
            "array_busy": 15,
            "s_reads": 15,
            "w_reads": 15,
            "readout_columns": 10,
        }


def test_every_block_of_a_score_row_is_written() -> None:
    scores = {"destination": Memory.S, "row_tiles": 1}
    assert counted(matmul(**scores)) == counted(matmul(**scores, last_block=1))


@pytest.mark.parametrize(
    ("variant", "centred", "passes"), [("one_pass", 1, 2), ("two_pass", 1, 3), ("two_pass", 0, 2)]
)
def test_a_norm_reads_its_rows_once_for_each_pass(variant: str, centred: int, passes: int) -> None:
    config = AcceleratorConfig(array=CONFIG.array, bus=CONFIG.bus, norm=NormConfig(variant=variant))
    norm = zeros(Opcode.NORM, channels=7, row_tiles=2, centred=centred)
    assert counted(norm, config=config) == {
        "instructions": 1,
        "r_reads": passes * 14,
        "norm_columns": 14,
        "x_writes": 8,
    }
    assert has_mean_pass(norm.fields, config) == (passes == 3)


@pytest.mark.parametrize(("channels", "words"), [(1, 1), (32, 1), (33, 2), (192, 6), (4096, 128)])
def test_a_norm_reads_its_shifts_once_for_each_tile(channels: int, words: int) -> None:
    plain = zeros(Opcode.NORM, channels=channels, row_tiles=3, centred=1)
    shifted = zeros(Opcode.NORM, channels=channels, row_tiles=3, centred=1, shifted=1)
    assert "p_reads" not in counted(plain)
    assert counted(shifted) == {**counted(plain), "p_reads": 3 * words}


def test_the_hardware_has_a_mean_pass_where_the_configuration_says_so() -> None:
    for name, variant in VARIANTS.items():
        assert NormConfig(variant=name).mean_pass == variant.MEAN


def test_pool_fill_and_end() -> None:
    pool = zeros(Opcode.POOL, channels=7, row_tiles=2, tokens=8, multiplier=1, shift=1)
    assert counted(pool) == {"instructions": 1, "r_reads": 14, "r_writes": 7}
    assert counted(make(Opcode.FILL, memory=Memory.R, base=0, words=9)) == {"instructions": 1, "r_writes": 9}
    assert counted(make(Opcode.END)) == {"instructions": 1}


def test_a_transfer_counts_words_and_whole_beats() -> None:
    transfer = {"base": 0, "words": 3, "rows": 2, "stride": 3, "dram_offset": 0, "dram_stride": 32}
    wide = AcceleratorConfig(array=CONFIG.array, bus=BusConfig(data_bits=128))
    load = make(Opcode.LOAD, memory=Memory.W, **transfer)
    assert counted(load) == {"instructions": 1, "load_beats": 6, "w_writes": 6}
    assert counted(load, config=wide) == {"instructions": 1, "load_beats": 4, "w_writes": 6}
    store = make(Opcode.STORE, memory=Memory.R, **transfer)
    assert counted(store) == {"instructions": 1, "store_beats": 6, "r_reads": 6}
    assert counted(make(Opcode.LOAD, memory=Memory.P, **transfer)) == {"instructions": 1, "load_beats": 6}


def test_patches_count_a_write_for_each_piece_of_a_word() -> None:
    """A row of two patches of 3 pixels: 6 bytes in one beat; pieces 2 + 1 and 2 + 1, or 1 + 2 at an odd k."""
    image = zeros(Opcode.LOAD_PATCHES, patch=3, grid_columns=2, grid_rows=1, channels=1, row_stride=32)
    assert counted(image) == {"instructions": 1, "load_beats": 3, "x_writes": 12}


def test_every_name_is_a_counter_and_sums_add_up() -> None:
    program = [matmul(), matmul(destination=Memory.S, row_tiles=1), make(Opcode.END)]
    together = work(program, CONFIG)
    assert set(together) <= {name for name, _ in COUNTERS}
    apart = [work([instruction], CONFIG) for instruction in program]
    assert +together == sum(apart[1:], apart[0])


@pytest.mark.parametrize(
    ("memory", "size"), [(Memory.X, 8), (Memory.W, 8), (Memory.R, 8), (Memory.S, 18), (Memory.P, 8)]
)
def test_word_bytes(memory: Memory, size: int) -> None:
    assert word_bytes(CONFIG, memory) == size
