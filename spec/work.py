"""What instructions do to the hardware's counters: the one definition, for the cycle model and for every estimate.

Of ``isa.COUNTERS`` these are ``array_busy`` and the counters of words, columns, beats and instructions, which need no
clock; each opcode states its own (``spec.opcodes``). Not here: ``fetch_beats``, which depends on the bursts of
instruction fetch, and the counters of cycles.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import OPCODES, Instruction, Opcode


def work(instructions: Iterable[Instruction], config: AcceleratorConfig) -> Counter[str]:
    """Counts by counter name that ``instructions`` cause together, on the accelerator of ``config``.

    A counter that they do not touch may be missing. ``array_busy`` is in words of A: one a cycle.
    """
    # A program has many instructions and few that differ in what counts.
    kinds: Counter[tuple[Opcode, tuple[int, ...]]] = Counter()
    for instruction in instructions:
        fields = instruction.fields
        kinds[instruction.opcode, tuple([fields[name] for name in OPCODES[instruction.opcode].counted])] += 1
    total: Counter[str] = Counter(instructions=kinds.total())
    for (opcode, values), number in kinds.items():
        spec = OPCODES[opcode]
        for name, count in spec.counts(dict(zip(spec.counted, values, strict=True)), config).items():
            total[name] += number * count
    return total
