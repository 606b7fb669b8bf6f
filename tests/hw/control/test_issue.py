"""Queue, tokens and their counters: order, masks, overflow."""

from __future__ import annotations

import random
from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.sim import Simulator

from tests.support.hw.axi_memory import taken
from tests.support.hw.programs import relay_config
from vitreous.hw.control.issue import IssueQueue
from vitreous.hw.control.tokens import Tokens
from vitreous.spec import isa
from vitreous.spec.isa import ErrorCode, Memory, Opcode, Queue, make
from vitreous.spec.limits import ISSUED_INSTRUCTIONS

FULL = (1 << isa.TOKEN_BITS) - 1


def test_tokens_against_a_model() -> None:
    dut = Tokens()
    rng = random.Random(5)
    counts = {(source, target): 0 for source in Queue for target in Queue}

    async def bench(ctx: Any) -> None:
        for cycle in range(2000):
            takes = {}
            for queue in Queue:
                available = ctx.get(getattr(dut, f"available_{queue.name.lower()}"))
                assert available == sum((counts[source, queue] != 0) << source for source in Queue)
                takes[queue] = available & rng.getrandbits(4)
                ctx.set(getattr(dut, f"take_{queue.name.lower()}"), takes[queue])
            for source in Queue:
                give = rng.getrandbits(4) & (rng.getrandbits(4) if cycle % 400 < 200 else 15)
                ctx.set(getattr(dut, f"give_{source.name.lower()}"), give)
                for target in Queue:
                    counts[source, target] += (give >> target & 1) - (takes[target] >> source & 1)
                assert not ctx.get(getattr(dut, f"overflow_{source.name.lower()}"))
            await ctx.tick()

    run(dut, bench)


def run(dut: Any, bench: Any) -> None:
    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()


@pytest.mark.slow
def test_a_full_counter_overflows_unless_one_is_taken() -> None:
    dut = Tokens()

    async def bench(ctx: Any) -> None:
        ctx.set(dut.give_vector, 1 << Queue.STORE)
        await ctx.tick().repeat(FULL - 1)
        assert not ctx.get(dut.overflow_vector)
        await ctx.tick()
        assert ctx.get(dut.overflow_vector)
        ctx.set(dut.take_store, 1 << Queue.VECTOR)
        assert not ctx.get(dut.overflow_vector)
        await ctx.tick()
        ctx.set(dut.give_vector, 0)
        await ctx.tick().repeat(FULL - 1)
        assert ctx.get(dut.available_store) == 1 << Queue.VECTOR
        await ctx.tick()
        assert not ctx.get(dut.available_store)

    run(dut, bench)


def instruction(pc: int, wait: int, signal: int) -> int:
    fill = make(Opcode.FILL, memory=Memory.X, base=pc, words=1).with_tokens(wait=wait, signal=signal)
    return int.from_bytes(fill.encode(), "little")


@pytest.mark.parametrize("seed", range(3))
def test_queue_issues_in_order_when_tokens_are_there(seed: int) -> None:
    dut = IssueQueue(relay_config())
    rng = random.Random(seed)
    program = [(rng.getrandbits(4) & rng.getrandbits(4), rng.getrandbits(4)) for _ in range(40)]
    issued: list[int] = []
    given: list[int] = []

    async def feed(ctx: Any) -> None:
        for pc, (wait, signal) in enumerate(program):
            ctx.set(dut.i.payload.word, instruction(pc, wait, signal))
            ctx.set(dut.i.payload.pc, pc)
            ctx.set(dut.i.valid, 1)
            await taken(ctx, dut.i.ready)
        ctx.set(dut.i.valid, 0)

    async def unit(ctx: Any) -> None:
        waited = done = False
        while len(given) < len(program):
            available = rng.getrandbits(4)
            ctx.set(dut.available, available)
            ctx.set(dut.o.ready, rng.random() < 0.7)
            # Long stretches without a retirement fill what may be in flight.
            completes = done
            often = 0.8 if len(issued) % 32 > 20 else 0.05
            done = len(given) + completes < len(issued) and rng.random() < often
            ctx.set(dut.done, done)
            overflows = completes and rng.random() < 0.2
            ctx.set(dut.overflow, overflows)
            assert len(issued) - len(given) <= ISSUED_INSTRUCTIONS
            assert ctx.get(dut.active) == (len(issued) != len(given))
            assert ctx.get(dut.queued) or not ctx.get(dut.o.valid)
            if waited:  # one that was here in the cycle before is at the head now
                wait = program[len(issued)][0]
                assert ctx.get(dut.missing) == wait & ~available
                assert ctx.get(dut.head_pc) == len(issued)
            if completes:
                assert ctx.get(dut.give) == program[len(given)][1]
                if overflows:
                    report = ctx.get(dut.error)
                    assert (report.valid, report.code, report.pc) == (1, ErrorCode.TOKEN_OVERFLOW, len(given))
                given.append(ctx.get(dut.give))
            else:
                assert not ctx.get(dut.give)
            waited = ctx.get(dut.queued) and not ctx.get(dut.issue)
            if ctx.get(dut.issue):
                assert ctx.get(dut.take) == program[len(issued)][0]
                assert ctx.get(dut.o.payload.pc) == len(issued)
                issued.append(len(issued))
            else:
                assert not ctx.get(dut.take)
            await ctx.tick()

    m = Module()
    m.submodules.dut = dut
    simulator = Simulator(m)
    simulator.add_clock(1e-6)
    simulator.add_testbench(feed, background=True)
    simulator.add_testbench(unit)
    simulator.run()
    assert len(issued) == len(program)
