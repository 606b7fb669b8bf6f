"""The hardware's event counters, in the order of their registers."""

from __future__ import annotations

from enum import StrEnum


class HardwareCounter(StrEnum):
    """A counter's name, and what it counts as ``description``.

    Of ``array_busy`` and the ``matrix_*`` counters at most one counts in a cycle; where an instruction waits for
    several queues, the lowest does.
    """

    description: str

    def __new__(cls, name: str, description: str) -> HardwareCounter:
        member = str.__new__(cls, name)
        member._value_ = name
        member.description = description
        return member

    CYCLES = "cycles", "clock cycles from start to done"
    ARRAY_BUSY = "array_busy", "cycles in which the array took a word of A and a word of B"
    MATRIX_WAIT_LOAD = (
        "matrix_wait_load",
        "array idle: the next matrix instruction waits for a token of the load queue",
    )
    MATRIX_WAIT_MATRIX = (
        "matrix_wait_matrix",
        "array idle: the next matrix instruction waits for an earlier matrix instruction",
    )
    MATRIX_WAIT_VECTOR = (
        "matrix_wait_vector",
        "array idle: the next matrix instruction waits for a token of the vector queue",
    )
    MATRIX_WAIT_STORE = (
        "matrix_wait_store",
        "array idle: the next matrix instruction waits for a token of the store queue",
    )
    MATRIX_STALL_READOUT = (
        "matrix_stall_readout",
        "an instruction is active but the accumulators of the previous tile are still being read out",
    )
    MATRIX_STALL_PARAMETERS = (
        "matrix_stall_parameters",
        "an instruction is active but lane parameters are still being read",
    )
    MATRIX_EMPTY = "matrix_empty", "no matrix instruction is queued or active"
    LOAD_BUSY = "load_busy", "cycles in which a load instruction is active"
    LOAD_WAIT_TOKEN = "load_wait_token", "load queue: head waits for a token"
    VECTOR_BUSY = "vector_busy", "cycles in which a NORM or POOL is active"
    VECTOR_WAIT_TOKEN = "vector_wait_token", "vector queue: head waits for a token"
    STORE_BUSY = "store_busy", "cycles in which a store is active"
    STORE_WAIT_TOKEN = "store_wait_token", "store queue: head waits for a token"
    INSTRUCTIONS = "instructions", "instructions dispatched, END included"
    LOAD_BEATS = "load_beats", "AXI read beats of the load queue"
    FETCH_BEATS = "fetch_beats", "AXI read beats of instruction fetch"
    STORE_BEATS = "store_beats", "AXI write beats"
    X_READS = "x_reads", "words read from X"
    X_WRITES = "x_writes", "words written to X"
    W_READS = "w_reads", "words read from W"
    W_WRITES = "w_writes", "words written to W"
    R_READS = "r_reads", "words read from R"
    R_WRITES = "r_writes", "words written to R"
    S_READS = "s_reads", "words read from S"
    S_WRITES = "s_writes", "words written to S"
    P_READS = "p_reads", "words read from P"
    READOUT_COLUMNS = (
        "readout_columns",
        "columns read out through the epilogue, first passes of two-pass operands not counted",
    )
    ACTIVATION_COLUMNS = "activation_columns", "columns that passed through GELU or SiLU"
    SCORE_COLUMNS = "score_columns", "columns that passed through the softmax statistics"
    NORM_COLUMNS = "norm_columns", "columns normalized by the vector unit"


COUNTER_BITS = 48

MATRIX_IDLE = (
    HardwareCounter.MATRIX_WAIT_LOAD,
    HardwareCounter.MATRIX_WAIT_MATRIX,
    HardwareCounter.MATRIX_WAIT_VECTOR,
    HardwareCounter.MATRIX_WAIT_STORE,
    HardwareCounter.MATRIX_STALL_READOUT,
    HardwareCounter.MATRIX_STALL_PARAMETERS,
    HardwareCounter.MATRIX_EMPTY,
)
"""Why the array is idle in a cycle, in the order in which to show it."""
UNIT_CYCLES = (
    HardwareCounter.LOAD_BUSY,
    HardwareCounter.LOAD_WAIT_TOKEN,
    HardwareCounter.VECTOR_BUSY,
    HardwareCounter.VECTOR_WAIT_TOKEN,
    HardwareCounter.STORE_BUSY,
    HardwareCounter.STORE_WAIT_TOKEN,
)
"""Cycles in which a unit works or the head of its queue waits."""
