"""All passes in order: fusion, lowering and memory (with smaller budgets until it fits), hoisting, tokens, encoding."""

from __future__ import annotations

from typing import Any

import numpy as np

from vitreous.compiler.errors import CompileError, MemoryFull
from vitreous.compiler.fusion import fuse
from vitreous.compiler.hoist import hoist
from vitreous.compiler.lowering import lower
from vitreous.compiler.lowering.plan import Plan
from vitreous.compiler.memory import allocate, live_ranges, verify
from vitreous.compiler.operations import Operation, layer_macs, linears
from vitreous.compiler.precision import attention_widths
from vitreous.compiler.steps import Step
from vitreous.compiler.tiling import MemoryBudget, indivisible
from vitreous.compiler.tokens import place_tokens
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.isa import PC_BITS, Instruction, Opcode, ProgramError, make
from vitreous.spec.layout import ceil_div
from vitreous.spec.program import Program


def compile(graph: Graph, config: AcceleratorConfig, *, observe: bool = False) -> Program:
    """The program that computes ``graph`` on the accelerator ``config``.

    observe : store every intermediate tensor that exists in a memory of the machine, too.
    Raises CompileError: naming the node, operation and layer that the machine does not have, or the sizes
    that do not fit.
    """
    operations = fuse(graph, config)
    try:
        plan = _fit(operations, config, graph.input.shape, observe)
        steps = hoist(plan.emitter.steps, config)
        verify(steps, config)
        instructions = [step.resolve() for step in steps]
    except ProgramError as error:
        raise CompileError(f"{graph.name} has a size that no instruction can express: {error}") from None
    slots = {position: step.slot for position, step in enumerate(steps) if step.slot is not None}
    instructions = place_tokens([*instructions, make(Opcode.END)], config, slots)
    if len(instructions) > 1 << PC_BITS:
        raise CompileError(
            f"{graph.name} needs {len(instructions)} instructions; the machine counts to {1 << PC_BITS}"
        )
    notes = _notes(operations, steps, plan.budget) | {
        "attention": attention_widths(operations, graph, config)
    }
    return _program(graph, config, plan, instructions, observe, notes)


def _fit(
    operations: tuple[Operation, ...], config: AcceleratorConfig, shape: tuple[int, ...], observe: bool
) -> Plan:
    """The plan with the largest memory budget whose buffers fit."""
    budget: MemoryBudget | None = MemoryBudget()
    inner = min((linear.inner for linear in linears(operations)), default=1)
    rows = max((getattr(operation, "rows", 1) for operation in operations), default=1)
    while budget is not None:
        plan = lower(operations, config, budget, shape, observe=observe)
        try:
            allocate(plan.emitter.steps, config)
            return plan
        except MemoryFull as error:
            refusal = error
            if error.memory in "WP" and indivisible(config, budget, inner):
                break
            budget = budget.without(error.memory, ceil_div(rows, config.array.lanes))
    raise CompileError(str(refusal))


def _notes(operations: tuple[Operation, ...], steps: list[Step], budget: MemoryBudget) -> dict[str, Any]:
    return {
        "layers": [{"label": label, "macs": macs} for label, macs in layer_macs(operations).items()],
        "memory": [
            {
                "name": live.buffer.name,
                "memory": live.buffer.memory.name,
                "base": live.buffer.base,
                "words": live.buffer.words,
                "layer": live.buffer.layer,
                "first_pc": live.first,
                "last_pc": live.last,
            }
            for live in live_ranges(steps)
        ],
        "plan": {
            "weight_parts": budget.weight_parts,
            "early_norm": budget.early_norm,
            "blocks": budget.blocks,
        },
    }


def _program(
    graph: Graph,
    config: AcceleratorConfig,
    plan: Plan,
    instructions: list[Instruction],
    observe: bool,
    notes: dict[str, Any],
) -> Program:
    """The memory image ends with the encoded program."""
    code = np.frombuffer(b"".join(instruction.encode() for instruction in instructions), np.uint8)
    program_offset = plan.emitter.image.add(code)
    channels, height, width = graph.input.shape
    return Program(
        graph_name=graph.name,
        config_digest=config.digest,
        config=config.as_dict(),
        instructions=tuple(instructions),
        image=plan.emitter.image.build(),
        program_offset=program_offset,
        input_offset=plan.input_offset,
        input_shape=(channels, height, width),
        write_size=plan.emitter.write_size,
        placements=tuple(plan.emitter.placements),
        output_tensor=graph.output.name,
        macs=graph.macs,
        observed=observe,
        notes=notes,
    )
