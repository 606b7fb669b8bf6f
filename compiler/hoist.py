"""Pass 5: loads move ahead in program order, so that weights arrive during the preceding compute.

A load may go right after the last step that uses words which it, or a later load of the same buffer, overwrites.
It stays after the first user of the load ``queue.depth`` loads before it, because a full load queue would stop
the dispatch of everything else. Loads keep their order.
"""

from __future__ import annotations

from collections.abc import Sequence

from vitreous.compiler.accesses import WordMap, accesses
from vitreous.compiler.steps import Step
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import QUEUE_OF, Opcode, Queue
from vitreous.spec.opcodes.opcode import Region


def hoist(steps: Sequence[Step], config: AcceleratorConfig) -> list[Step]:
    """The steps in their final order; all buffers have their base. None moves without ``schedule.double_buffer``."""
    if not config.schedule.double_buffer:
        return list(steps)
    used, lives = WordMap(config, 1), WordMap(config, 1)
    users = _next_matmul(steps)
    keys: list[tuple[int, int, int]] = []
    begun: dict[int, int] = {}
    starts: list[int] = []  # the first user of each load
    position = 0
    for index, step in enumerate(steps):
        reads, writes = accesses(step.resolve(), config, step.slot)
        if QUEUE_OF[step.opcode] is not Queue.LOAD:
            for region in (*reads, *writes):
                used.put(region, 0, index)
            for buffer, _ in step.addresses.values():
                lives.put(Region(buffer.memory, buffer.base, buffer.words), 0, index)
            keys.append((index, 1, index))
            continue
        buffer = step.addresses["base"][0]
        if id(buffer) not in begun:
            # The first load of a buffer: no buffer that shares words with it may still be in use, not even in other
            # words, so that live ranges stay as they were proved.
            begun[id(buffer)] = int(lives.latest(Region(buffer.memory, buffer.base, buffer.words))[0]) + 1
        earliest = max(begun[id(buffer)], *(int(used.latest(region)[0]) + 1 for region in writes))
        if len(starts) >= config.queue.depth:
            earliest = max(earliest, starts[-config.queue.depth] + 1)
        starts.append(users[index])
        position = min(index, max(position, earliest))
        keys.append((position, 0, index))
    return [steps[key[2]] for key in sorted(keys)]


def _next_matmul(steps: Sequence[Step]) -> list[int]:
    """For each step the position of the next MATMUL: loads are emitted right before their first user."""
    result, following = [0] * len(steps), len(steps)
    for index in range(len(steps) - 1, -1, -1):
        if steps[index].opcode is Opcode.MATMUL:
            following = index
        result[index] = following
    return result
