"""What the machine and its arithmetic are sized for, each figure once; ``spec.config`` has what can be chosen."""

from __future__ import annotations

ATTENTION_KEYS = 4096
"""The longest row of scores: what sums of probabilities and 32-bit accumulators of P times V are sized for."""
NORM_CHANNELS = 4096
"""The most channels of a layer norm or RMS norm: what its exact sums are sized for. Those of a mean
are as many, which shares its counters."""
KEY_BLOCK = 64
"""Keys of a block of a score row, where a softmax has a maximum for each block (docs/numerics.md, Blocks of keys)."""
POOL_TOKENS = 4096
"""The most tokens of a mean: what its exact sum is sized for."""
LEVEL_BITS = 16
"""Of an unnormalized probability."""
REMAINDER_BITS = 9
"""Of them, those below a probability of 7 bits, whose rounding is carried along the row."""
LEVEL_MAXIMUM = 127 << REMAINDER_BITS
"""The largest unnormalized probability: its probability is 127, whatever is carried to it."""

SCORE_SLOTS = 2
"""Query tiles whose scores S holds: one is written while the other is read."""
ISSUED_INSTRUCTIONS = 16
"""Instructions of a queue, and of the matrix unit, that may be issued and not retired: one tile of N = 4 takes 4 cycles
of the array and about 30 of the pipeline."""
PENDING_LOADS = 4
"""Instructions between the front and the back half of the load unit."""
DEADLOCK_CYCLES = 16
"""Cycles without any way forward before DEADLOCK: longer than what any unit needs to show that it is busy or done."""
SILENT_CYCLES = 1 << 16
"""Cycles without a transfer on the bus after which a machine that stops no longer waits for outstanding answers."""

AXI_PAGE_BYTES = 4096
"""No AXI burst crosses a multiple of this: a rule of AXI."""
WINDOW_ALIGN = 4096
"""The simulated host's windows begin at multiples of this."""
MEMORY_LATENCY = 40
"""Cycles from a read request to its first beat in the simulated DRAM, unless a run says otherwise."""
