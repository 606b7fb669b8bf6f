"""Ends of a program from its fields and tokens alone: order of errors in an instruction, in a queue, between queues."""

from __future__ import annotations

import numpy as np
import pytest

from tests.golden.machine.test_matmul import config_of, matmul
from tests.support.instructions import transfer
from vitreous.golden.machine import ORDERS, Machine, MachineError
from vitreous.golden.machine.faults import Windows, first_fault
from vitreous.golden.machine.stops import DONE, Stop, possible_stops, window_stop
from vitreous.spec.isa import ErrorCode, Memory, Opcode, Queue, Scale, make

CONFIG = config_of()
WINDOWS = Windows(4096, 4096)
LAST = CONFIG.w_depth
M, S = 1 << Queue.MATRIX, 1 << Queue.STORE
END = make(Opcode.END)


@pytest.mark.parametrize("opcode", [Opcode.LOAD, Opcode.STORE])
@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({}, None),
        ({"base": LAST - 1}, None),
        ({"base": LAST}, ErrorCode.ADDRESS),
        ({"words": 0, "dram_offset": 1, "base": LAST}, ErrorCode.ILLEGAL_FIELD),
        ({"dram_offset": 1, "base": LAST}, ErrorCode.ALIGNMENT),
        ({"dram_offset": 4096, "base": LAST}, ErrorCode.WINDOW),
        ({"rows": 65535, "words": 65535}, ErrorCode.WINDOW),
        ({"rows": 65535}, None),
        ({"rows": 3, "stride": LAST - 1, "dram_stride": 4096}, ErrorCode.WINDOW),
        ({"rows": 3, "stride": LAST, "dram_stride": 4096}, ErrorCode.WINDOW),
        ({"rows": 3, "stride": LAST, "dram_stride": 2048}, ErrorCode.ADDRESS),
        ({"rows": 65535, "stride": 65535, "dram_stride": (1 << 32) - 64}, ErrorCode.WINDOW),
    ],
)
def test_the_first_error_of_a_transfer(
    opcode: Opcode, fields: dict[str, int], code: ErrorCode | None
) -> None:
    fault = first_fault(transfer(opcode, **fields), 7, CONFIG, WINDOWS)
    assert (fault and fault.code) == code
    assert fault is None or fault.pc == 7


def test_of_patches_the_first_pixel_row_decides() -> None:
    plain = {
        "base": 0, "stride": 8, "first_token": 0, "patch": 4, "grid_columns": 2, "grid_rows": 2, "channels": 2,
        "dram_offset": 0, "row_stride": 64, "channel_stride": 512,
    }  # fmt: skip

    def code(**fields: int) -> ErrorCode | None:
        fault = first_fault(make(Opcode.LOAD_PATCHES, **{**plain, **fields}), 0, CONFIG, WINDOWS)
        return fault.code if fault else None

    far = {"channels": 9, "channel_stride": 1 << 30}
    assert code() is None
    assert code(**far) is ErrorCode.WINDOW
    assert code(base=CONFIG.x_depth) is ErrorCode.ADDRESS
    assert code(base=CONFIG.x_depth, **far) is ErrorCode.ADDRESS
    assert code(base=CONFIG.x_depth, dram_offset=8192) is ErrorCode.WINDOW
    assert code(grid_rows=65535, row_stride=0, stride=0) is None


def test_the_oldest_error_of_a_queue_and_every_queue_that_gets_to_one() -> None:
    late = matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, o_base=LAST)
    early = matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, b_base=LAST)
    wrong = transfer(words=0)
    cases = [
        ([late, early, END], {Stop(ErrorCode.ADDRESS, 0)}),
        ([late.with_tokens(wait=S, signal=0), early, END], {Stop(ErrorCode.DEADLOCK, 0)}),
        ([late, wrong, END], {Stop(ErrorCode.ADDRESS, 0), Stop(ErrorCode.ILLEGAL_FIELD, 1)}),
        ([late, wrong.with_tokens(wait=M, signal=0), END], {Stop(ErrorCode.ADDRESS, 0)}),
        ([late, None, END], {Stop(ErrorCode.ADDRESS, 0), Stop(ErrorCode.UNKNOWN_OPCODE, 1)}),
        ([transfer()], {Stop(ErrorCode.NO_END, 0)}),
        ([], {Stop(ErrorCode.NO_END, 0)}),
        ([END, None], {DONE}),
    ]
    for code, stops in cases:
        assert possible_stops(code, CONFIG, WINDOWS) == stops


def test_some_order_of_the_machine_comes_to_each_possible_stop() -> None:
    code = [
        matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, o_base=LAST),
        matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, b_base=LAST),
        transfer(words=0),
        transfer(Opcode.STORE, dram_offset=1),
    ]
    found = set()
    for order in ORDERS:
        with pytest.raises(MachineError) as caught:
            Machine(CONFIG).execute(code, np.zeros(4096, np.uint8), 4096, order=order)
        found.add(Stop(caught.value.code, caught.value.pc))
    assert found == possible_stops([*code, END], CONFIG, WINDOWS)


def test_windows_that_leave_the_address_space_and_programs_that_leave_their_window() -> None:
    top = (1 << 32) - 64
    assert window_stop(Windows(top, 0), Windows(64, 64), 0, 2) is None
    assert window_stop(Windows(top, 0), Windows(65, 64), 0, 2) == Stop(ErrorCode.WINDOW, 0)
    assert window_stop(Windows(0, top), Windows(64, 65), 0, 0) == Stop(ErrorCode.WINDOW, 0)
    assert window_stop(Windows(0, 0), Windows(64, 0), 0, 3) == Stop(ErrorCode.WINDOW, 2)
    assert window_stop(Windows(0, 0), Windows(64, 0), 128, 1) == Stop(ErrorCode.WINDOW, 0)
    assert window_stop(Windows(0, 0), Windows(64, 0), 128, 0) is None
