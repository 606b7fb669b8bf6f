"""The whole machine on small programs: tokens, counters, a second run, every error code, reset."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.hw.host_model import PROGRAM_OFFSET, READ_BASE, WRITE_BASE, Machine
from tests.support.hw.programs import (
    DATA,
    END,
    LOAD_BIT,
    RELAY,
    STORE_BIT,
    expected,
    load,
    relay_config,
    store,
)
from vitreous.spec import isa
from vitreous.spec.isa import ErrorCode, Memory, Queue, Register


def machine(data_bits: int = 64, **options: Any) -> Machine:
    m = Machine(relay_config(data_bits), **options)
    m.place(0x1000, DATA)
    return m


@pytest.mark.slow
@pytest.mark.parametrize(
    "data_bits", [64, *(pytest.param(bits, marks=pytest.mark.slow) for bits in (128, 256))]
)
@pytest.mark.parametrize("stall", [pytest.param(0.0, marks=pytest.mark.slow), 0.4])
def test_relay(data_bits: int, stall: float) -> None:
    m = machine(data_bits, seed=data_bits, stall=stall)
    outcome = m.run(RELAY)
    assert outcome.status == isa.STATUS_DONE
    assert m.written == expected()
    assert outcome.completed == {Queue.LOAD: 4, Queue.MATRIX: 0, Queue.VECTOR: 0, Queue.STORE: 4}
    assert [pc for queue, pc in outcome.issued if queue is Queue.STORE] == [2, 3, 5, 7]
    counters, beat = outcome.counters, data_bits // 8
    assert counters["instructions"] == len(RELAY)
    assert counters["fetch_beats"] == len(RELAY) * 32 // beat
    assert counters["load_beats"] == sum(-(-size // beat) for size in (64, 36, 192))
    assert counters["store_beats"] == sum(-(-size // beat) for size in (4, 64, 36, 192))
    assert (counters["x_writes"], counters["x_reads"]) == (16 + 3 + 9, 1 + 16 + 9)
    assert (counters["r_writes"], counters["r_reads"]) == (24, 24)
    assert counters["matrix_empty"] == counters["cycles"] > 100
    assert counters["store_wait_token"] > 0
    assert counters["load_wait_token"] > 0
    assert 0 < counters["load_busy"] < counters["cycles"]
    silent = [
        name
        for name, value in counters.items()
        if value and name.startswith(("matrix_wait", "vector", "s_", "w_", "p_"))
    ]
    assert not silent


ERRORS = {
    "store before its token can come": ([store(wait=LOAD_BIT), END], ErrorCode.DEADLOCK, 0),
    "lowest waiting": ([load(), store(wait=STORE_BIT), load(wait=LOAD_BIT), END], ErrorCode.DEADLOCK, 1),
    "full queue behind a deadlock": (
        [store(wait=LOAD_BIT)] * 4 + [load(signal=STORE_BIT), END],
        ErrorCode.DEADLOCK,
        0,
    ),
    "no end": ([load(), store(dram_offset=64)], ErrorCode.NO_END, 1),
    "window": ([load(), load(dram_offset=0x1FF8), END], ErrorCode.WINDOW, 1),
    "address": ([load(), store(signal=LOAD_BIT), load(wait=STORE_BIT, base=250), END], ErrorCode.ADDRESS, 2),
    "illegal": ([load(memory=Memory.S), END], ErrorCode.ILLEGAL_FIELD, 0),
    "misaligned": ([store(dram_offset=3), END], ErrorCode.ALIGNMENT, 0),
}


@pytest.mark.slow
@pytest.mark.parametrize("stall", [0.0, 0.4])
def test_errors(stall: float) -> None:
    """One after the other, with a reset between; after the last the machine still works."""
    m = machine(seed=3, stall=stall)

    async def host(ctx: Any, m: Machine) -> None:
        for name, (program, code, pc) in ERRORS.items():
            await m.configure(ctx, m.program(program))
            await m.start(ctx)
            assert m.outcome.status & 7 == isa.STATUS_ERROR, name
            assert m.outcome.error == (code, pc), name
            await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        m.axi.data[WRITE_BASE:READ_BASE] = bytes(READ_BASE - WRITE_BASE)
        await m.configure(ctx, m.program(RELAY))
        await m.start(ctx)

    assert m.simulate(host).status == isa.STATUS_DONE
    assert m.written == expected()


@pytest.mark.slow
def test_unknown_opcode_and_empty_program() -> None:
    m = machine()

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program([load(), END, END]))
        m.axi.data[READ_BASE + PROGRAM_OFFSET + 32] = 9
        await m.start(ctx)
        assert m.outcome.error == (ErrorCode.UNKNOWN_OPCODE, 1)
        await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        await m.configure(ctx, 0)
        await m.start(ctx)

    assert m.simulate(host).error[0] == ErrorCode.NO_END


@pytest.mark.slow
def test_program_beyond_the_window() -> None:
    m = machine(read_size=0x1800)
    outcome = m.run([END], length=0x1800)
    assert outcome.error == (ErrorCode.WINDOW, (0x1800 - PROGRAM_OFFSET) // 32)


WRAPPED = {
    "read": (Register.READ_BASE, Register.READ_SIZE),
    "write": (Register.WRITE_BASE, Register.WRITE_SIZE),
}


@pytest.mark.alike(1)
@pytest.mark.parametrize("window", WRAPPED)
def test_a_window_beyond_the_address_space_is_refused_at_start(window: str) -> None:
    """Nothing is read or written then, also of a program that lies in it; one that ends with the addresses is used."""
    m = machine()
    base, size = WRAPPED[window]

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program([load(signal=STORE_BIT), store(wait=LOAD_BIT, dram_offset=64), END]))
        await m.write(ctx, base, 0xFFFFFFC0)
        await m.write(ctx, size, 0x41)
        await m.start(ctx)
        assert m.outcome.error == (ErrorCode.WINDOW, 0)
        await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        await m.write(ctx, size, 0x40)
        await m.write(ctx, Register.PROGRAM_LENGTH, 0)
        await m.start(ctx)
        assert m.outcome.error == (ErrorCode.NO_END, 0)

    m.simulate(host)
    assert m.axi.bytes_written == 0


@pytest.mark.slow
def test_a_run_keeps_the_windows_that_it_was_started_with() -> None:
    m = machine(stall=0.3, seed=2)

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program(RELAY))
        await m.write(ctx, Register.CONTROL, isa.CONTROL_START)
        for register in (
            *WRAPPED["read"],
            *WRAPPED["write"],
            Register.PROGRAM_OFFSET,
            Register.PROGRAM_LENGTH,
        ):
            await m.write(ctx, register, 0xFFFFFFC0)
        assert await m.read(ctx, Register.WRITE_BASE) == WRITE_BASE
        while not ctx.get(m.top.irq):
            await ctx.tick()

    m.simulate(host)
    assert m.written == expected()


@pytest.mark.slow
def test_bus_errors() -> None:
    """Of fetch, load and store, one after the other, with a reset between."""
    m = machine(stall=0.3, seed=4)
    writes = [store(), store(words=20, dram_offset=64), store(dram_offset=1024), END]
    faults = (
        (
            m.axi.fail_read,
            READ_BASE + PROGRAM_OFFSET + 2 * 32,
            [load(), load(), load(), END],
            ErrorCode.BUS_READ,
            2,
        ),
        (m.axi.fail_read, READ_BASE + 0x1000 + 40, [load(words=4), load(), END], ErrorCode.BUS_READ, 1),
        (m.axi.fail_write, WRITE_BASE + 100, writes, ErrorCode.BUS_WRITE, 1),
    )

    async def host(ctx: Any, m: Machine) -> None:
        for addresses, fault, program, code, pc in faults:
            addresses.add(fault)
            await m.configure(ctx, m.program(program))
            await m.start(ctx)
            assert m.outcome.error == (code, pc)
            addresses.clear()
            await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)

    m.simulate(host)
    assert not any(m.written[1024:])


@pytest.mark.slow
def test_reset_after_an_error_and_second_run() -> None:
    """A token left by the failed program would let the store of the next one run too early."""
    m = machine(seed=11, stall=0.2)

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program([load(signal=STORE_BIT), load(wait=STORE_BIT), END]))
        await m.start(ctx)
        assert m.outcome.error == (ErrorCode.DEADLOCK, 1)
        await m.write(ctx, Register.CONTROL, isa.CONTROL_START)
        await ctx.tick().repeat(20)
        assert await m.read(ctx, Register.STATUS) & 7 == isa.STATUS_ERROR, "start does nothing after an error"
        await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        await ctx.tick().repeat(10)
        assert await m.read(ctx, Register.STATUS) == 0
        await m.configure(ctx, m.program([store(wait=LOAD_BIT), END]))
        await m.start(ctx)
        assert m.outcome.error == (ErrorCode.DEADLOCK, 0), "reset took the token away"
        await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        for _ in range(2):
            await m.configure(ctx, m.program(RELAY))
            await m.start(ctx)
            assert m.outcome.status == isa.STATUS_DONE
        m.outcome.counters = await m.counters(ctx)

    outcome = m.simulate(host)
    assert m.written == expected()
    assert outcome.counters["instructions"] == len(RELAY), "start clears the counters"


@pytest.mark.slow
def test_leftover_tokens_stay_for_the_next_program() -> None:
    m = machine()

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program([load(signal=STORE_BIT), END]))
        await m.start(ctx)
        await m.configure(ctx, m.program([store(wait=LOAD_BIT), END]))
        await m.start(ctx)

    assert m.simulate(host).status == isa.STATUS_DONE
    assert m.written[:64] == DATA[:64]


@pytest.mark.slow
@pytest.mark.parametrize("delay", [45, 20, 70, 90])
def test_reset_of_a_running_machine(delay: int) -> None:
    m = machine(seed=delay, stall=0.3)

    async def host(ctx: Any, m: Machine) -> None:
        await m.configure(ctx, m.program(RELAY))
        await m.write(ctx, Register.CONTROL, isa.CONTROL_START)
        await ctx.tick().repeat(delay)
        await m.write(ctx, Register.CONTROL, isa.CONTROL_RESET)
        while await m.read(ctx, Register.STATUS):
            pass
        assert m.axi.quiet
        assert not ctx.get(m.top.irq)
        await m.start(ctx)

    assert m.simulate(host).status == isa.STATUS_DONE
    assert m.written == expected()
