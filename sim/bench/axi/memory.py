"""A memory behind AXI4 that does what the rules allow and nobody likes, and writes down every rule that is broken.

Answers of different ids come in any order and are interleaved beat by beat, each burst after a latency of its own; what
is driven beside a channel that is not valid is noise. It knows cycles, not simulators: ``step`` is one cycle.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from vitreous.spec.limits import AXI_PAGE_BYTES

WRITES = ("data first", "addresses first", "together")
"""How write addresses are taken: when the data of the whole burst have come; before any data; with data."""
INCR, CACHE, PROT, SLVERR = 1, 3, 0, 2
IDS = 2
MOST_VIOLATIONS = 20
_ADDRESS = ("id", "addr", "len", "size", "burst", "cache", "prot")
CHANNELS = {
    "aw": tuple(f"aw{name}" for name in _ADDRESS),
    "w": ("wdata", "wstrb", "wlast"),
    "ar": tuple(f"ar{name}" for name in _ADDRESS),
}
"""The channels on which the accelerator is the source, with their payload."""

Levels = Mapping[str, int | None]
"""By the name of the signal; None: not all bits are known."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What is checked: beat in bytes, longest burst in beats, unanswered bursts of load, windows as (first, end)."""

    beat: int
    burst_beats: int
    outstanding: int
    read_window: tuple[int, int]
    write_window: tuple[int, int]


@dataclass(kw_only=True)
class Read:
    """An accepted burst, and its place among all."""

    number: int
    address: int
    left: int
    due: int
    begun: bool = False


@dataclass(kw_only=True)
class Tally:
    """What happened: beats, bursts, beats of another id inside a burst, bursts done before an older one."""

    read_beats: int = 0
    write_beats: int = 0
    inserted: int = 0
    overtaken: int = 0
    bytes_written: int = 0
    violations: list[str] = field(default_factory=list)

    def broken(self, sentence: str) -> None:
        if len(self.violations) < MOST_VIOLATIONS:
            self.violations.append(sentence)


