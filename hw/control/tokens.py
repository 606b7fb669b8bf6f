"""The token counters between the four queues."""

from __future__ import annotations

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from vitreous.hw.protect.guard import Guard, upset_member
from vitreous.spec import isa
from vitreous.spec.isa import Queue


class Tokens(wiring.Component):
    """One counter for each ordered pair of queues, zero after reset.

    Latency: a token given in one cycle can be taken in the next. Throughput: every counter gives and takes one a cycle.

    Parameters
    ----------
    parity : whether the counters have parity bits; there is a member ``upset`` then.

    Members, for every queue ``q`` (lower case name)
    -------
    give_q : In(4), queue ``q`` gives one token to each queue in the mask.
    available_q : Out(4), bit ``s``: ``q`` has a token from queue ``s``.
    take_q : In(4), ``q`` takes one token from each queue in the mask; only what is available.
    overflow_q : Out(1), a token given by ``q`` finds its counter full; it is lost.
    """

    def __init__(self, *, parity: bool = False) -> None:
        self._parity = parity
        members: dict[str, wiring.Member] = {}
        for queue in Queue:
            name = queue.name.lower()
            members |= {f"give_{name}": In(len(Queue)), f"available_{name}": Out(len(Queue))}
            members |= {f"take_{name}": In(len(Queue)), f"overflow_{name}": Out(1)}
        super().__init__(members | upset_member(parity))

    def elaborate(self, platform: object) -> Module:
        m = Module()
        guard = Guard(m, on=self._parity)
        full = (1 << isa.TOKEN_BITS) - 1
        lost: dict[Queue, list[Signal]] = {queue: [] for queue in Queue}
        for source in Queue:
            for target in Queue:
                name = f"{source.name.lower()}_to_{target.name.lower()}"
                count, following = guard.register(Signal(isa.TOKEN_BITS, name=name))
                # Whether it is not 0, in a register of its own: the issue of an instruction hangs on it.
                there, there_following = guard.register(Signal(name=f"{name}_there"))
                give = getattr(self, f"give_{source.name.lower()}")[target]
                take = getattr(self, f"take_{target.name.lower()}")[source]
                m.d.comb += getattr(self, f"available_{target.name.lower()}")[source].eq(there)
                with m.If(give & ~take & (count != full)):
                    m.d[guard.domain] += [following.eq(count + 1), there_following.eq(1)]
                with m.Elif(take & ~give):
                    m.d[guard.domain] += [following.eq(count - 1), there_following.eq(count != 1)]
                lost[source].append(give & ~take & (count == full))
        for source, signals in lost.items():
            m.d.comb += getattr(self, f"overflow_{source.name.lower()}").eq(Cat(signals).any())
        guard.report(self)
        return m
