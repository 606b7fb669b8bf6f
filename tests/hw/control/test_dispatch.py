"""Dispatch: opcodes to queues in order, END, and the three errors with their program counters."""

from __future__ import annotations

import random
from typing import Any

import pytest

from tests.support.hw.simulation import simulate
from vitreous.hw.control.dispatch import Dispatch
from vitreous.spec import isa
from vitreous.spec.isa import QUEUE_OF, ErrorCode, Opcode, Queue
from vitreous.spec.limits import DEADLOCK_CYCLES

NAMES = {queue: queue.name.lower() for queue in Queue}


def check(scenario: Any) -> None:
    dut = Dispatch()

    async def bench(ctx: Any) -> None:
        await scenario(ctx, dut)

    simulate(dut, bench)


def offer(ctx: Any, dut: Dispatch, opcode: int, pc: int) -> None:
    ctx.set(dut.i.payload, {"pc": pc, "word": opcode | 0xABC << 16})
    ctx.set(dut.i.valid, 1)


def heads(ctx: Any, dut: Dispatch, pcs: dict[Queue, int]) -> None:
    """These queues hold instructions that wait; nothing is in flight."""
    ctx.set(dut.queued, sum(1 << queue for queue in pcs))
    ctx.set(dut.waiting, sum(1 << queue for queue in pcs))
    ctx.set(dut.heads, sum(pc << isa.PC_BITS * queue for queue, pc in pcs.items()))
    ctx.set(dut.idle, 1)


async def first_error(ctx: Any, dut: Dispatch, limit: int = 2 * DEADLOCK_CYCLES) -> tuple[int, int, int]:
    """Cycles until the report, its code and program counter."""
    for cycle in range(limit):
        report = ctx.get(dut.error)
        if report.valid:
            return cycle, report.code, report.pc
        await ctx.tick()
    raise AssertionError("no error")


def test_random_programs_go_to_their_queues_in_order() -> None:
    rng = random.Random(2)
    program = [rng.choice(list(QUEUE_OF)) for _ in range(150)]

    async def scenario(ctx: Any, dut: Dispatch) -> None:
        pc = dispatched = 0
        while pc < len(program):
            offer(ctx, dut, program[pc], pc)
            ctx.set(dut.i.valid, live := rng.random() < 0.8)
            ctx.set(dut.halt, halt := rng.random() < 0.1)
            ready = {queue: rng.random() < 0.5 for queue in Queue}
            for queue, name in NAMES.items():
                ctx.set(getattr(dut, name).ready, ready[queue])
            target = QUEUE_OF[program[pc]]
            for queue, name in NAMES.items():
                assert ctx.get(getattr(dut, name).valid) == (live and not halt and queue is target)
            assert ctx.get(getattr(dut, NAMES[target]).payload.pc) == pc
            taken = live and not halt and ready[target]
            assert ctx.get(dut.dispatched) == ctx.get(dut.i.ready & dut.i.valid) == taken
            assert not ctx.get(dut.error.valid)
            await ctx.tick()
            pc, dispatched = pc + taken, dispatched + taken
        assert dispatched == len(program)

    check(scenario)


def test_end_waits_until_all_is_complete() -> None:
    async def scenario(ctx: Any, dut: Dispatch) -> None:
        offer(ctx, dut, Opcode.END, 4)
        for queued, idle, halt in ((1, 1, 0), (0, 0, 0), (8, 0, 0), (0, 1, 1)):
            for name, level in (("queued", queued), ("idle", idle), ("halt", halt)):
                ctx.set(getattr(dut, name), level)
            await ctx.tick()
            assert not ctx.get(dut.finished)
            assert not ctx.get(dut.dispatched)
            assert not ctx.get(dut.error.valid)
        ctx.set(dut.halt, 0)
        assert ctx.get(dut.finished)
        assert ctx.get(dut.dispatched)

    check(scenario)


@pytest.mark.parametrize("opcode", [max(Opcode) + 1, 15])
def test_unknown_opcode(opcode: int) -> None:
    async def scenario(ctx: Any, dut: Dispatch) -> None:
        offer(ctx, dut, opcode, 0x1234)
        assert await first_error(ctx, dut) == (0, ErrorCode.UNKNOWN_OPCODE, 0x1234)
        ctx.set(dut.halt, 1)
        assert not ctx.get(dut.error.valid)

    check(scenario)


def test_no_end_names_the_last_instruction_when_it_is_complete() -> None:
    async def scenario(ctx: Any, dut: Dispatch) -> None:
        ctx.set(dut.store.ready, 1)
        for pc in (0, 1, 2):
            offer(ctx, dut, Opcode.STORE, pc)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)
        ctx.set(dut.exhausted, 1)
        for _ in range(30):
            assert not ctx.get(dut.error.valid), "an instruction is still at work"
            await ctx.tick()
        ctx.set(dut.idle, 1)
        assert (await first_error(ctx, dut))[1:] == (ErrorCode.NO_END, 2)

    check(scenario)


@pytest.mark.parametrize("blocked", ["a full queue", "END", "no more instructions"])
def test_deadlock_names_the_lowest_program_counter_that_waits(blocked: str) -> None:
    async def scenario(ctx: Any, dut: Dispatch) -> None:
        if blocked == "no more instructions":
            ctx.set(dut.exhausted, 1)
        else:
            offer(ctx, dut, Opcode.END if blocked == "END" else Opcode.LOAD, 20)
        heads(ctx, dut, {Queue.LOAD: 12, Queue.VECTOR: 5, Queue.STORE: 9})
        for disturbance in ("idle", "waiting"):  # something runs; the head of the vector queue has its tokens
            await ctx.tick().repeat(DEADLOCK_CYCLES - 1)
            before = ctx.get(getattr(dut, disturbance))
            ctx.set(getattr(dut, disturbance), 0 if disturbance == "idle" else before & ~(1 << Queue.VECTOR))
            for _ in range(3):
                assert not ctx.get(dut.error.valid)
                await ctx.tick()
            ctx.set(getattr(dut, disturbance), before)
        assert await first_error(ctx, dut) == (DEADLOCK_CYCLES - 1, ErrorCode.DEADLOCK, 5)

    check(scenario)


def test_no_deadlock_while_instructions_can_still_be_dispatched() -> None:
    async def scenario(ctx: Any, dut: Dispatch) -> None:
        heads(ctx, dut, {Queue.STORE: 3})
        ctx.set(dut.load.ready, 1)
        offer(ctx, dut, Opcode.LOAD, 4)
        for _ in range(3 * DEADLOCK_CYCLES):
            assert not ctx.get(dut.error.valid)
            await ctx.tick()
        ctx.set(dut.i.valid, 0)  # fetch is late
        for _ in range(3 * DEADLOCK_CYCLES):
            assert not ctx.get(dut.error.valid)
            await ctx.tick()

    check(scenario)
