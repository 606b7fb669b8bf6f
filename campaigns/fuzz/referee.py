"""What golden says of a case, and whether the RTL agrees."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, combinations
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from campaigns.fuzz.case import Case
from campaigns.fuzz.configurations import CONFIGURATIONS
from campaigns.fuzz.simulation import Seen
from campaigns.fuzz.world import STORED, fresh_machine, stored
from vitreous.golden.machine.faults import first_fault, words_moved
from vitreous.golden.machine.observed import DRAM, Event, ObservedMachine, OrderError
from vitreous.golden.machine.stops import DONE, Stop, possible_stops, window_stop
from vitreous.sim.dram import MemoryTiming
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import PC_BITS, STATUS_DONE, STATUS_ERROR, ErrorCode, Instruction, Opcode, status_error
from vitreous.spec.layout import word_bytes

LONG_CYCLES = 200_000
"""A program that may take longer is not waited for: the host resets the machine then."""
LONG_WORDS = 200_000
"""Nor is it executed by golden."""
MOST_RACES = 5
"""Between instructions of a program, all orders of which are tried."""


class Finding(StrEnum):
    """How the RTL's run and golden's compare."""

    EQUAL = "equal"
    """One end and one value for each byte, and both are the RTL's."""
    ONE_OF = "one of several"
    """Queues race for the first error, or instructions for the same words, and the RTL's result is one that golden has
    too."""
    RESET = "reset"
    """The host ended the run; what was written by then agrees."""
    LONG = "long"
    """The program was still running when its time was up, as it may."""
    OPEN = "open"
    """Bytes of the result are a matter of timing; all others agree."""
    COLLIDED = "collided"
    """The host started the machine in the very cycles in which it ended: two runs were seen as one."""
    WRONG = "wrong"


@dataclass(frozen=True)
class Judgement:
    """``why`` : of a WRONG one, in words."""

    finding: Finding
    why: str = ""


def cycle_limit(case: Case, name: str, timing: MemoryTiming) -> int:
    """A generous bound of the cycles that the program takes, and at most ``LONG_CYCLES``."""
    config = CONFIGURATIONS[name]
    cycles = 5000 + len(case.words()) * (timing.latency + 60)
    for pc, i in enumerate(case.code()):
        if i is not None and i.opcode is not Opcode.END:
            cycles += _bound(i, pc, case, config, timing)
    return min(cycles, LONG_CYCLES)


