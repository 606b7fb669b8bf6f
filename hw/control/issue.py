"""One queue: instructions wait in order for their tokens and for their unit, and give tokens when they retire."""

from __future__ import annotations

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.memory.ports import Command, ErrorReport, instruction_layout, used_bits
from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.hw.protect.parity_queue import queue as make_queue
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import ErrorCode, Opcode, Queue
from vitreous.spec.limits import ISSUED_INSTRUCTIONS

_HEADER = instruction_layout(Opcode.END)


class _Issued(data.StructLayout):
    """What is remembered of an instruction until it retires."""

    def __init__(self) -> None:
        super().__init__({"signal": len(Queue), "pc": isa.PC_BITS})


class IssueQueue(wiring.Component):
    """A queue of ``config.queue.depth`` commands in front of a unit.

    Latency: ``ISSUE_LATENCY`` cycles to the unit where the tokens are there, ``RETIRE_LATENCY`` from ``done`` to the
    tokens that the instruction gives. Throughput: one command a cycle. Back-pressure:
    ``i.ready`` is low while the queue is full; a command is offered to the unit while its tokens are there and
    fewer than 16 are in flight.

    Parameters
    ----------
    config : depth; with ``protect.parity`` there is a member ``upset``.
    queue : which one this is: bits beyond the fields of its instructions have no parity. None: all bits have.

    Members
    -------
    i : In(stream.Signature(Command())). o : Out(stream.Signature(Command())), to the unit. done : In(1), from the unit.
    available : In(4), take, give : Out(4), overflow : In(1): this queue's part of ``Tokens``.
    halt : In(1), nothing issues.
    queued, active : Out(1), a command waits here, maybe on its way to the head; one is in flight.
    missing : Out(4), queues of which the head still needs a token.
    issue : Out(1), the head goes to the unit in this cycle. head_pc : Out, its program counter.
    complete : Out(1), an instruction retires in this cycle.
    error : Out(ErrorReport()), TOKEN_OVERFLOW of the retired instruction.
    """

    ISSUE_LATENCY = 2
    RETIRE_LATENCY = 1

    def __init__(self, config: AcceleratorConfig, *, queue: Queue | None = None) -> None:
        self._config = config
        self._covered = None if queue is None else used_bits(queue)
        mask = len(Queue)
        super().__init__(
            {
                "i": In(stream.Signature(Command())),
                "o": Out(stream.Signature(Command())),
                "done": In(1),
                "available": In(mask),
                "take": Out(mask),
                "give": Out(mask),
                "overflow": In(1),
                "halt": In(1),
                "queued": Out(1),
                "active": Out(1),
                "missing": Out(mask),
                "issue": Out(1),
                "head_pc": Out(isa.PC_BITS),
                "complete": Out(1),
                "error": Out(ErrorReport()),
            }
            | upset_member(config.protect.parity)
        )

    def elaborate(self, platform: object) -> Module:
        m = Module()
        depth = self._config.queue.depth
        # The head is in a register of its own: ``depth`` commands here, one of them in it, are as many as it holds.
        guard = Guard(m, on=self._config.protect.parity)
        m.submodules.waiting = waiting = make_queue(
            width=Command().size, depth=depth + 1, parity=guard.on, covered=self._covered, buffered=True
        )
        m.submodules.issued = issued = make_queue(
            width=_Issued().size, depth=ISSUED_INSTRUCTIONS, parity=guard.on
        )
        guard.parts(waiting, issued)
        guard.report(self)
        head = data.View(Command(), waiting.r_data)
        header = data.View(_HEADER, head.word)
        oldest = data.View(_Issued(), issued.r_data)
        entry = data.View(_Issued(), issued.w_data)
        room, done = Signal(name="room"), Signal(name="done_register")
        level = Signal(range(depth + 1), name="level")
        m.d.sync += [done.eq(self.done), level.eq(level + (self.i.valid & self.i.ready) - self.issue)]
        m.d.comb += [
            room.eq(level != depth),
            waiting.w_data.eq(self.i.payload),
            waiting.w_en.eq(self.i.valid & room & ~self.halt),
            self.i.ready.eq(room & ~self.halt),
            self.queued.eq(level != 0),
            self.missing.eq(header.wait & ~self.available & waiting.r_rdy.replicate(len(Queue))),
            self.o.payload.eq(head),
            self.o.valid.eq(waiting.r_rdy & ~self.missing.any() & issued.w_rdy & ~self.halt),
            self.issue.eq(self.o.valid & self.o.ready),
            self.head_pc.eq(head.pc),
            waiting.r_en.eq(self.issue),
            issued.w_en.eq(self.issue),
            entry.signal.eq(header.signal),
            entry.pc.eq(head.pc),
            self.active.eq(issued.r_rdy),
            self.complete.eq(done & ~self.halt),
            issued.r_en.eq(self.complete),
            self.error.valid.eq(self.overflow),
            self.error.code.eq(ErrorCode.TOKEN_OVERFLOW),
            self.error.pc.eq(oldest.pc),
        ]
        with m.If(self.issue):
            m.d.comb += self.take.eq(header.wait)
        with m.If(self.complete):
            m.d.comb += self.give.eq(oldest.signal)
        return m
