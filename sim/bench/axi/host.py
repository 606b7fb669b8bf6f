"""A host on AXI4-Lite: address and data of a write in any order, answers taken late, noise beside what is not valid."""

from __future__ import annotations

import random

from vitreous.sim.bench.axi.memory import Levels, Tally

ADDRESS_BITS, DATA_BITS = 12, 32
PAUSE = 4
"""The most cycles before a request channel, where it pauses."""


class Host:
    """One access at a time: ``write`` or ``read``, then ``step`` until ``done``; ``answer`` is what was read."""

    def __init__(self, tally: Tally, *, rng: random.Random, stall: float) -> None:
        self._tally, self._rng, self._stall = tally, rng, stall
        self._waits: dict[str, int] = {}  # cycles before a request channel of the access becomes valid
        self._payload = {"awaddr": 0, "wdata": 0, "wstrb": 0, "araddr": 0}
        self._answers = ""  # the channel that will answer
        self._held: tuple[int | None, ...] | None = None
        self.answer: int | None = 0

    @property
    def done(self) -> bool:
        return not self._answers

    def write(self, address: int, data: int) -> None:
        self._answers = "b"
        self._payload |= {"awaddr": address, "wdata": data, "wstrb": 15}
        self._waits = {channel: self._pause() for channel in ("aw", "w")}

    def read(self, address: int) -> None:
        self._answers = "r"
        self._payload |= {"araddr": address}
        self._waits = {"ar": self._pause()}

    def _pause(self) -> int:
        return self._rng.randrange(PAUSE + 1) if self._rng.random() < self._stall else 0

    def step(self, seen: Levels) -> dict[str, int]:
        """One cycle; names are without their prefix."""
        rng = self._rng
        for name in ("awready", "wready", "arready", "bvalid", "rvalid"):
            if seen[name] is None:
                self._tally.broken(f"host port: {name} is unknown")
        driven: dict[str, int] = {"awprot": 0, "arprot": 0}
        for channel, names in (("aw", ("awaddr",)), ("w", ("wdata", "wstrb")), ("ar", ("araddr",))):
            wait = self._waits.get(channel)
            driven[f"{channel}valid"] = int(wait == 0)
            for name in names:
                width = {"wdata": DATA_BITS, "wstrb": 4}.get(name, ADDRESS_BITS)
                driven[name] = self._payload[name] if wait == 0 else rng.getrandbits(width)
            if wait:
                self._waits[channel] = wait - 1
            elif wait == 0 and seen[f"{channel}ready"]:
                del self._waits[channel]
        for channel in ("b", "r"):
            driven[f"{channel}ready"] = int(rng.random() >= self._stall)
            if seen[f"{channel}valid"]:
                self._take(channel, seen, bool(driven[f"{channel}ready"]))
        return driven

    def _take(self, channel: str, seen: Levels, ready: bool) -> None:
        values = (seen["bresp"],) if channel == "b" else (seen["rresp"], seen["rdata"])
        if channel != self._answers or (channel == "b" and self._waits):
            self._tally.broken(f"host port: an answer on {channel} that nobody waits for")
        if self._held is not None and values != self._held:
            self._tally.broken(f"host port: the answer on {channel} changed before it was taken")
        if values[0] != 0 or None in values:
            self._tally.broken(f"host port: answer {values} on {channel}, OKAY and known bits were due")
        self._held = None if ready else values
        if ready:
            self.answer, self._answers = values[-1], ""