def _bound(i: Instruction, pc: int, case: Case, config: AcceleratorConfig, timing: MemoryTiming) -> int:
    """Cycles of one instruction: each word, however many beats it has, and each burst with the memory's latency."""
    fault = first_fault(i, pc, config, case.sizes)
    if fault is not None and fault.code in (ErrorCode.ILLEGAL_FIELD, ErrorCode.ALIGNMENT):
        return 0
    words, bursts = words_moved(i, config), 0
    widest = max(word_bytes(config, memory) for memory in STORED)
    if i.opcode in (Opcode.LOAD, Opcode.STORE):
        bursts = i["rows"] * (2 + i["words"] * widest // (config.bus.beat_bytes * config.bus.burst_beats))
    elif i.opcode is Opcode.LOAD_PATCHES:
        bursts = 3 * i["grid_rows"] * i["channels"] * i["patch"]
    beats = max(1, widest // config.bus.beat_bytes) * 100 // timing.throughput + 4
    return 300 + words * beats + bursts * (timing.latency + 40)


def judge(case: Case, name: str, seen: Seen, limit: int) -> Judgement:
    """Compares verdict, order, and every byte of the write window, of X, W and R."""
    rules = _broken_rules(seen)
    if rules:
        return Judgement(Finding.WRONG, rules)
    if seen.collided:
        return Judgement(Finding.COLLIDED)
    config = CONFIGURATIONS[name]
    before = window_stop(case.bases, case.sizes, case.offset, min(case.length, 1 << PC_BITS))
    code = [] if before else case.code()
    stops = {before} if before else possible_stops(code, config, case.sizes)
    reset = any(
        action.resets and happened for action, happened in zip(case.actions, seen.in_run, strict=False)
    )
    verdict = _verdict(seen, stops, reset=reset, long=limit >= LONG_CYCLES)
    if verdict:
        return Judgement(Finding.WRONG, verdict)
    if any(_heavy(i, pc, case, config) for pc, i in enumerate(code) if i is not None):
        return Judgement(Finding.EQUAL if seen.ended and len(stops) == 1 else Finding.LONG)
    return _compare(case, name, seen, stops, code, reset=reset)


def _broken_rules(seen: Seen) -> str:
    if seen.dead:
        return "dead: neither a reset nor the next program brings the machine back"
    found = {
        "reads outside the window": seen.outside_reads,
        "writes outside the window": seen.outside_writes,
        "bursts against the protocol": seen.protocol,
        "writes after the interrupt": seen.late,
    }
    return ", ".join(f"{count} {what}" for what, count in found.items() if count)


def _stop(seen: Seen) -> Stop | None:
    """What STATUS says."""
    if seen.status & STATUS_ERROR:
        code, pc = status_error(seen.status)
        return Stop(ErrorCode(code), pc)
    return DONE if seen.status & STATUS_DONE else None


def _verdict(seen: Seen, stops: set[Stop], *, reset: bool, long: bool) -> str:
    """What is wrong with the run's end; empty where nothing is."""
    stop = _stop(seen)
    if reset:
        return f"status {seen.status:#x} after a reset" if seen.status else ""
    if not seen.ended:
        return "" if long else f"hang: no end in {seen.cycles} cycles, golden {_text(stops)}"
    if stop is None or stop not in stops:
        return f"verdict: RTL {_text({stop} if stop else set())}, golden {_text(stops)}"
    return ""


def _text(stops: set[Stop]) -> str:
    names = [f"{stop.code.name} at {stop.pc}" if stop != DONE else "done" for stop in sorted(stops)]
    return " or ".join(names) or "no verdict"


def _heavy(i: Instruction, pc: int, case: Case, config: AcceleratorConfig) -> bool:
    """Whether golden would take too long for it."""
    if i.opcode is Opcode.END or first_fault(i, pc, config, case.sizes) is not None:
        return False
    return words_moved(i, config) > LONG_WORDS


def _compare(
    case: Case, name: str, seen: Seen, stops: set[Stop], code: list[Instruction | None], *, reset: bool
) -> Judgement:
    read = np.frombuffer(case.image, np.uint8)[: case.read_size]
    window = np.frombuffer(case.window, np.uint8)
    inside = min(case.write_size, window.size)
    run = _Run(name, code, read, window[:inside], seen.events)
    try:
        machine = run.machine()
    except OrderError as error:
        return Judgement(Finding.WRONG, f"order: {error}")
    if _stop(seen) == DONE and (machine.in_flight or machine.left):
        return Judgement(
            Finding.WRONG, f"order: done with {machine.in_flight} in flight, {machine.left} left"
        )
    machine.stop()
    wrong = _window_bytes(machine, seen, window, inside) + _memory_words(machine, name, seen)
    if wrong:
        return Judgement(Finding.WRONG, "bytes: " + ", ".join(wrong))
    if reset:
        return Judgement(Finding.RESET)
    if not seen.ended:
        return Judgement(Finding.LONG)
    if _stop(seen) == DONE and machine.open[DRAM].any():
        got = np.frombuffer(seen.window, np.uint8)[:inside]
        return Judgement(Finding.ONE_OF if _in_some_order(run, machine, got) else Finding.OPEN)
    return Judgement(Finding.EQUAL if len(stops) == 1 else Finding.ONE_OF)


class _Run(NamedTuple):
    """What an observed machine needs."""

    name: str
    code: Sequence[Instruction | None]
    read: NDArray[np.uint8]
    window: NDArray[np.uint8]
    events: Sequence[Event]

    def machine(self, late: Collection[tuple[int, int]] = ()) -> ObservedMachine:
        """Raises OrderError."""
        machine = ObservedMachine(fresh_machine(self.name), self.code, self.read, self.window, late)
        machine.follow(self.events)
        return machine


def _in_some_order(run: _Run, machine: ObservedMachine, got: NDArray[np.uint8]) -> bool:
    """Whether instructions in flight together, each read whole before or after each of the others' writes, give these
    bytes. First one race after another is turned where that brings the bytes nearer; then, of a few, all are tried."""
    races = sorted(set(machine.races))
    late: frozenset[tuple[int, int]] = frozenset()
    left = int((machine.dram.write != got).sum())
    for race in races:
        if left:
            turned = int((run.machine(late | {race}).dram.write != got).sum())
            if turned < left:
                left, late = turned, late | {race}
    if not left or len(races) > MOST_RACES:
        return not left
    choices = chain.from_iterable(combinations(races, count) for count in range(2, len(races) + 1))
    return any((run.machine(choice).dram.write == got).all() for choice in choices)


def _window_bytes(machine: ObservedMachine, seen: Seen, before: NDArray[np.uint8], inside: int) -> list[str]:
    """What differs in the write window and behind it."""
    got = np.frombuffer(seen.window, np.uint8)
    different = (got[:inside] != machine.dram.write) & ~machine.open[DRAM]
    different &= ~(machine.later & (got[:inside] == machine.either))
    found = []
    if different.any():
        found.append(f"{different.sum()} of the write window, the first at {different.argmax()}")
    if (got[inside:] != before[inside:]).any():
        found.append("behind the write window")
    return found


def _memory_words(machine: ObservedMachine, name: str, seen: Seen) -> list[str]:
    """What differs in X, W and R."""
    config, offset, found = CONFIGURATIONS[name], 0, []
    expected, got = stored(machine.machine), seen.memories
    for memory in STORED:
        size = len(machine.open[memory]) * word_bytes(config, memory)
        shape = (-1, word_bytes(config, memory))
        theirs = np.frombuffer(got[offset : offset + size], np.uint8).reshape(shape)
        ours = np.frombuffer(expected[offset : offset + size], np.uint8).reshape(shape)
        different = (theirs != ours).any(axis=1) & ~machine.open[memory]
        if different.any():
            found.append(f"{different.sum()} words of {memory.name}, the first {different.argmax()}")
        offset += size
    return found
