"""The functional machine in an observed order: what is known for certain, and what timing decided."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pytest

from tests.golden.machine.test_matmul import config_of, matmul
from tests.support.instructions import transfer
from vitreous.golden.machine import Machine
from vitreous.golden.machine.observed import DRAM, Event, ObservedMachine, OrderError
from vitreous.spec.isa import Instruction, Memory, Opcode, Queue, Scale

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
