"""The functional machine in an observed order: what is known for certain, and what timing decided."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from tests.golden.machine.test_matmul import config_of, matmul
from tests.support.instructions import transfer
from vitreous.golden.machine import Machine
from vitreous.golden.machine.observed import CONTEXT, DRAM, ROW, Event, ObservedMachine, OrderError
from vitreous.spec.isa import Instruction, Memory, Opcode, Operands, Queue, Scale

CONFIG = config_of()
WORD = 32
PRODUCT = matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, o_base=8)


LOAD, STORE = transfer(Opcode.LOAD), transfer(Opcode.STORE, base=8)


def issue(queue: Queue, pc: int) -> Event:
    return Event("issue", queue, pc)


def retire(queue: Queue) -> Event:
    return Event("retire", queue, 0)


def observed(
    code: list[Instruction], events: list[Event], late: Collection[tuple[int, int]] = ()
) -> ObservedMachine:
    machine = Machine(CONFIG)
    machine.x[...], machine.p[0] = 1, 1 << 32 | 1 << 47
    read = np.full(4 * WORD, 3, np.uint8)
    run = ObservedMachine(machine, code, read, np.full(2 * WORD, 0xA5, np.uint8), late)
    run.follow(events)
    return run


def test_one_after_another_has_one_result() -> None:
    events = [
        e for pc, q in enumerate((Queue.LOAD, Queue.MATRIX, Queue.STORE)) for e in (issue(q, pc), retire(q))
    ]
    run = observed([LOAD, PRODUCT, STORE], events)
    assert not any(mask.any() for mask in run.open.values())
    assert not run.races
    assert run.dram.write[:WORD].any()
    assert (run.dram.write[WORD:] == 0xA5).all()


def test_what_is_computed_from_words_that_were_written_meanwhile_is_open() -> None:
    """And nothing else; both orders of the two give its values."""
    code = [LOAD, PRODUCT, transfer(Opcode.STORE, base=8, words=2)]
    events = [issue(Queue.LOAD, 0), issue(Queue.MATRIX, 1), retire(Queue.LOAD), retire(Queue.MATRIX)]
    events += [issue(Queue.STORE, 2), retire(Queue.STORE)]
    run = observed(code, events)
    assert run.races == [(1, 0)]
    assert run.open[Memory.W].nonzero()[0].tolist() == [8, 9]  # eight columns, four in each word
    assert run.open[DRAM].all()
    assert not run.dram.write.any()
    assert observed(code, events, late=[(1, 0)]).dram.write.any()


def test_a_third_product_is_issued_while_the_first_is_read_out() -> None:
    chain = [
        matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.W, o_base=o)
        for o in (8, 20)
    ]
    third = matmul(k_words=1, row_tiles=1, columns=8, scale=Scale.TENSOR, destination=Memory.R, b_base=8)
    events = [issue(Queue.MATRIX, pc) for pc in range(3)] + [retire(Queue.MATRIX)] * 3
    run = observed([*chain, third], events)
    assert run.races == [(2, 0)]
    assert run.open[Memory.R].sum() == 8


def test_what_blocks_leave_is_open_until_a_first_block() -> None:
    """Scores of keys that were loaded meanwhile: so are their sum, the contexts of their row, and no other row."""
    row = {"destination": Memory.S, "scale": Scale.TENSOR, "k_words": 1, "row_tiles": 1, "columns": 8}
    row |= {"multiplier": 1 << 14, "shift": 14}
    mixed = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "k_words": 2, "row_tiles": 1, "columns": 3}
    mixed |= {"b_base": 20, "o_base": 40}
    first, last = {"first_block": 1}, {"last_block": 1}
    code = [
        LOAD,
        matmul(**row, **first),
        matmul(**row, **last, slot=1, b_base=20),
        matmul(**mixed, **first),
        matmul(**mixed, **last, slot=1),
        matmul(**row, **first, slot=1, b_base=20),
        matmul(**mixed, **first, slot=1),
    ]
    events = [issue(Queue.LOAD, 0), issue(Queue.MATRIX, 1), retire(Queue.LOAD), retire(Queue.MATRIX)]
    for pc in range(2, len(code)):
        run = observed(code, events)
        assert run.open[ROW].tolist() == [pc < 6]
        assert run.open[CONTEXT].nonzero()[0].tolist() == ([0, 1, 2, 3] if pc >= 4 else [])
        assert run.open[Memory.X].nonzero()[0].tolist() == ([40] if pc > 4 else [])
        events += [issue(Queue.MATRIX, pc), retire(Queue.MATRIX)]
    run = observed(code, events)
    assert not run.open[CONTEXT].any()
    assert not run.open[ROW].any()
    assert run.open[Memory.S].reshape(2, -1).any(1).tolist() == [True, False]


def test_a_context_in_one_pass_and_block_leaves_only_its_maximum() -> None:
    whole = {"first_block": 1, "last_block": 1}
    mixed = {"operands": Operands.SW, "scale": Scale.SOFTMAX, "k_words": 1, "row_tiles": 1, "columns": 3}
    for planes, left in ((0, [0]), (1, [0, 1, 2, 3])):
        code = [LOAD, matmul(**mixed, **whole, extra_planes=planes)]
        events = [issue(Queue.LOAD, 0), issue(Queue.MATRIX, 1), retire(Queue.LOAD), retire(Queue.MATRIX)]
        assert observed(code, events).open[CONTEXT].nonzero()[0].tolist() == left


def test_a_store_that_did_not_end_has_written_a_part() -> None:
    machine = observed([STORE], [issue(Queue.STORE, 0)])
    machine.stop()
    assert not machine.open[DRAM].any()
    assert machine.later.sum() == WORD
    assert (machine.dram.write == 0xA5).all()
    assert not machine.either[:WORD].any()


@pytest.mark.parametrize(
    ("code", "events", "why"),
    [
        ([LOAD, LOAD], [issue(Queue.LOAD, 1)], "out of its order"),
        ([LOAD.with_tokens(wait=2, signal=0)], [issue(Queue.LOAD, 0)], "without its tokens"),
        ([STORE, STORE], [issue(Queue.STORE, 0), issue(Queue.STORE, 1)], "full STORE unit"),
        ([LOAD], [retire(Queue.LOAD)], "none was in flight"),
        (
            [transfer(Opcode.LOAD, words=0)],
            [issue(Queue.LOAD, 0), retire(Queue.LOAD)],
            "in spite of its error",
        ),
    ],
)
def test_orders_that_cannot_be(code: list[Instruction], events: list[Event], why: str) -> None:
    with pytest.raises(OrderError, match=why):
        observed(code, events)
