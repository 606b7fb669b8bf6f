"""The smallest memories with which a graph compiles on an array. Every rule is the compiler's: this only searches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from vitreous.compiler.checks import PARTIAL_CONTEXTS, context_columns
from vitreous.compiler.needs import DoesNotFitError, shortages
from vitreous.compiler.planning import NAMES, PLACED, Task, granule, program_length, requirements
from vitreous.compiler.tiling import MemoryBudget
from vitreous.spec.config import AcceleratorConfig, MemoryConfig
from vitreous.spec.isa import ADDRESS_BITS, Memory
from vitreous.spec.layout import align, ceil_div

MOST_WORDS = 1 << ADDRESS_BITS
LEAST_ENTRIES = 32
"""Of P, in any configuration."""
KEYS_STEP = 8
"""Of memory.score_keys."""
ROOMY_WEIGHTS, ROOMY_ENTRIES = 3, 1024
"""W and P of the roomy memories: three times the least W, so that weights arrive while others are used, and as many
entries as such pieces have."""


def smallest(work: Task, model: str) -> AcceleratorConfig:
    """The task's accelerator with the smallest memories: a step less of any of them, with the others as they are, and
    the model does not compile. X and R are the least that the tensors need; W and P are larger than the least where
    pieces that small would make the program too long.

    Raises DoesNotFitError where no memories are large enough with this array.
    """
    words = _least(work, model)
    if not work.fits({**words, Memory.P: ROOMY_ENTRIES}):
        words = _larger(work, words, Memory.W, {Memory.P: ROOMY_ENTRIES})
    if not work.fits(words):
        words = _larger(work, words, Memory.P, {})
    if not work.fits(words):
        words = {**words, Memory.X: MOST_WORDS}
        if not work.fits(words):
            count = work.instructions(MemoryBudget(), words)
            raise DoesNotFitError(model, work.config.name, [program_length(count)])
    for memory in (Memory.X, Memory.W):
        words = _stepped_down(work, words, memory)
    return _configured(work, words)


def _stepped_down(work: Task, words: Mapping[Memory, int], memory: Memory) -> Mapping[Memory, int]:
    """``words`` with as little of ``memory`` as fits with the others; by halves first, then step by step."""
    step, least = granule(work.config, memory), work.least[memory]
    size = words[memory]
    while size - least > 2 * step:
        middle = align((size + least) // 2, step)
        if not work.fits({**words, memory: middle}):
            break
        size = middle
    while size > step and work.fits({**words, memory: size - step}):
        size -= step
    return {**words, memory: size}


def roomy(work: Task, model: str) -> AcceleratorConfig:
    """The task's accelerator with memories beyond which hardly a cycle is gained. Raises as ``smallest`` does."""
    words = _least(work, model)
    wider = {
        **words,
        Memory.W: min(MOST_WORDS, ROOMY_WEIGHTS * words[Memory.W]),
        Memory.P: max(ROOMY_ENTRIES, words[Memory.P]),
    }
    return _configured(work, wider if work.fits(wider) else _larger(work, wider, Memory.W, {}))


def _least(work: Task, model: str) -> Mapping[Memory, int]:
    """The least words of each memory for itself. Raises DoesNotFitError."""
    beyond = [need for need in requirements(work) if need.beyond]
    if beyond:
        raise DoesNotFitError(model, work.config.name, shortages(beyond))
    keys = _most(work, NAMES[Memory.S])
    return {
        **work.least,
        Memory.P: max(LEAST_ENTRIES, work.least[Memory.P]),
        Memory.S: max(KEYS_STEP, align(keys, KEYS_STEP)),
    }


def _most(work: Task, what: str) -> int:
    """The largest need of ``what``; 0 where nothing needs any."""
    return max((need.needed for need in work.needs if need.what == what), default=0)


def _larger(
    work: Task, words: Mapping[Memory, int], memory: Memory, others: Mapping[Memory, int]
) -> Mapping[Memory, int]:
    """``words`` with the least of ``memory`` that fits, with ``others`` in the place of theirs meanwhile; the most
    that there can be where even that does not fit."""
    step = granule(work.config, memory)

    def fits(size: int) -> bool:
        return work.fits({**words, **others, memory: size})

    low, high = words[memory], min(MOST_WORDS, 2 * words[memory])
    while high < MOST_WORDS and not fits(high):
        low, high = high, min(MOST_WORDS, 2 * high)
    while high - low > step:
        middle = align((low + high) // 2, step)
        if middle >= high:
            break
        low, high = (low, middle) if fits(middle) else (middle, high)
    return {**words, memory: high}


def _configured(work: Task, words: Mapping[Memory, int]) -> AcceleratorConfig:
    """The accelerator with these words."""
    kib = {
        memory: max(1, ceil_div(words[memory], granule(work.config, memory)))
        for memory in PLACED
        if memory is not Memory.P
    }
    return replace(
        work.config,
        memory=MemoryConfig(
            activation_kib=kib[Memory.X],
            weight_kib=kib[Memory.W],
            residual_kib=kib[Memory.R],
            parameter_entries=words[Memory.P],
            score_keys=words[Memory.S],
            context_columns=max(context_columns()[0], _most(work, PARTIAL_CONTEXTS)),
        ),
    )
