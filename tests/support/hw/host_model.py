"""A host and a DRAM around the whole accelerator, in the Amaranth simulator."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

from amaranth.sim import Simulator

from tests.support.hw.axi_memory import AxiMemory
from vitreous.hw.accelerator import Accelerator
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import COUNTERS, Instruction, Queue, Register

READ_BASE = 0x4000
WRITE_BASE = 0x2000
PROGRAM_OFFSET = 0x1C0


class Outcome:
    """STATUS after the run, what the trace said, all counters."""

    def __init__(self) -> None:
        self.status = 0
        self.issued: list[tuple[Queue, int]] = []
        self.completed: dict[Queue, int] = dict.fromkeys(Queue, 0)
        self.counters: dict[str, int] = {}
        self.written_at_interrupt = 0

    @property
    def error(self) -> tuple[int, int]:
        """Code and program counter."""
        return isa.status_error(self.status)


class Machine:
    """An accelerator with a read window of ``read_size`` bytes (program included) and a write window of
    ``write_size``."""

    def __init__(
        self,
        config: AcceleratorConfig,
        *,
        read_size: int = 0x2000,
        write_size: int = 0x1000,
        seed: int = 0,
        stall: float = 0.0,
    ) -> None:
        self.top = Accelerator(config)
        self.read_size, self.write_size = read_size, write_size
        self.axi = AxiMemory(
            self.top,
            config.bus.data_bits,
            READ_BASE + read_size,
            prefix="m_axi_",
            seed=seed,
            stall=stall,
            burst_beats=config.bus.burst_beats,
            outstanding=config.bus.outstanding_reads,
            readable=(READ_BASE, READ_BASE + read_size),
            writable=(WRITE_BASE, WRITE_BASE + write_size),
        )
        self._random, self._stall = random.Random(seed), stall
        self.outcome = Outcome()

    def place(self, offset: int, data: bytes) -> None:
        self.axi.data[READ_BASE + offset : READ_BASE + offset + len(data)] = data

    def program(self, instructions: Sequence[Instruction]) -> int:
        """Writes the program; returns its length."""
        self.place(PROGRAM_OFFSET, b"".join(i.encode() for i in instructions))
        return len(instructions)

    @property
    def written(self) -> bytes:
        return bytes(self.axi.data[WRITE_BASE : WRITE_BASE + self.write_size])

    def simulate(self, host: Callable[[Any, Machine], Any]) -> Outcome:
        """Runs ``host`` (an async function of the simulator's context and this machine) beside the DRAM."""
        simulator = Simulator(self.top)
        simulator.add_clock(1e-6)
        self.axi.attach(simulator)
        simulator.add_testbench(self._trace, background=True)

        async def process(ctx: Any) -> None:
            await host(ctx, self)

        simulator.add_testbench(process)
        simulator.run()
        return self.outcome

    def run(self, instructions: Sequence[Instruction], *, length: int | None = None) -> Outcome:
        """One start, until the interrupt; then 100 cycles more to catch what comes too late, then every counter."""
        count = self.program(instructions)

        async def host(ctx: Any, machine: Machine) -> None:
            await self.configure(ctx, count if length is None else length)
            await self.start(ctx)
            self.outcome.counters = await self.counters(ctx)

        return self.simulate(host)

    async def configure(self, ctx: Any, length: int) -> None:
        for register, value in (
            (Register.READ_BASE, READ_BASE),
            (Register.READ_SIZE, self.read_size),
            (Register.WRITE_BASE, WRITE_BASE),
            (Register.WRITE_SIZE, self.write_size),
            (Register.PROGRAM_OFFSET, PROGRAM_OFFSET),
            (Register.PROGRAM_LENGTH, length),
            (Register.INTERRUPT_ENABLE, 1),
        ):
            await self.write(ctx, register, value)

    async def start(self, ctx: Any, limit: int = 20000) -> None:
        """Start, wait for the interrupt, read STATUS, clear the interrupt."""
        await self.write(ctx, Register.CONTROL, isa.CONTROL_START)
        for _ in range(limit):
            if (await ctx.tick().sample(self.top.irq))[2]:
                break
        else:
            raise AssertionError("no interrupt: the machine hangs")
        self.outcome.written_at_interrupt = self.axi.bytes_written
        await ctx.tick().repeat(100)
        assert self.axi.quiet, "the interrupt came before the bus was quiet"
        assert self.axi.bytes_written == self.outcome.written_at_interrupt, "written after the interrupt"
        self.outcome.status = await self.read(ctx, Register.STATUS)
        await self.write(ctx, Register.CONTROL, isa.CONTROL_CLEAR_INTERRUPT)
        await ctx.tick()
        assert not ctx.get(self.top.irq)

    async def counters(self, ctx: Any) -> dict[str, int]:
        values = {}
        for number, (name, _) in enumerate(COUNTERS):
            low = await self.read(ctx, Register.COUNTERS + 8 * number)
            values[name] = low | await self.read(ctx, Register.COUNTERS + 8 * number + 4) << 32
        return values

    async def write(self, ctx: Any, address: int, value: int, strobe: int = 15) -> None:
        """Address and data arrive in random order."""
        top = self.top
        ctx.set(top.s_axil_awaddr, address)
        ctx.set(top.s_axil_wdata, value)
        ctx.set(top.s_axil_wstrb, strobe)
        lead = self._random.choice((0, 0, 1, 2)) if self._stall else 0
        first, second = self._random.sample(("aw", "w"), 2)
        open_ = {first}
        for cycle in range(50):
            if cycle == lead:
                open_.add(second)
            for channel in (first, second):
                ctx.set(getattr(top, f"s_axil_{channel}valid"), channel in open_)
            if cycle >= lead and not open_:
                break
            _, _, *taken = await ctx.tick().sample(top.s_axil_awready, top.s_axil_wready)
            open_ -= {channel for channel, ready in zip(("aw", "w"), taken, strict=True) if ready}
        else:
            raise AssertionError("the host port hangs")
        await self._answer(ctx, top.s_axil_bready, top.s_axil_bvalid, top.s_axil_bresp)

    async def read(self, ctx: Any, address: int) -> int:
        top = self.top
        ctx.set(top.s_axil_araddr, address)
        ctx.set(top.s_axil_arvalid, 1)
        await self._until(ctx, top.s_axil_arready)
        ctx.set(top.s_axil_arvalid, 0)
        return await self._answer(ctx, top.s_axil_rready, top.s_axil_rvalid, top.s_axil_rdata)

    async def _until(self, ctx: Any, condition: Any) -> None:
        for _ in range(50):
            if (await ctx.tick().sample(condition))[2]:
                return
        raise AssertionError("the host port hangs")

    async def _answer(self, ctx: Any, ready: Any, valid: Any, value: Any) -> int:
        for _ in range(50):
            ctx.set(ready, self._random.random() >= self._stall)
            _, _, taken, result = await ctx.tick().sample(valid & ready, value)
            if taken:
                ctx.set(ready, 0)
                return int(result)
        raise AssertionError("the host port does not answer")

    async def _trace(self, ctx: Any) -> None:
        top = self.top
        while True:
            _, _, issue, pcs, done = await ctx.tick().sample(
                top.trace_issue, top.trace_issue_pc, top.trace_done
            )
            for queue in Queue:
                if issue >> queue & 1:
                    self.outcome.issued.append((queue, pcs >> isa.PC_BITS * queue & ((1 << isa.PC_BITS) - 1)))
                self.outcome.completed[queue] += done >> queue & 1
