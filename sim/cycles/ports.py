"""Memory ports: when the clients that go first use them, and how long a later client then takes."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple

from vitreous.sim.cycles.events import NEVER


class Train(NamedTuple):
    """Busy cycles ``start + i*period + j*step`` for i < ``repeats`` and j < ``uses``."""

    start: int
    period: int
    repeats: int
    uses: int
    step: int = 1

    @property
    def end(self) -> int:
        """The last busy cycle."""
        return self.start + (self.repeats - 1) * self.period + (self.uses - 1) * self.step

    def before(self, cycle: int) -> int:
        """Busy cycles before ``cycle``."""
        past = cycle - self.start
        if past <= 0:
            return 0
        whole, rest = divmod(past, self.period)
        if whole >= self.repeats:
            return self.repeats * self.uses
        return whole * self.uses + min(self.uses, (rest + self.step - 1) // self.step)


    def first_from(self, cycle: int) -> int:
        """The first busy cycle that is not before ``cycle``, which is not after the end."""
        past = cycle - self.start
        if past <= 0:
            return self.start
        whole, rest = divmod(past, self.period)
        use = -(-rest // self.step)
        if use < self.uses and whole < self.repeats:
            return self.start + whole * self.period + use * self.step
        return self.start + (whole + 1) * self.period


class Client:
    """The busy cycles of one client of a port, in ascending order."""

    def __init__(self) -> None:
        self._trains: list[Train] = []
        self._starts: list[int] = []
        self._total = [0]  # uses of the trains before each
        self.last = -1

    def use(self, start: int, repeats: int, period: int, uses: int, step: int = 1) -> None:
        train = Train(start, period, repeats, uses, step)
        self._trains.append(train)
        self._starts.append(start)
        self._total.append(self._total[-1] + repeats * uses)
        self.last = train.end

    def before(self, cycle: int) -> int:
        """Busy cycles before ``cycle``; trains overlap only by the last few cycles of a drain."""
        index = bisect_right(self._starts, cycle) - 1
        if index < 0:
            return 0
        busy = self._total[index] + self._trains[index].before(cycle)
        if index:
            earlier = self._trains[index - 1]
            busy -= earlier.repeats * earlier.uses - earlier.before(cycle)
        return busy


    def first_from(self, cycle: int) -> int:
        """The first busy cycle that is not before ``cycle``; NEVER where none is known."""
        if self.last < cycle:
            return NEVER
        index = bisect_right(self._starts, cycle)
        near = [train.first_from(cycle) for train in self._trains[max(0, index - 2) : index] if train.end >= cycle]
        return min(near) if near else self._starts[index]


class Follower(Client):
    """Asks in every cycle of some spans, and uses the port where ``first``, who goes before it, does not."""

    def __init__(self, first: Client) -> None:
        super().__init__()
        self._first = first
        self._ends: list[int] = []

    def ask(self, start: int, end: int) -> None:
        """From ``start`` to ``end``, as far as is known; what ``first`` did in the span before is known by now."""
        if self._ends:
            self._total.append(self.before(self.last + 1))
        self._starts.append(start)
        self._ends.append(end)
        self.last = end

    def extend(self, end: int) -> None:
        """The last span ends later."""
        self._ends[-1] = self.last = end

    def before(self, cycle: int) -> int:
        index = bisect_right(self._starts, cycle) - 1
        if index < 0:
            return 0
        start, end = self._starts[index], min(cycle, self._ends[index] + 1)
        return self._total[index] + end - start - (self._first.before(end) - self._first.before(start))


class Port:
    """The clients of a port that have priority over whoever asks.

    notice : what they will do is known this many cycles before, at least.
    """

    def __init__(self, *clients: Client, notice: int = 0) -> None:
        self._clients, self.notice = clients, notice

    def free_until(self, first: int) -> int:
        """The first cycle from ``first`` on in which somebody is known to use it, or NEVER."""
        free = NEVER
        for client in self._clients:
            if client.last >= first:
                free = min(free, client.first_from(first))
        return free

    def after(self, first: int, accesses: int) -> int:
        """The cycle of the last of ``accesses`` accesses that begin in ``first``, one in each free cycle."""
        end = first + accesses - 1
        clients = [client for client in self._clients if client.last >= first]
        if not clients:
            return end
        before = sum([client.before(first) for client in clients])
        while True:
            busy = sum([client.before(end + 1) for client in clients]) - before
            if first + accesses - 1 + busy == end:
                return end
            end = first + accesses - 1 + busy
