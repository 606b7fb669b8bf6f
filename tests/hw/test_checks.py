"""A component that is made with a wrong parameter says so at once, in one sentence."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest

from vitreous.hw.accelerator import Accelerator
from vitreous.hw.axi.axi import Axi4, Axi4Lite, ReadChannel
from vitreous.hw.axi.bursts import BurstGenerator
from vitreous.hw.board.board import Board
from vitreous.hw.board.memory import AxiRam
from vitreous.hw.control.control import Control
from vitreous.hw.control.retire import Retire
from vitreous.hw.load.load import LoadUnit
from vitreous.hw.matrix.array_dsp import Sums, WrapCounter
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.matrix.operand_sequencer import OperandSequencer
from vitreous.hw.memory.ports import ReadPort, WritePort
from vitreous.hw.memory.ram import Ram
from vitreous.hw.memory.scratchpad import Scratchpad
from vitreous.hw.norm.one_pass import OnePassNorm
from vitreous.hw.norm.scale import NormScale
from vitreous.hw.norm.two_pass import CentredSums, TwoPassNorm
from vitreous.hw.softmax.ibert import IbertSum
from vitreous.hw.softmax.softmax import VARIANTS
from vitreous.hw.store.store import StoreUnit
from vitreous.hw.vector.pool import PoolSum
from vitreous.hw.vector.vector_unit import VectorUnit
from vitreous.spec.config import AcceleratorConfig, SoftmaxConfig

CONFIG = AcceleratorConfig()


def scratchpad(**changes: Any) -> Scratchpad:
    return Scratchpad(**{"width": 32, "depth": 12, "reads": ("a", "b"), "writes": ("c", "d"), **changes})


def sums(**changes: Any) -> Sums:
    return Sums(**{"lanes": 2, "depth": 4, "bits": 32, "registers": 1, **changes})


WRONG: list[tuple[Callable[[], object], str]] = [
    (lambda: scratchpad(width=0), "Width must be a positive integer, not 0"),
    (lambda: scratchpad(width=True), "Width must be a positive integer, not True"),
    (lambda: scratchpad(depth=1), "Depth must be an integer in 2..262144, not 1"),
    (lambda: scratchpad(depth=12.0), "Depth must be an integer in 2..262144, not 12.0"),
    (lambda: scratchpad(reads=()), "Reads must be different names, at least one, not ()"),
    (lambda: scratchpad(reads="ab"), "Reads must be different names, at least one, not 'ab'"),
    (lambda: scratchpad(writes=("c", "c")), "Writes must be different names, at least one, not ('c', 'c')"),
    (lambda: scratchpad(masked=("a",)), "Masked clients must be among c, d, not 'a'"),
    (
        lambda: scratchpad(width=12, masked=("c",)),
        "Width must be a multiple of 8 where words are masked, not 12",
    ),
    (lambda: Ram(words=1, bits=8, mask_bits=8), "Words must be an integer in 2..4294967296, not 1"),
    (lambda: Ram(words=4, bits=0, mask_bits=8), "Bits must be a positive integer, not 0"),
    (lambda: Ram(words=4, bits=12, mask_bits=8), "Mask bits must divide the 12 bits of a word, not 8"),
    (lambda: ReadPort(0), "Width must be a positive integer, not 0"),
    (lambda: WritePort(-8), "Width must be a positive integer, not -8"),
    (lambda: Axi4(48), "Data bits must be a power of two in 8..1024, not 48"),
    (lambda: Axi4Lite(0), "Address bits must be a positive integer, not 0"),
    (lambda: ReadChannel(data_bits=4), "Data bits must be a power of two in 8..1024, not 4"),
    (lambda: AxiRam(data_bits=2048, beats=2), "Data bits must be a power of two in 8..1024, not 2048"),
    (
        lambda: BurstGenerator(CONFIG, burst_beats=12),
        "Burst beats must be a power of two in 1..256, not 12",
    ),
    (
        lambda: BurstGenerator(CONFIG, burst_beats=512),
        "Burst beats must be a power of two in 1..256, not 512",
    ),
    (lambda: Board(CONFIG, memory_kib=0, divisor=4), "Memory KiB must be a positive integer, not 0"),
    (lambda: Board(CONFIG, memory_kib=1, divisor=3), "A bit must take at least 4 clock cycles, not 3"),
    (lambda: Control(sources=0), "Sources must be a positive integer, not 0"),
    (lambda: Retire(in_flight=1), "In flight must be a power of two of at least 2, not 1"),
    (lambda: WrapCounter(bits=0), "Bits must be a positive integer, not 0"),
    (lambda: sums(lanes=3), "Lanes must be an integer in 1..2, not 3"),
    (lambda: sums(depth=8), "Depth must be an integer in 1..4, not 8"),
    (lambda: sums(bits=19), "Bits must be an integer in 20..32, not 19"),
    (lambda: sums(registers=0), "Registers must be an integer in 1..2, not 0"),
    (
        lambda: OperandSequencer(CONFIG, readout_latency=0, in_flight=4),
        "Readout latency must be a positive integer, not 0",
    ),
    (
        lambda: OperandSequencer(CONFIG, readout_latency=9, in_flight=0),
        "In flight must be a positive integer, not 0",
    ),
    (lambda: OnePassNorm(lanes=6), "Lanes must be a power of two of at least 2, not 6"),
    (lambda: TwoPassNorm(lanes=1), "Lanes must be a power of two of at least 2, not 1"),
    (lambda: NormScale(lanes=3, variance_latency=1), "Lanes must be a power of two of at least 2, not 3"),
    (lambda: NormScale(lanes=4, variance_latency=0), "Variance latency must be a positive integer, not 0"),
    (lambda: CentredSums(lanes=0), "Lanes must be a positive integer, not 0"),
    (lambda: PoolSum(lanes=3), "Lanes must be a power of two of at least 1, not 3"),
    (
        lambda: IbertSum(lanes=0, softmax=SoftmaxConfig(variant="ibert")),
        "Lanes must be a positive integer, not 0",
    ),
    (
        lambda: VARIANTS["base2"].levels(CONFIG, maximum_bits=0),
        "Maximum bits must be a positive integer, not 0",
    ),
]


@pytest.mark.parametrize(("make", "sentence"), WRONG, ids=[sentence for _, sentence in WRONG])
def test_a_wrong_number_is_refused(make: Callable[[], object], sentence: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        make()


@pytest.mark.parametrize("unit", [Accelerator, LoadUnit, MatrixUnit, VectorUnit, StoreUnit])
def test_a_name_is_no_configuration(unit: Callable[[Any], object]) -> None:
    with pytest.raises(TypeError, match="^Config must be an AcceleratorConfig, not 'edge64'$"):
        unit("edge64")


def test_parameters_are_read_only() -> None:
    memory = scratchpad(masked=("d",))
    assert (memory.width, memory.depth, memory.reads, memory.writes, memory.masked) == (
        *(32, 12),
        *(("a", "b"), ("c", "d"), ("d",)),
    )
    for name in ("width", "depth", "reads", "writes", "masked"):
        with pytest.raises(AttributeError):
            setattr(memory, name, None)
    for unit in (LoadUnit(CONFIG), StoreUnit(CONFIG)):
        assert unit.config is CONFIG
        with pytest.raises(AttributeError):
            unit.config = AcceleratorConfig()
