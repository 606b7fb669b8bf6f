"""Pass 4: every buffer gets its address, so that no two whose live ranges overlap share a word.

A buffer lives from the first step that names it to the last. Where it goes:

- "low" or "high": the lowest or highest free words: panels of X and R, keys and values of W;
- "oldest": the free words whose last user is longest ago: weights and parameters. That makes a ring of the
memory, and the load can
  be moved far ahead of its use (``hoist``). Without ``schedule.double_buffer`` it is "low".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from vitreous.compiler.accesses import memory_words
from vitreous.compiler.errors import CompileError, MemoryFull
from vitreous.compiler.steps import Buffer, Step
from vitreous.compiler.tiling import Words
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory
from vitreous.spec.layout import align, word_bytes

CONFIG_FIELD = {
    Memory.X: "memory.activation_kib",
    Memory.W: "memory.weight_kib",
    Memory.R: "memory.residual_kib",
    Memory.P: "memory.parameter_entries",
}


@dataclass(frozen=True)
class LiveRange:
    """A buffer and the positions of its first and last step."""

    buffer: Buffer
    first: int
    last: int


def live_ranges(steps: Sequence[Step]) -> list[LiveRange]:
    """One for each buffer, by first use."""
    first: dict[int, int] = {}
    last: dict[int, int] = {}
    buffers: dict[int, Buffer] = {}
    for position, step in enumerate(steps):
        for buffer, _ in step.addresses.values():
            buffers[id(buffer)] = buffer
            first.setdefault(id(buffer), position)
            last[id(buffer)] = position
    return [LiveRange(buffer, first[key], last[key]) for key, buffer in buffers.items()]


def allocate(steps: Sequence[Step], config: AcceleratorConfig, words: Words | None = None) -> None:
    """Set ``base`` of every buffer. Raises MemoryFull with what is needed and what is free.

    words : of each memory; those of ``config`` when None.
    """
    sizes = words or memory_words(config)
    last_use = {memory: np.full(sizes[memory], -1, np.int64) for memory in Memory}
    for live in sorted(live_ranges(steps), key=lambda live: live.first):
        used = last_use[live.buffer.memory]
        if not _locate(live, used, config):
            raise MemoryFull(live.buffer.memory.name, _refusal(live.buffer, used, live.first, config))


def _locate(live: LiveRange, used: np.ndarray, config: AcceleratorConfig) -> bool:
    """Set the buffer's ``base`` and note its words in ``used``; whether there was room."""
    buffer, where = live.buffer, live.buffer.where
    if where == "oldest" and not config.schedule.double_buffer:
        where = "low"  # one buffer for all: the next operands go where the last ones were
    base = _place(used, buffer.words, live.first, where)
    if base is None:
        return False
    buffer.base = base
    used[base : base + buffer.words] = live.last
    return True


class Peak(NamedTuple):
    """The most words of a memory that live at once, and the buffers that do."""

    words: int
    buffers: tuple[Buffer, ...]


def peak(lives: Sequence[LiveRange]) -> Peak:
    """Of buffers of one memory."""
    alive: list[LiveRange] = []
    best = Peak(0, ())
    for live in sorted(lives, key=lambda live: live.first):
        alive = [other for other in alive if other.last >= live.first] + [live]
        words = sum(each.buffer.words for each in alive)
        if words > best.words:
            best = Peak(words, tuple(each.buffer for each in alive))
    return best


def least_words(lives: Sequence[LiveRange], config: AcceleratorConfig, step: int) -> int:
    """The fewest words of one memory, a multiple of ``step``, in which ``allocate`` places its buffers ``lives``."""
    ordered = sorted(lives, key=lambda live: live.first)

    def fits(words: int) -> bool:
        used = np.full(words, -1, np.int64)
        return all(_locate(live, used, config) for live in ordered)

    words = align(peak(lives).words, step)  # fewer cannot be enough
    # One step after the other, not by halves: what does not fit mostly fails in the first layers, what fits is placed
    # to the end.
    while not fits(words):
        words += step
    return words


def _free_runs(used: np.ndarray, first: int) -> list[tuple[int, int]]:
    """(start, stop) of runs of words whose last use is before ``first``."""
    free = np.concatenate(([False], used < first, [False]))
    (edges,) = (free[1:] != free[:-1]).nonzero()
    return [(int(a), int(b)) for a, b in edges.reshape(-1, 2)]


def _place(used: np.ndarray, words: int, first: int, where: str) -> int | None:
    runs = [(start, stop) for start, stop in _free_runs(used, first) if stop - start >= words]
    if not runs:
        return None
    if where == "low":
        return runs[0][0]
    if where == "high":
        return runs[-1][1] - words
    return min(_oldest(used, start, stop, words) for start, stop in runs)[1]


def _oldest(used: np.ndarray, start: int, stop: int, words: int) -> tuple[int, int]:
    """(last use, base) of the best ``words`` within ``start..stop``: of the bases from which on the last use differs
    from the previous word, and of both ends, the one whose words were used last the longest ago; the lowest of equals.
    """
    part = used[start:stop]
    changes = (part[1:] != part[:-1]).nonzero()[0] + 1
    edges = [0, *changes.tolist(), stop - start]
    values = part[edges[:-1]].tolist()
    last = stop - start - words
    bases = [edge for edge in edges[:-1] if edge < last]
    best: tuple[int, int] | None = None
    falling: deque[int] = deque()  # pieces within the window, each used longer ago than the previous one
    reach = 0
    for base in (*bases, last):
        while reach < len(values) and edges[reach] < base + words:
            while falling and values[falling[-1]] <= values[reach]:
                falling.pop()
            falling.append(reach)
            reach += 1
        while edges[falling[0] + 1] <= base:
            falling.popleft()
        found = (values[falling[0]], start + base)
        if best is None or found < best:
            best = found
    assert best is not None
    return best


def _refusal(buffer: Buffer, used: np.ndarray, first: int, config: AcceleratorConfig) -> str:
    memory, field = buffer.memory, CONFIG_FIELD[buffer.memory]
    largest = max((stop - start for start, stop in _free_runs(used, first)), default=0)
    free = int((used < first).sum())

    def size(words: int) -> str:
        if memory is Memory.P:
            return f"{words} entries"
        return f"{words} words ({words * word_bytes(config, memory) / 1024:.1f} KiB)"

    return (
        f"Layer {buffer.layer}: {buffer.name} needs {size(buffer.words)} of {memory.name}; of {size(used.size)} "
        f"{free} are free at that point, {largest} contiguous ({field})"
    )


def verify(steps: Sequence[Step], config: AcceleratorConfig) -> None:
    """Prove that buffers which share a word never live at the same time, in the steps' present order. Raises
    CompileError."""
    sizes = memory_words(config)
    by_memory: dict[Memory, list[LiveRange]] = {}
    for live in live_ranges(steps):
        buffer = live.buffer
        if buffer.base < 0 or buffer.base + buffer.words > sizes[buffer.memory]:
            raise CompileError(f"{buffer.name} lies outside {buffer.memory.name}")
        by_memory.setdefault(buffer.memory, []).append(live)
    for lives in by_memory.values():
        open_ranges: list[LiveRange] = []
        for live in sorted(lives, key=lambda live: live.first):
            open_ranges = [other for other in open_ranges if other.last >= live.first]
            start, stop = live.buffer.base, live.buffer.base + live.buffer.words
            for other in open_ranges:
                if other.buffer.base < stop and start < other.buffer.base + other.buffer.words:
                    raise CompileError(
                        f"{live.buffer.name} and {other.buffer.name} live in the same words at once"
                    )
            open_ranges.append(live)
