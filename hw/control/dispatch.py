"""Dispatch: each instruction to the queue of its opcode, in program order; END, deadlock and a missing END."""

from __future__ import annotations

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.memory.ports import Command, ErrorReport, instruction_layout
from vitreous.spec import isa
from vitreous.spec.isa import QUEUE_OF, ErrorCode, Opcode, Queue
from vitreous.spec.limits import DEADLOCK_CYCLES


class Dispatch(wiring.Component):
    """Commands from fetch -> the four queues.

    Latency: 0. Throughput: one instruction a cycle. Back-pressure: the head waits while its queue is full.

    Members
    -------
    i : In(stream.Signature(Command())).
    load, matrix, vector, store : Out(stream.Signature(Command())).
    exhausted : In(1), fetch has no more instructions and the last one has been taken.
    heads : In(64), 16 bits for each queue: the program counter of its head.
    queued, waiting : In(4), a queue has an instruction; its head misses a token.
    idle : In(1), nothing is in flight and all units are idle.
    halt : In(1), nothing is dispatched.
    finished : Out(1), END is reached and all previous instructions have retired.
    dispatched : Out(1), an instruction leaves in this cycle (for END: the cycle in which it is finished).
    oldest : Out, the lowest program counter that waits in a queue; none does: that of the last instruction dispatched.
    error : Out(ErrorReport()), UNKNOWN_OPCODE, NO_END (pc: the last instruction) or DEADLOCK (pc: the lowest
        that waits).
    """

    def __init__(self) -> None:
        super().__init__(
            {"i": In(stream.Signature(Command()))}
            | {queue.name.lower(): Out(stream.Signature(Command())) for queue in Queue}
            | {
                "exhausted": In(1),
                "heads": In(len(Queue) * isa.PC_BITS),
                "queued": In(len(Queue)),
                "waiting": In(len(Queue)),
                "idle": In(1),
                "halt": In(1),
                "finished": Out(1),
                "dispatched": Out(1),
                "oldest": Out(isa.PC_BITS),
                "error": Out(ErrorReport()),
            }
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        opcode = data.View(instruction_layout(Opcode.END), self.i.payload.word).opcode
        live = self.i.valid & ~self.halt
        unknown, stuck = Signal(name="unknown"), Signal(name="stuck")
        last_pc = Signal(isa.PC_BITS)
        with m.Switch(opcode):
            for operation, queue in QUEUE_OF.items():
                target = getattr(self, queue.name.lower())
                with m.Case(operation):
                    m.d.comb += [
                        target.valid.eq(live),
                        self.i.ready.eq(target.ready & ~self.halt),
                        stuck.eq(live & ~target.ready),
                    ]
            with m.Case(Opcode.END):
                complete = ~self.queued.any() & self.idle
                m.d.comb += [self.finished.eq(live & complete), stuck.eq(live & ~complete)]
            with m.Default():
                m.d.comb += unknown.eq(live)
        for queue in Queue:
            m.d.comb += getattr(self, queue.name.lower()).payload.eq(self.i.payload)
        m.d.comb += self.dispatched.eq((self.i.valid & self.i.ready) | self.finished)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += last_pc.eq(self.i.payload.pc)

        # No way forward: nothing runs, every queue that is not empty waits for a token, and nothing more can
        # be dispatched.
        ended = self.exhausted & ~self.i.valid & ~self.halt
        still = Signal(range(DEADLOCK_CYCLES))
        dead = Signal()
        m.d.comb += dead.eq(
            (stuck | ended) & self.idle & self.queued.any() & ~(self.queued & ~self.waiting).any()
        )
        m.d.sync += still.eq(0)
        with m.If(dead & (still != DEADLOCK_CYCLES - 1)):
            m.d.sync += still.eq(still + 1)
        lowest = self._lowest_head()
        m.d.comb += self.oldest.eq(Mux(self.queued.any(), lowest, last_pc))
        with m.If(unknown):
            self._build_error(m, ErrorCode.UNKNOWN_OPCODE, self.i.payload.pc)
        with m.Elif(ended & self.idle & ~self.queued.any()):
            self._build_error(m, ErrorCode.NO_END, last_pc)
        with m.Elif(dead & (still == DEADLOCK_CYCLES - 1)):
            self._build_error(m, ErrorCode.DEADLOCK, lowest)
        return m

    def _lowest_head(self) -> Value:
        none = Const((1 << isa.PC_BITS) - 1, isa.PC_BITS)
        heads = [
            Mux(self.queued[queue], self.heads.word_select(int(queue), isa.PC_BITS), none) for queue in Queue
        ]
        while len(heads) > 1:  # by pairs: half the comparisons one after the other
            heads = [Mux(a < b, a, b) for a, b in zip(heads[::2], heads[1::2], strict=True)]
        return heads[0]

    def _build_error(self, m: Module, code: ErrorCode, pc: Value) -> None:
        m.d.comb += [self.error.valid.eq(1), self.error.code.eq(code), self.error.pc.eq(pc)]
