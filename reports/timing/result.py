"""What a static timing analysis found: a clock with its range, and paths."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Step:
    """One cell of a path. cell : its type. name : what it is in the design, empty for logic. beside : the registers
    that this logic reads too. fanout : sinks of the net before it. ns : when its output is there, typically.
    """

    cell: str
    name: str
    beside: tuple[str, ...]
    fanout: int
    ns: float


@dataclass(frozen=True, kw_only=True)
class Path:
    """start, end : registers, memories or ports. pin : that the path ends at. block : of the end. ns : the period
    that it needs, typically; model_ns : the sum of the stated delays. levels : of logic; fanout : the largest.
    """

    block: str
    start: str
    end: str
    pin: str
    ns: float
    model_ns: float
    levels: int
    fanout: int
    steps: tuple[Step, ...]

    @property
    def words(self) -> str:
        """In one sentence, with registers that the logic on the way reads."""
        beside = list(dict.fromkeys(name for step in self.steps for name in step.beside))
        past = f", past {', '.join(beside[:8])}" if beside else ""
        return (
            f"{self.start} -> {self.end} ({self.pin}), {self.ns:.2f} ns, {self.levels} levels, fan-out up to "
            f"{self.fanout}{past}"
        )


@dataclass(frozen=True, kw_only=True)
class Worst:
    """A block's worst path. endpoints : of the block; over : of these, those that miss the budget."""

    path: Path
    endpoints: int
    over: int


@dataclass(frozen=True, kw_only=True)
class Timing:
    """clock_mhz : estimate, between low and high: with the factors high_factor and low_factor.

    model_ns : the largest sum of stated delays. budget_mhz : of the target; over : end points that miss it. paths : the
    worst, of different registers; blocks : by their worst path. rtl, delays : digests of what was mapped and of the
    table. tool : its version.
    """

    target: str
    title: str
    tool: str
    rtl: str
    delays: str
    clock_mhz: float
    low: float
    high: float
    factor: float
    low_factor: float
    high_factor: float
    model_ns: float
    budget_mhz: float
    endpoints: int
    over: int
    cells: int
    paths: tuple[Path, ...]
    blocks: tuple[Worst, ...]

    @property
    def missed(self) -> str:
        """What is wrong with a clock below the target's budget, with the worst path; empty where nothing is."""
        if self.clock_mhz >= self.budget_mhz:
            return ""
        return (
            f"{self.clock_mhz:.0f} MHz on {self.target} miss the budget of {self.budget_mhz:.0f} MHz; {self.over} of "
            f"{self.endpoints} end points are late. Worst: {self.paths[0].words}"
        )
