"""From fused operations to placed steps in memories of given sizes, and what the steps need: the one place where sizes
are decided. ``compile`` plans within a configuration's memories; a refusal and a search for the smallest memories ask
what would be enough.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property

from vitreous.compiler.accesses import memory_words
from vitreous.compiler.checks import SCORE_BUFFER
from vitreous.compiler.condense import Repeat, condensed, longest_repeat
from vitreous.compiler.errors import MemoryFull
from vitreous.compiler.fusion import match
from vitreous.compiler.image import WINDOW_LIMIT
from vitreous.compiler.lowering import lower
from vitreous.compiler.lowering.plan import Plan
from vitreous.compiler.memory import CONFIG_FIELD, LiveRange, allocate, least_words, live_ranges, peak
from vitreous.compiler.needs import Need, constant_need
from vitreous.compiler.operations import Operation, Output, linears
from vitreous.compiler.steps import Step
from vitreous.compiler.tiling import LARGEST_PARTS, MemoryBudget, Words, indivisible
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.isa import ADDRESS_BITS, PC_BITS, Memory, field_maximum
from vitreous.spec.layout import ceil_div, word_bytes

NAMES: Mapping[Memory, str] = {
    Memory.X: "X, the activation memory,",
    Memory.W: "W, the weight memory,",
    Memory.R: "R, the residual memory,",
    Memory.P: "P, the parameter memory,",
    Memory.S: SCORE_BUFFER,
}
PLACED = (Memory.X, Memory.W, Memory.R, Memory.P)
"""Memories whose words the compiler gives to buffers; S has its two slots."""
CHUNKED = (Memory.W, Memory.P)
"""Memories whose need depends on the chunks of columns; that of X depends on the blocks of rows."""
ENDLESS = 1 << 40


@dataclass(frozen=True)
class Task:
    """A graph to be planned for an array: its operations, and what they need whatever the memories are.

    config : its memories count only where a caller gives no words. observe : store every intermediate tensor too.
    """

    operations: tuple[Operation, ...]
    needs: tuple[Need, ...]
    config: AcceleratorConfig
    input_shape: tuple[int, ...]
    observe: bool

    @property
    def tiles(self) -> int:
        """Row tiles of the longest operation."""
        rows = max((getattr(operation, "rows", 1) for operation in self.operations), default=1)
        return ceil_div(rows, self.config.array.lanes)

    @property
    def output(self) -> int:
        """Columns of the product that is the output; 1 where it is none."""
        made = {linear.output: linear.columns for linear in linears(self.operations)}
        return max(
            (made.get(each.input, 1) for each in self.operations if isinstance(each, Output)), default=1
        )

    @property
    def inner(self) -> int:
        """The shortest sum of a product."""
        return min((linear.inner for linear in linears(self.operations)), default=1)

    @cached_property
    def repeat(self) -> Repeat:
        """The layers that are alike."""
        return longest_repeat(self.operations)

    def with_copies(self, copies: int) -> Task:
        """The task with at most ``copies`` of the layers that are alike."""
        kept = min(copies, self.repeat.times)
        return replace(self, operations=condensed(self.operations, self.repeat, kept))

    @cached_property
    def lives(self) -> Mapping[Memory, Sequence[LiveRange]]:
        """Live ranges of the buffers of the plans that take the fewest words: of X and R in the smallest blocks of
        rows, of W and P in the smallest chunks of columns. Each is planned as if the other memories had no end, and
        for two of the layers that are alike.
        """
        few = self.two
        blocks = few.lowered(
            MemoryBudget(early_norm=False, blocks=self.tiles, outputs=self.output),
            dict.fromkeys(Memory, ENDLESS),
        )
        chunks = few.lowered(
            MemoryBudget(weight_parts=2 * LARGEST_PARTS),
            {memory: 1 if memory in CHUNKED else ENDLESS for memory in Memory},
        )
        return {
            memory: [
                live
                for live in live_ranges((chunks if memory in CHUNKED else blocks).emitter.steps)
                if live.buffer.memory is memory
            ]
            for memory in PLACED
        }

    @cached_property
    def least(self) -> Words:
        """The fewest words of each memory in which those plans can be placed, in whole steps of its size; not of S."""
        return {
            memory: least_words(self.lives[memory], self.config, granule(self.config, memory))
            for memory in PLACED
        }

    @cached_property
    def two(self) -> Task:
        """With two of the layers that are alike."""
        return self.with_copies(2)

    def instructions(self, budget: MemoryBudget, words: Words, two: Plan | None = None) -> int:
        """Of the program of this budget, END included: from the plan with two of the layers that are alike, where there
        is one already, and from how many steps it has between the same place of one and of the other.
        """
        made = two or self.two.lowered(budget, words)
        start, length, times = self.repeat
        if times < 2:
            return len(made.emitter.steps) + 1
        # A layer may begin within what belongs to the one before it: with a norm, for example.
        place = next(at for at in made.starts if at >= start and at + length in made.starts)
        layer = made.starts[place + length] - made.starts[place]
        return len(made.emitter.steps) + (times - 2) * layer + 1

    def fits(self, words: Words) -> bool:
        """Whether ``plan`` finds a place for everything in memories of these sizes, and the program can be counted."""
        key = tuple(words[memory] for memory in Memory)
        if key not in self._known:
            try:
                plan(
                    self.two, words, lambda budget, two: self.instructions(budget, words, two) <= 1 << PC_BITS
                )
                self._known[key] = True
            except MemoryFull:
                self._known[key] = False
        return self._known[key]

    @cached_property
    def _known(self) -> dict[tuple[int, ...], bool]:
        """What ``fits`` has found, by the words of each memory."""
        return {}

    def lowered(self, budget: MemoryBudget, words: Words) -> Plan:
        """The steps of one budget, not placed yet."""
        return lower(
            self.operations, self.config, budget, self.input_shape, observe=self.observe, words=words
        )


def granule(config: AcceleratorConfig, memory: Memory) -> int:
    """Words of one step of a memory's size: 1 KiB, or an entry of P."""
    return 1 if memory is Memory.P else 1024 // word_bytes(config, memory)


