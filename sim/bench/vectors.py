"""Vectors through RTL: any unit of fixed latency, in Verilator, against expected values that are data.

Stimulus and expected values go into one binary file, a word for each cycle; the clock runs and the comparison happens
inside the simulation (``vectors.sv``), at several hundred thousand cycles a second::

    result = compare(Requantize(lanes=8, width=32), {"acc": acc, ...}, {"o": expected})
    assert not result.mismatches, result
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import numpy as np
from amaranth.lib import wiring
from cocotb_tools.check_results import get_results

from vitreous.sim.bench.vector_units import TOP, Layout, Port, VectorError, emit, layout
from vitreous.sim.errors import SimulationError
from vitreous.sim.run.build import Build, build_bench
from vitreous.sim.run.cocotb_bench import run_bench
from vitreous.sim.run.runtime import failure_text
from vitreous.spec.folders import SIMULATORS

__all__ = ["Block", "Mismatch", "VectorBench", "VectorError", "VectorResult", "compare"]

EXAMPLES = 8


@dataclass(frozen=True, kw_only=True)
class Block:
    """Some cycles. Arrays of integers [cycles] or [cycles, values]; a member wider than 64 bits is a row of bytes.

    stimulus : of every input. expected : of every output, as the answer to the stimulus of the same row: the bench
    moves it by the latency. check : bool [cycles] for an output that is not checked in every cycle.
    """

    stimulus: Mapping[str, np.ndarray]
    expected: Mapping[str, np.ndarray]
    check: Mapping[str, np.ndarray] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Mismatch:
    """One wrong value. ``row`` counts the stimulus's rows over all blocks; ``inputs`` are those of that row: of
    arrays as long as the output the value of the same lane, of others all values.
    """

    row: int
    output: str
    lane: int
    expected: int
    actual: int
    inputs: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class VectorResult:
    """vectors : compared values of the output that had most. values : of all outputs. mismatches : wrong values among
    them, at least (a run ends after 1000 wrong cycles). cpu_seconds : of the simulation process, its start included.
    """

    vectors: int
    values: int
    cycles: int
    mismatches: int
    examples: tuple[Mismatch, ...]
    cpu_seconds: float

    @property
    def cycles_per_second(self) -> float:
        """Of CPU time."""
        return self.cycles / max(self.cpu_seconds, 1e-9)


def compare(
    component: wiring.Component,
    stimulus: Mapping[str, np.ndarray],
    expected: Mapping[str, np.ndarray],
    *,
    latency: int | Mapping[str, int] | None = None,
    check: Mapping[str, np.ndarray] | None = None,
    ignore: Iterable[str] = (),
    root: str | Path = SIMULATORS,
) -> VectorResult:
    """One block through one unit; see ``Block`` and ``VectorBench.compare``."""
    bench = VectorBench({"unit": component}, name=type(component).__name__.lower(), root=root)
    block = Block(stimulus=stimulus, expected=expected, check=check or {})
    return bench.compare("unit", [block], latency=latency, ignore=ignore)


class VectorBench:
    """One simulation program with several units, built at the first use: many small units compile faster as one.

    Only the clock of the unit that runs moves, so the others cost no time.
    """

    def __init__(
        self,
        units: Mapping[str, wiring.Component],
        *,
        name: str = "vectors",
        root: str | Path = SIMULATORS,
    ) -> None:
        self.units, self.name, self.root = dict(units), name, Path(root)
        self._build: Build | None = None

    def build(self) -> Build:
        """The compiled program. Raises as ``sim.run.build`` does."""
        if self._build is None:
            source = Path(__file__).absolute().parent / "vectors.sv"
            text = emit(self.units)
            self._build = build_bench(
                f"vectors-{self.name}", text, source, top=TOP, ports=["finished"], root=self.root
            )
        return self._build

    def compare(
        self,
        unit: str,
        blocks: Iterable[Block],
        *,
        latency: int | Mapping[str, int] | None = None,
        ignore: Iterable[str] = (),
    ) -> VectorResult:
        """Run the blocks one after another, without a gap and without a reset between them.

        latency : of all or of each output, by default the unit's ``LATENCY``. ignore : outputs that are not compared;
        every other one must be in each block's ``expected``. An output that must stay quiet (a valid flag) is checked
        in every cycle, so a stimulus that ends in idle cycles notices answers that come too late or twice.
        Raises VectorError for arrays that do not fit the unit, or when the bench compared less than it was given.
        """
        component = self.units[unit]
        plan = layout(component)
        delays = _delays(component, plan, latency)
        writer = _Writer(plan, delays, frozenset(ignore))
        self.root.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f"vectors-{self.name}-", dir=self.root) as name:
            folder = Path(name).absolute()
            with open(folder / "vectors.bin", "wb") as file:
                writer.write(file, blocks)
            made = self.build()
            before = os.times()
            _simulate(made, folder, list(self.units).index(unit))
            after = os.times()
            seconds = (
                after.children_user + after.children_system - before.children_user - before.children_system
            )
            return _read(folder, plan, writer, delays, seconds)


def _delays(
    component: wiring.Component, plan: Layout, latency: int | Mapping[str, int] | None
) -> dict[str, int]:
    """Of each output. Raises VectorError where one is not known."""
    given = getattr(component, "LATENCY", None) if latency is None else latency
    found = {p.name: given.get(p.name) if isinstance(given, Mapping) else given for p in plan.outputs}
    delays = {name: delay for name, delay in found.items() if isinstance(delay, int) and delay >= 0}
    if delays.keys() != found.keys():
        raise VectorError(f"{type(component).__name__} has no LATENCY; say the latency of each output")
    return delays


class _Writer:
    """Packs blocks into words and counts what the bench must find in them."""

    def __init__(self, plan: Layout, delays: dict[str, int], ignore: frozenset[str]) -> None:
        self.plan, self.delays = plan, delays
        self.outputs = [port for port in plan.outputs if port.name not in ignore]
        unknown = ignore - {port.name for port in plan.outputs}
        if unknown:
            raise VectorError(f"There is no output {', '.join(sorted(unknown))} to ignore")
        self.words = self.checks = self.values = self.vectors = 0
        self._checked = dict.fromkeys((port.name for port in self.outputs), 0)
        # Expected values whose cycle lies in the next block.
        self._late = {p.name: np.zeros((delays[p.name], p.count), p.dtype[1]) for p in self.outputs}
        self._late_checks = {p.name: np.zeros(delays[p.name], bool) for p in self.outputs}

    def write(self, file: IO[bytes], blocks: Iterable[Block]) -> None:
        for block in blocks:
            self._write_block(file, block)
        if not self.words:
            raise VectorError("There are no vectors")
        tail = max(self.delays.values())
        if tail:
            quiet = np.zeros(tail, bool)
            self._write_block(
                file,
                Block(
                    stimulus={p.name: np.zeros((tail, p.count), np.int64) for p in self.plan.inputs},
                    expected={p.name: np.zeros((tail, p.count), np.int64) for p in self.outputs},
                    check={p.name: quiet for p in self.outputs},
                ),
            )
        self.checks = sum(self._checked.values())
        self.values = sum(self._checked[p.name] * p.count for p in self.outputs)
        self.vectors = max(self._checked[p.name] * p.count for p in self.outputs)
        if not self.checks:
            raise VectorError("No output is ever checked")

    def _write_block(self, file: IO[bytes], block: Block) -> None:
        _same_names("stimulus", block.stimulus, self.plan.inputs)
        _same_names("expected values", block.expected, self.outputs)
        cycles = len(next(iter(block.expected.values())))
        words = np.zeros(cycles, self.plan.dtype)
        for port in self.plan.inputs:
            words[port.name] = _fit(port, block.stimulus[port.name], cycles)[:, ::-1]
        for port in self.outputs:
            name = port.name
            values = np.concatenate([self._late[name], _fit(port, block.expected[name], cycles)])
            asked = np.asarray(block.check.get(name, np.ones(cycles, bool)), bool)
            if asked.shape != (cycles,):
                raise VectorError(f"check of {name} must have shape ({cycles},), not {asked.shape}")
            checks = np.concatenate([self._late_checks[name], asked])
            words[name] = values[:cycles, ::-1]
            words[f"check {name}"][:, 0] = checks[:cycles]
            self._late[name], self._late_checks[name] = values[cycles:], checks[cycles:]
            self._checked[name] += int(np.count_nonzero(asked))
        self.words += cycles
        file.write(words.data)


def _same_names(what: str, given: Mapping[str, np.ndarray], ports: Iterable[Port]) -> None:
    wanted = {port.name for port in ports}
    if wanted != set(given):
        missing, extra = sorted(wanted - set(given)), sorted(set(given) - wanted)
        raise VectorError(f"The {what} must name every member: missing {missing}, unknown {extra}")


def _fit(port: Port, values: np.ndarray, cycles: int) -> np.ndarray:
    """[cycles, count], each value inside the port's range, in the file's type."""
    array = np.asarray(values)
    if array.ndim == 1 and port.count == 1:
        array = array[:, None]
    if array.shape != (cycles, port.count):
        raise VectorError(f"{port.name} must have shape ({cycles}, {port.count}), not {array.shape}")
    low = -(1 << (port.width - 1)) if port.signed else 0
    high = (1 << (port.width - port.signed)) - 1
    if array.size and not (low <= int(array.min()) and int(array.max()) <= high):
        raise VectorError(f"{port.name} takes {low}..{high}, not {int(array.min())}..{int(array.max())}")
    return array.astype(port.dtype[1])


def _simulate(made: Build, folder: Path, unit: int) -> None:
    try:
        run_bench(
            made.folder,
            folder,
            top=TOP,
            session="vitreous.sim.bench.vector_session",
            arguments=(f"unit={unit}", f"folder={folder}"),
            simulator=made.simulator,
        )
    except (RuntimeError, SystemExit) as error:
        raise SimulationError(f"The vector bench broke ({error}): {failure_text(folder)}") from None
    if get_results(folder / "results.xml")[1]:
        raise SimulationError(f"The vector bench did not end: {failure_text(folder)}")


def _read(
    folder: Path, plan: Layout, writer: _Writer, delays: dict[str, int], seconds: float
) -> VectorResult:
    """Raises VectorError unless the bench says that it took every word and made every check."""
    *lines, last = (folder / "report.txt").read_text().splitlines() or [""]
    end = last.split()
    if len(end) != 5 or end[0] != "end":
        raise VectorError("The vector bench wrote no end of its report")
    words, checks, wrong, rest = map(int, end[1:])
    if wrong != len(lines) or (not wrong and (words, checks, rest) != (writer.words, writer.checks, 0)):
        raise VectorError(
            f"The bench took {words} words and {checks} checks of {writer.words} and {writer.checks}, "
            f"{rest} bytes were left, {wrong} cycles wrong with {len(lines)} lines"
        )
    file = np.memmap(folder / "vectors.bin", plan.dtype, "r")
    mismatches = 0
    examples: list[Mismatch] = []
    for line in lines:
        cycle, digits = line.split()
        actual = np.frombuffer(bytes.fromhex(digits), plan.actual_dtype)[0]
        for port in writer.outputs:
            if not file[f"check {port.name}"][int(cycle), 0]:
                continue
            wanted, seen = file[port.name][int(cycle), ::-1], actual[port.name][::-1]
            lanes = np.flatnonzero(_masked(wanted, port) != _masked(seen, port))
            mismatches += len(lanes)
            row = int(cycle) - delays[port.name]
            for lane in lanes[: max(0, EXAMPLES - len(examples))]:
                inputs = {p.name: _seen(p, file[p.name][row, ::-1], port, lane) for p in plan.inputs}
                examples.append(
                    Mismatch(
                        row=row,
                        output=port.name,
                        lane=int(lane),
                        expected=int(wanted[lane]),
                        actual=_signed(int(seen[lane]), port),
                        inputs=inputs,
                    )
                )
    return VectorResult(
        vectors=writer.vectors,
        values=writer.values,
        cycles=words,
        mismatches=mismatches,
        examples=tuple(examples),
        cpu_seconds=seconds,
    )


def _masked(values: np.ndarray, port: Port) -> np.ndarray:
    return values.astype(np.int64) & ((1 << port.width) - 1 if port.width < 64 else -1)


def _signed(value: int, port: Port) -> int:
    raw = value & ((1 << port.width) - 1)
    return raw - (1 << port.width) if port.signed and raw >> (port.width - 1) else raw


def _seen(port: Port, values: np.ndarray, output: Port, lane: int) -> Any:
    """The input that belongs to a lane of an output."""
    if port.count in (1, output.count):
        return int(values[lane if port.count > 1 else 0])
    return tuple(int(value) for value in values)
