"""Tokens and issue: no token is lost, invented or spent twice, and no instruction issues without its own."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Assert, Assume, Const, Module, Mux, Signal
from amaranth.lib import data

from campaigns.formal.harness import UnitTop, assert_holds, assert_in_order, assume_holds, past
from campaigns.formal.prover import bounded, inductive
from campaigns.mutants.mutation import Mutation
from vitreous.hw.control.dispatch import Dispatch
from vitreous.hw.control.issue import IssueQueue
from vitreous.hw.control.retire import Ending, Retire
from vitreous.hw.control.tokens import Tokens
from vitreous.hw.memory.ports import instruction_layout
from vitreous.spec import isa
from vitreous.spec.config import AcceleratorConfig, QueueConfig
from vitreous.spec.isa import QUEUE_OF, Opcode, Queue

_FULL = (1 << isa.TOKEN_BITS) - 1


def _check_tokens(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """All 16 counters equal tokens given minus tokens taken; one that does not fit raises ``overflow``."""
    for source in Queue:
        s = source.name.lower()
        lost = []
        for target in Queue:
            t = target.name.lower()
            give, take = getattr(unit, f"give_{s}")[target], getattr(unit, f"take_{t}")[source]
            balance = Signal(isa.TOKEN_BITS + 2, name=f"balance_{s}_{t}")
            after = balance + give - take
            fits = after <= _FULL
            m.d.sync += balance.eq(Mux(fits, after, balance))
            available = getattr(unit, f"available_{t}")[source]
            m.d.comb += [
                Assume(~take | available),
                Assert(registers[f"{s}_to_{t}"] == balance),
                Assert(available == (balance != 0)),
            ]
            lost.append(~fits)
        overflow = getattr(unit, f"overflow_{s}")
        m.d.comb += Assert(overflow == (lost[0] | lost[1] | lost[2] | lost[3]))


def _header(payload: Any) -> Any:
    return data.View(instruction_layout(Opcode.END), payload.word)


def _check_issue(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """The command that is offered has all its tokens; it takes exactly them, and nothing else takes any."""
    wait = _header(unit.o.payload).wait
    m.d.comb += [
        Assert(~unit.o.valid | ((wait & ~unit.available) == 0)),
        Assert(unit.take == Mux(unit.o.valid & unit.o.ready, wait, 0)),
        Assert((unit.take & ~unit.available) == 0),
        Assert(unit.issue == (unit.o.valid & unit.o.ready)),
    ]


def _check_issue_order(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """Commands leave as they came; signal masks are given once each, on retirement, in the order of issue."""
    held = past(m, unit.available, name="available")
    working, done = Signal(5, name="working"), past(m, unit.done, name="done")
    m.d.sync += working.eq(working + (unit.o.valid & unit.o.ready) - unit.done)
    m.d.comb += [
        Assume(~unit.halt),
        Assume(
            unit.i.payload.word[32:] == 0
        ),  # operands are stored like the bits before them, and nothing else
        # Tokens that are there stay until this queue takes them, and the unit is done only with what it was given.
        Assume((held & ~past(m, unit.take, name="taken") & ~unit.available) == 0),
        Assume(~unit.done | (working != 0)),
    ]
    assume_holds(m, unit.i, "i")
    assert_holds(m, unit.o, "o")
    taken, issued = unit.i.valid & unit.i.ready, unit.o.valid & unit.o.ready
    assert_in_order(m, taken, unit.i.payload, issued, unit.o.payload, free.chosen, "command")
    signal = _header(unit.o.payload).signal
    puts, takes = assert_in_order(m, issued, signal, done, unit.give, free.completed, "signal")
    m.d.comb += [Assert(unit.complete == done), Assert(unit.active == (puts != takes))]
    with m.If(~done):
        m.d.comb += Assert(unit.give == 0)


def _check_dispatch(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """An instruction goes to the one queue of its opcode, once, unchanged; it is not taken otherwise."""
    opcode = _header(unit.i.payload).opcode
    for queue in Queue:
        port = getattr(unit, queue.name.lower())
        mine = Signal(name=f"mine_{queue.name.lower()}")
        for operation, target in QUEUE_OF.items():
            if target is queue:
                with m.If(opcode == operation):
                    m.d.comb += mine.eq(1)
        m.d.comb += [
            Assert(port.valid == (unit.i.valid & ~unit.halt & mine)),
            Assert(~port.valid | (port.payload == unit.i.payload)),
            Assert(~(mine & unit.i.valid) | (unit.i.ready == (port.ready & ~unit.halt))),
        ]


def _check_retire(m: Module, unit: Any, registers: dict[str, Signal], free: Any) -> None:
    """``done`` follows the order of starts: the i-th instruction of a kind is done after the i-th end of its kind."""
    size = unit.in_flight
    head, in_flight = Signal(range(size)), Signal(range(size + 1))
    kinds = Array(Signal(Ending, name=f"kind_{i}") for i in range(size))
    tail = (head + in_flight)[: len(head)]
    oldest = kinds[head]
    m.d.comb += Assume(unit.start_ending <= max(Ending))
    with m.If(unit.start):
        m.d.sync += kinds[tail].eq(unit.start_ending)
    m.d.sync += [head.eq(head + unit.done), in_flight.eq(in_flight + unit.start - unit.done)]
    m.d.comb += [
        Assume(~unit.start | (in_flight < size)),
        Assert(~unit.done | (in_flight != 0)),
    ]
    place = [(Const(i) - head)[: len(head)] for i in range(size)]
    for ending in Ending:
        name, end = ending.name.lower(), unit.ends[ending]
        running, ended = Signal(4, name=f"running_{name}"), Signal(4, name=f"ended_{name}")
        mine = oldest == ending
        m.d.sync += [
            running.eq(running + (unit.start & (unit.start_ending == ending)) - end),
            ended.eq(ended + end - (unit.done & mine)),
        ]
        window = sum((place[i] < in_flight) & (kinds[i] == ending) for i in range(size))
        m.d.comb += [
            Assume(~end | (running != 0)),
            Assert(running + ended == window),
            Assert(registers[name] == ended),
        ]
        with m.If((in_flight != 0) & mine):
            m.d.comb += Assert(unit.done == ((ended != 0) | end))


_SMALL = AcceleratorConfig(queue=QueueConfig(depth=2))

PROOFS = (
    inductive(
        "tokens",
        "hw.control.tokens.Tokens",
        "each of the 16 counters equals tokens given minus tokens taken, `available` is `counter != 0`, and "
        "a token that does not fit raises `overflow` (tokens are taken only where available: `issue`)",
        lambda: UnitTop(Tokens(), _check_tokens),
        Mutation("condition", "control/tokens.py", "with m.Elif(take & ~give)", "with m.Elif(take)"),
        depth=2,
        bug_depth=5,
    ),
    inductive(
        "issue",
        "hw.control.issue.IssueQueue",
        "an instruction issues only with all tokens of its `wait` mask, takes exactly these, and nothing "
        "else takes a token",
        lambda: UnitTop(IssueQueue(_SMALL), _check_issue),
        Mutation(
            "condition",
            "control/issue.py",
            "waiting.r_rdy & ~self.missing.any() & issued",
            "waiting.r_rdy & issued",
        ),
        depth=2,
        bug_depth=5,
    ),
    bounded(
        "issue_order",
        "hw.control.issue.IssueQueue",
        "commands leave in order, none dropped, duplicated or changed, `o` holds; each instruction gives its "
        "own signal mask when it retires (queue depth 2, no halt, operands 0)",
        lambda: UnitTop(IssueQueue(_SMALL), _check_issue_order, chosen=3, completed=5),
        Mutation(
            "order",
            "control/issue.py",
            "issued.r_en.eq(self.complete)",
            "issued.r_en.eq(self.complete & ~self.issue)",
        ),
        depth=10,
    ),
    inductive(
        "dispatch",
        "hw.control.dispatch.Dispatch",
        "an instruction is offered to the queue of its opcode and to no other, unchanged, and taken when "
        "that queue takes it",
        lambda: UnitTop(Dispatch(), _check_dispatch),
        Mutation(
            "condition",
            "control/dispatch.py",
            "self.i.ready.eq(target.ready & ~self.halt)",
            "self.i.ready.eq(~self.halt)",
        ),
        depth=2,
    ),
    bounded(
        "retire",
        "hw.control.retire.Retire",
        "`done` comes in the order of starts, once for each instruction, and after its own end (4 in flight)",
        lambda: UnitTop(Retire(in_flight=4), _check_retire),
        Mutation("condition", "control/retire.py", "Array(ended)[oldest]", "ended[0] | ended[1] | ended[2]"),
        depth=12,
        bug_depth=8,
    ),
)