class Memory:
    """``data`` behind the five channels.

    latency : cycles from an address or a last beat to the answer, drawn from this range for each burst.
    stall : how probably a channel pauses in a cycle. writes : one of WRITES.
    """

    def __init__(
        self,
        data: bytearray,
        rules: Rules,
        *,
        rng: random.Random,
        latency: tuple[int, int],
        stall: float,
        writes: str,
    ) -> None:
        self.data, self.rules, self.tally = data, rules, Tally()
        self._rng, self._latency, self._stall, self._writes = rng, latency, stall, writes
        self._now = self._numbers = 0
        self._reads: tuple[deque[Read], ...] = tuple(deque() for _ in range(IDS))
        self._addresses: deque[tuple[int, int]] = deque()
        self._beats: deque[tuple[int, int, int]] = deque()
        self._lasts = 0  # complete bursts of data without an address
        self._responses: deque[int] = deque()
        self._r: dict[str, int] | None = None
        self._b: dict[str, int] | None = None
        self._held: dict[str, tuple[int | None, ...]] = {}

    @property
    def quiet(self) -> bool:
        """Nothing is owed and nothing is offered."""
        owed = (*self._reads, self._addresses, self._beats, self._responses)
        return not any(owed) and self._r is None and self._b is None and not self._held

    def step(self, seen: Levels) -> dict[str, int]:
        """One cycle: what is driven beside the accelerator's outputs ``seen``; what is valid and ready is taken."""
        self._now += 1
        for name in ("awvalid", "wvalid", "arvalid", "rready", "bready"):
            if seen[name] is None:
                self.tally.broken(f"{name} is unknown")
        driven = self._accept() | self._offer_read() | self._offer_response()
        self._order_writes(driven, bool(seen["wvalid"]))
        for channel, payload in CHANNELS.items():
            taken = self._hold(channel, payload, seen, driven)
            if taken and channel == "ar":
                self._take_read(seen)
            elif taken and channel == "aw":
                self._take_write(seen)
            elif taken:
                self._take_beat(seen)
        self._perform()
        if seen["rready"] and driven["rvalid"]:
            self._r = None
            self.tally.read_beats += 1
        if seen["bready"] and driven["bvalid"]:
            self._b = None
        return driven

    def _goes(self) -> bool:
        return self._rng.random() >= self._stall

    def _accept(self) -> dict[str, int]:
        return {name: int(self._goes()) for name in ("awready", "wready", "arready")}

    def _order_writes(self, driven: dict[str, int], offered: bool) -> None:
        if self._writes == "data first":
            driven["awready"] &= self._lasts > 0
        elif self._writes == "addresses first":
            driven["wready"] &= bool(self._addresses)
        else:
            driven["awready"] &= offered or bool(self._beats)

    def _offer_read(self) -> dict[str, int]:
        rng, bits = self._rng, 8 * self.rules.beat
        due = [number for number, queue in enumerate(self._reads) if queue and queue[0].due <= self._now]
        if self._r is None and due and self._goes():
            self._r = self._beat(rng.choice(due))
        if self._r is not None:
            return {"rvalid": 1, **self._r}
        noise = {"rid": 1, "rdata": bits, "rresp": 2, "rlast": 1}
        return {"rvalid": 0} | {name: rng.getrandbits(width) for name, width in noise.items()}

    def _beat(self, number: int) -> dict[str, int]:
        queue, beat = self._reads[number], self.rules.beat
        burst = queue[0]
        others = [other for other in self._reads[1 - number] if other.begun]
        self.tally.inserted += bool(others)
        value = int.from_bytes(self.data[burst.address : burst.address + beat], "little")
        burst.begun, burst.left, burst.address = True, burst.left - 1, burst.address + beat
        if not burst.left:
            queue.popleft()
            older = [other for other in self._reads[1 - number] if other.number < burst.number]
            self.tally.overtaken += bool(older)
        return {"rid": number, "rdata": value, "rresp": 0, "rlast": int(not burst.left)}

    def _offer_response(self) -> dict[str, int]:
        if self._b is None and self._responses and self._responses[0] <= self._now and self._goes():
            self._responses.popleft()
            self._b = {"bid": 0, "bresp": 0}
        if self._b is not None:
            return {"bvalid": 1, **self._b}
        return {"bvalid": 0, "bid": self._rng.getrandbits(1), "bresp": self._rng.getrandbits(2)}

    def _hold(self, channel: str, payload: tuple[str, ...], seen: Levels, driven: Levels) -> bool:
        """Whether a transfer happens; what was offered before must still be there."""
        values = tuple(seen[name] for name in payload) if seen[f"{channel}valid"] else None
        before = self._held.pop(channel, None)
        if before is not None and values != before:
            self.tally.broken(f"{channel}: valid or payload changed before the transfer")
        if values is None:
            return False
        unknown = [name for name, value in zip(payload, values, strict=True) if value is None]
        if unknown:
            self.tally.broken(f"{channel}: unknown bits in {', '.join(unknown)} of a valid payload")
        if driven[f"{channel}ready"]:
            return True
        self._held[channel] = values
        return False

    def _burst(self, channel: str, seen: Levels, window: tuple[int, int], owner: str) -> tuple[int, int]:
        """Address and beats of an accepted burst, checked."""
        rules = self.rules
        address, length, size, kind = (
            seen[f"{channel}{name}"] or 0 for name in ("addr", "len", "size", "burst")
        )
        total = (length + 1) * rules.beat
        facts = {
            "is not INCR": kind != INCR,
            "has not the size of the bus": 1 << size != rules.beat,
            "is not aligned": address % rules.beat,
            "is too long": length >= rules.burst_beats,
            "crosses 4 KiB": address // AXI_PAGE_BYTES != (address + total - 1) // AXI_PAGE_BYTES,
            "begins before its window": address < window[0],
            "has a beat beyond its window": address + total - rules.beat >= window[1],
            "has another AxCACHE or AxPROT": (seen[f"{channel}cache"], seen[f"{channel}prot"])
            != (CACHE, PROT),
        }
        for what, broken in facts.items():
            if broken:
                self.tally.broken(
                    f"{channel}: a burst of {owner} at {address:#x}, {length + 1} beats, {what}"
                )
        return address, length + 1

    def _due(self) -> int:
        return self._now + self._rng.randint(*self._latency)

    def _take_read(self, seen: Levels) -> None:
        number = seen["arid"] or 0
        address, beats = self._burst("ar", seen, self.rules.read_window, f"id {number}")
        self._numbers += 1
        self._reads[number].append(Read(number=self._numbers, address=address, left=beats, due=self._due()))
        if number and len(self._reads[number]) > self.rules.outstanding:
            self.tally.broken(f"ar: more than {self.rules.outstanding} bursts of load are unanswered")

    def _take_write(self, seen: Levels) -> None:
        if seen["awid"]:
            self.tally.broken("aw: an id that is not 0")
        self._addresses.append(self._burst("aw", seen, self.rules.write_window, "store"))
        self._lasts -= 1

    def _take_beat(self, seen: Levels) -> None:
        self._beats.append((seen["wdata"] or 0, seen["wstrb"] or 0, seen["wlast"] or 0))
        self._lasts += seen["wlast"] or 0
        self.tally.write_beats += 1

    def _perform(self) -> None:
        """The oldest burst of which address and data are here."""
        if not self._addresses or len(self._beats) < self._addresses[0][1]:
            return
        address, beats = self._addresses.popleft()
        first, end = self.rules.write_window
        for index in range(beats):
            value, strobes, last = self._beats.popleft()
            if last != (index == beats - 1):
                self.tally.broken("w: WLAST is not on the last beat of its burst, or not on it alone")
            if strobes & (strobes + 1):
                self.tally.broken(f"w: strobes {strobes:#x} are not those of the first bytes")
            for byte in range(strobes.bit_length()):
                where = address + index * self.rules.beat + byte
                if not first <= where < end:
                    self.tally.broken(f"w: byte {where:#x} is outside of the window")
                elif strobes >> byte & 1:
                    self.data[where] = value >> 8 * byte & 0xFF
                    self.tally.bytes_written += 1
        self._responses.append(self._due())
