# amaranth: UnusedElaboratable=no
"""Cycles inside the units, read from the hardware's own classes: no number is stated twice."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import lru_cache

from vitreous.hw.axi.bursts import BurstGenerator
from vitreous.hw.control.fetch import Fetch
from vitreous.hw.control.issue import IssueQueue
from vitreous.hw.load import load
from vitreous.hw.load.patches import PatchUnfolder
from vitreous.hw.load.write_queue import WriteQueue
from vitreous.hw.matrix.matrix import MatrixUnit
from vitreous.hw.matrix.operand_sequencer import OperandSequencer
from vitreous.hw.matrix.packer import Packer
from vitreous.hw.matrix.scores import Scores
from vitreous.hw.store import store, store_words
from vitreous.hw.vector.shifts import ChannelShifts
from vitreous.hw.vector.vector_unit import RowCycles, row_cycles
from vitreous.hw.vector.words import NormWords
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.softmax import limits

BEAT_QUEUE = load.BEAT_QUEUE
FITS = Fetch.FITS_LATENCY
ROW, NEXT_ROW = BurstGenerator.ROW_LATENCY, BurstGenerator.NEXT_ROW
UNFOLD = PatchUnfolder.START_LATENCY
WRITE = WriteQueue.LATENCY
ISSUE, RETIRE = IssueQueue.ISSUE_LATENCY, IssueQueue.RETIRE_LATENCY
OUTSTANDING_WRITES = store.OUTSTANDING_WRITES
READ_AHEAD = store_words._QUEUE
FETCH_BURST_BEATS = 16
"""The longest burst of instruction fetch; it has room for two (hw.control.fetch)."""


@dataclass(frozen=True)
class MatrixTiming:
    """command : from a command to its first word. column : from a tile's last word to its column 0 in the
    readout.

    read, residual, result, write : from there (``read``: from the word) to the memories' ports; ``result`` is also the
    cycle of a score. score : from the last score of a row to the end of its row scale; again : how often its columns
    are gone through before that. block : from the last score of a block that is not the last of its row to its end.
    """

    command: int
    read: int
    column: int
    residual: int
    result: int
    write: int
    score: int
    again: int
    block: int


@dataclass(frozen=True)
class RowTiming(RowCycles):
    """places : words that may be on their way to a port. shifts : from the read of a word of shifts to its use."""

    places: int
    shifts: int


@lru_cache(maxsize=64)
def matrix_timing(config: AcceleratorConfig) -> MatrixTiming:
    """Of the matrix unit of ``config``."""
    write = MatrixUnit.latency(config) - MatrixUnit.column_latency(config)
    result = write - Packer.LATENCY
    return MatrixTiming(
        command=OperandSequencer.COMMAND_LATENCY - 1,
        read=Scores.read_latency(config) - 1,
        column=MatrixUnit.column_latency(config),
        residual=MatrixUnit.residual_latency(config),
        result=result,
        write=write,
        score=Scores.done_latency(config, 0),
        again=limits(config.softmax).passes - 1,
        block=Scores.BLOCK_LATENCY,
    )


@lru_cache(maxsize=64)
def row_timing(config: AcceleratorConfig) -> RowTiming:
    """Of the vector unit of ``config``."""
    return RowTiming(
        **asdict(row_cycles(config)), places=NormWords(config).depth, shifts=ChannelShifts.LATENCY
    )