def task(graph: Graph, config: AcceleratorConfig, *, observe: bool = False) -> Task:
    """Raises CompileError that names what the machine cannot do at any size."""
    fused = match(graph, config)
    return Task(fused.operations, fused.needs, config, graph.input.shape, observe)


def plan(
    task: Task, words: Words | None = None, accept: Callable[[MemoryBudget, Plan], bool] | None = None
) -> Plan:
    """The plan with the largest memory budget whose buffers fit, all of them placed.

    words : of each memory; those of the task's configuration when None. accept : asked before a plan is placed; a plan
    that is not accepted ends the search, because smaller budgets only make longer programs.
    Raises MemoryFull where even the smallest budget is too large, or a plan is not accepted.
    """
    config, inner, tiles = task.config, task.inner, task.tiles
    sizes = words or memory_words(config)
    budget = MemoryBudget()
    while True:
        made = task.lowered(budget, sizes)
        if accept is not None and not accept(budget, made):
            raise MemoryFull("all", "The program would be too long")
        try:
            allocate(made.emitter.steps, config, sizes)
            return made
        except MemoryFull as error:
            if error.memory in "WP" and indivisible(config, budget, inner, sizes[Memory.W]):
                raise
            smaller = budget.without(error.memory, tiles, task.output)
            if smaller is None:
                raise
            budget = smaller


def requirements(task: Task) -> tuple[Need, ...]:
    """Every need of a task, met or not: of its operations, and of memories for its smallest plan."""
    return (*task.needs, *(_memory_need(task, memory) for memory in PLACED))


def _memory_need(task: Task, memory: Memory) -> Need:
    needed = task.least[memory]
    largest = sorted(peak(task.lives[memory]).buffers, key=lambda buffer: -buffer.words)[:2]
    who = " beside ".join(f"{buffer.name} of layer {buffer.layer or '-'}" for buffer in largest)
    remedy = ""
    if memory is not Memory.P:
        remedy = f"an address has {ADDRESS_BITS} bits; an array with more lanes has wider words (array.lanes)"
    return Need(
        what=NAMES[memory],
        needed=needed,
        available=memory_words(task.config)[memory],
        unit="entries" if memory is Memory.P else "words",
        who=who or "nothing",
        most=1 << ADDRESS_BITS,
        field=CONFIG_FIELD[memory],
        unit_bytes=0 if memory is Memory.P else word_bytes(task.config, memory),
        remedy=remedy,
    )


def program_length(count: int) -> Need:
    """Of a program of ``count`` instructions, END included; larger memories make larger pieces and fewer of them."""
    return constant_need(
        "the program counter", count, 1 << PC_BITS, "instructions", "the program", mendable=True
    )


def program_needs(steps: Sequence[Step], image_bytes: int, write_bytes: int) -> tuple[Need, ...]:
    """What a program needs of instruction fields, program counter and windows; only fields that are too narrow."""
    needs = [
        program_length(len(steps) + 1),
        constant_need("the read window", image_bytes, WINDOW_LIMIT, "bytes", "program and constants"),
        constant_need("the write window", write_bytes, WINDOW_LIMIT, "bytes", "stored tensors"),
    ]
    widest: dict[tuple[str, str], Need] = {}
    for step in steps:
        for name, value in step.fields.items():
            most = field_maximum(step.opcode, name)
            known = widest.get((step.opcode.name, name))
            if value > most and (known is None or known.needed < value):
                what = f"the field {step.opcode.name}.{name}"
                who = f"layer {step.label}"
                widest[step.opcode.name, name] = constant_need(what, value, most, "in one instruction", who)
    return (*needs, *widest.values())
