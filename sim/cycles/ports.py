"""Memory ports: when the clients of higher priority use them, and how long a later client then takes."""

from __future__ import annotations

from bisect import bisect_right

from vitreous.sim.cycles.events import NEVER

Train = tuple[int, int, int, int, int, int]
"""start, period, repeats, uses, step, end: busy in ``start + i*period + j*step`` for i < repeats and j < uses, up to
``end``."""


def before(train: Train, cycle: int) -> int:
    """Busy cycles of ``train`` before ``cycle``."""
    start, period, repeats, uses, step, _ = train
    past = cycle - start
    if past <= 0:
        return 0
    whole, rest = divmod(past, period)
    if whole >= repeats:
        return repeats * uses
    part = rest if step == 1 else (rest + step - 1) // step
    return whole * uses + (part if part < uses else uses)


def first_from(train: Train, cycle: int) -> int:
    """The first busy cycle of ``train`` that is not before ``cycle``, which is in it."""
    start, period, repeats, uses, step, _ = train
    whole, rest = divmod(cycle - start, period)
    use = rest if step == 1 else -(-rest // step)
    if use < uses and whole < repeats:
        return start + whole * period + use * step
    return start + (whole + 1) * period


class Client:
    """The busy cycles of one client of a port, in ascending order."""

    def __init__(self) -> None:
        self._trains: list[Train] = []
        self._starts: list[int] = []
        self._total = [0]  # uses of the trains before each
        self.last = -1

    def use(self, start: int, repeats: int, period: int, uses: int, step: int = 1) -> None:
        """Cycles ``start + i*period + j*step`` for i < ``repeats`` and j < ``uses``."""
        self.last = end = start + (repeats - 1) * period + (uses - 1) * step
        self._trains.append((start, period, repeats, uses, step, end))
        self._starts.append(start)
        self._total.append(self._total[-1] + repeats * uses)

    def before(self, cycle: int) -> int:
        """Busy cycles before ``cycle``; trains overlap only by the last few cycles of a readout."""
        index = bisect_right(self._starts, cycle) - 1
        if index < 0:
            return 0
        train = self._trains[index]
        busy = self._total[index + 1] if cycle > train[5] else self._total[index] + before(train, cycle)
        if index:
            train = self._trains[index - 1]
            if train[5] >= cycle:
                busy -= train[2] * train[3] - before(train, cycle)
        return busy

    def only(self, first: int, last: int) -> Train | None:
        """The train that lasts from before ``first`` to after ``last``, unless another one is there as well."""
        starts, trains = self._starts, self._trains
        index = bisect_right(starts, first) - 1
        if index < 0 or trains[index][5] <= last or (index and trains[index - 1][5] >= first):
            return None
        if index + 1 < len(starts) and starts[index + 1] <= trains[index][5]:
            return None
        return trains[index]

    def first_from(self, cycle: int) -> int:
        """The first busy cycle that is not before ``cycle``; NEVER where none is known."""
        if self.last < cycle:
            return NEVER
        starts, trains = self._starts, self._trains
        index = bisect_right(starts, cycle)
        found = starts[index] if index < len(starts) else NEVER
        if index and trains[index - 1][5] >= cycle:
            found = min(found, first_from(trains[index - 1], cycle))
        if index > 1 and trains[index - 2][5] >= cycle:
            found = min(found, first_from(trains[index - 2], cycle))
        return found


class Follower(Client):
    """Asks in every cycle of some spans, and uses the port where ``first``, which has priority, does not."""

    def __init__(self, first: Client) -> None:
        super().__init__()
        self._first = first
        self._ends: list[int] = []

    def ask(self, start: int, end: int) -> None:
        """From ``start`` to ``end``, as far as is known; what ``first`` did in the previous span is known by now."""
        if self._ends:
            self._total.append(self.before(self.last + 1))
        self._starts.append(start)
        self._ends.append(end)
        self.last = end

    def only(self, first: int, last: int) -> Train | None:
        return None

    def extend(self, end: int) -> None:
        """The last span ends later."""
        self._ends[-1] = self.last = end

    def first_from(self, cycle: int) -> int:
        """The first cycle not before ``cycle`` in which it asks, or NEVER."""
        if self.last < cycle:
            return NEVER
        index = bisect_right(self._starts, cycle)
        return cycle if index and self._ends[index - 1] >= cycle else self._starts[index]

    def before(self, cycle: int) -> int:
        index = bisect_right(self._starts, cycle) - 1
        if index < 0:
            return 0
        start, end = self._starts[index], min(cycle, self._ends[index] + 1)
        return self._total[index] + end - start - (self._first.before(end) - self._first.before(start))


class Port:
    """The clients of a port that have priority over the one that asks.

    notice : what they will do is known this many cycles before, at least.
    """

    def __init__(self, *clients: Client, notice: int = 0) -> None:
        self._clients, self.notice = clients, notice

    def free_until(self, first: int) -> int:
        """The first cycle from ``first`` on in which one is known to use it, or NEVER."""
        free = NEVER
        for client in self._clients:
            if client.last >= first:
                busy = client.first_from(first)
                if busy < free:
                    free = busy
        return free

    def after(self, first: int, accesses: int) -> int:
        """The cycle of the last of ``accesses`` accesses that begin in ``first``, one in each free cycle."""
        end = first + accesses - 1
        return end if self.free_until(first) > end else self.delayed(first, end)

    def delayed(self, first: int, planned: int) -> int:
        """The same where the last access would be in ``planned`` if no other client used the port."""
        clients = [client for client in self._clients if client.last >= first]
        end = planned
        train = clients[0].only(first, planned) if len(clients) == 1 else None
        if train is not None:
            undisturbed = planned - before(train, first)
            while (later := undisturbed + before(train, end + 1)) != end:
                end = later
            if end <= train[5]:
                return end
            end = planned
        planned -= sum([client.before(first) for client in clients])
        while (later := planned + sum([client.before(end + 1) for client in clients])) != end:
            end = later
        return end
