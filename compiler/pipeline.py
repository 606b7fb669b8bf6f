"""All passes in order: fusion, lowering and memory (``planning``), hoisting, tokens, encoding."""

from __future__ import annotations

from typing import Any

import numpy as np

from vitreous.compiler.errors import CompileError, MemoryFull
from vitreous.compiler.hoist import hoist
from vitreous.compiler.lowering.plan import Plan
from vitreous.compiler.memory import live_ranges, verify
from vitreous.compiler.needs import DoesNotFitError, shortages
from vitreous.compiler.operations import Operation, layer_macs
from vitreous.compiler.planning import Task, plan, program_needs, requirements, task
from vitreous.compiler.precision import attention_widths, width_choice
from vitreous.compiler.steps import Step
from vitreous.compiler.tiling import MemoryBudget
from vitreous.compiler.tokens import place_tokens
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.graph import Graph
from vitreous.spec.isa import Instruction, Opcode, ProgramError, make
from vitreous.spec.program import Program

_QUALITY = ("output_error", "compared_images", "layers", "losses", "saturation")
"""What a graph's notes say of its distance from the float network, handed on to whoever reports on the program."""


def compile(graph: Graph, config: AcceleratorConfig, *, observe: bool = False) -> Program:
    """The program that computes ``graph`` on the accelerator ``config``.

    observe : store every intermediate tensor that exists in a memory of the machine, too.
    Raises CompileError that names the node, operation and layer that the machine does not have, and DoesNotFitError
    that names every size that is too large.
    """
    return _compiled(graph, config, *planned(graph, config, observe=observe))


def shortened(graph: Graph, config: AcceleratorConfig, copies: int) -> Program:
    """The program with at most ``copies`` of the layers that are alike: to predict cycles, not to be run.

    Raises CompileError and DoesNotFitError as ``compile`` does for so much of the graph.
    """
    work = task(graph, config).with_copies(copies)
    try:
        return _compiled(graph, config, work, plan(work))
    except MemoryFull as error:
        raise CompileError(f"{graph.name} does not fit {config.name}: {error}") from None


def _compiled(graph: Graph, config: AcceleratorConfig, work: Task, plan: Plan) -> Program:
    steps = hoist(plan.emitter.steps, config)
    verify(steps, config)
    try:
        instructions = [step.resolve() for step in steps]
    except ProgramError as error:
        raise CompileError(f"{graph.name} has a size that no instruction can express: {error}") from None
    slots = {position: step.slot for position, step in enumerate(steps) if step.slot is not None}
    instructions = place_tokens([*instructions, make(Opcode.END)], config, slots)
    notes = _notes(work.operations, steps, plan.budget) | {
        "attention": attention_widths(work.operations, graph, config),
        "probabilities": width_choice(graph),
        "quality": {name: graph.notes[name] for name in _QUALITY if name in graph.notes},
    }
    return _program(graph, config, plan, instructions, work.observe, notes)


def planned(graph: Graph, config: AcceleratorConfig, *, observe: bool = False) -> tuple[Task, Plan]:
    """What is to be done and where everything lies, for a program or to know that there can be one. Looks at no weight.

    Raises CompileError as ``compile`` does.
    """
    work = task(graph, config, observe=observe)
    if shortages(work.needs):
        raise DoesNotFitError(graph.name, config.name, shortages(requirements(work)))
    try:
        made = plan(work)
    except MemoryFull as error:
        if short := shortages(requirements(work)):
            raise DoesNotFitError(graph.name, config.name, short) from None
        # Each memory is large enough for the smallest plan, which is not one that was tried.
        raise CompileError(f"{graph.name} does not fit {config.name}: {error}") from None
    emitter = made.emitter
    if short := shortages(program_needs(emitter.steps, emitter.image.size, emitter.write_size)):
        raise DoesNotFitError(graph.name, config.name, short)
    return work, made


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
        "transfers": [
            {"pc": pc, "tensor": step.moved.tensor, "cause": step.moved.cause.value}
            for pc, step in enumerate(steps)
            if step.moved is not None
        ],
        "plan": {
            "weight_parts": budget.weight_parts,
            "early_norm": budget.early_norm,
            "blocks": budget.blocks,
            "outputs": budget.outputs,
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
