"""Pass 3: fused operations become steps in program order: instructions whose addresses are still buffers."""

from __future__ import annotations

from vitreous.compiler.accesses import memory_words
from vitreous.compiler.errors import CompileError
from vitreous.compiler.image import ImageBuilder
from vitreous.compiler.lowering.attention import lower_attention
from vitreous.compiler.lowering.embedding import lower_embedding
from vitreous.compiler.lowering.linear import lower_head, lower_linear, lower_mlp
from vitreous.compiler.lowering.norm import lower_norm
from vitreous.compiler.lowering.plan import Panel, Plan
from vitreous.compiler.operations import Attention, Embedding, Linear, Norm, Operation, Output, Pool, Select
from vitreous.compiler.steps import Emitter
from vitreous.compiler.tiling import MemoryBudget, Words
from vitreous.spec import layout
from vitreous.spec.config import AcceleratorConfig
from vitreous.spec.isa import Memory, Opcode
from vitreous.spec.opcodes.causes import Cause

__all__ = ["lower"]


def lower(
    operations: tuple[Operation, ...],
    config: AcceleratorConfig,
    budget: MemoryBudget,
    input_shape: tuple[int, ...],
    *,
    observe: bool,
    words: Words | None = None,
) -> Plan:
    """The whole program as steps, its constants in the memory image, its results in placements.

    words : of each memory; those of ``config`` when None.
    """
    image = ImageBuilder()
    channels, height, width = input_shape
    input_offset = image.reserve(channels * height * layout.image_row_stride(width))
    plan = Plan(config, budget, words or memory_words(config), Emitter(config, image, observe), input_offset)
    index = 0
    while index < len(operations):
        plan.starts[index] = plan.emitter.count
        index += _lower_at(plan, operations, index)
    plan.emitter.flush()
    return plan


def _lower_at(plan: Plan, operations: tuple[Operation, ...], index: int) -> int:
    """Lower the operation at ``index`` with those after it that belong to it; how many that were."""
    operation = operations[index]
    if isinstance(operation, Embedding):
        norm = _norm_of(operations, index + 1, operation.output)
        lower_embedding(plan, operation, norm)
        return 1 + (norm is not None)
    if isinstance(operation, Linear):
        second = operations[index + 1]
        if (
            isinstance(second, Linear)
            and second.input == operation.output
            and second.residual is not None
            and operation.destination is Memory.X
        ):
            norm = _norm_of(operations, index + 2, second.output)
            lower_mlp(plan, operation, second, norm)
            return 2 + (norm is not None)
        if isinstance(second, Output) and second.input == operation.output and operation.residual is None:
            lower_head(plan, operation, second)
            return 2
        norm = _norm_of(operations, index + 1, operation.output)
        lower_linear(plan, operation, norm)
        return 1 + (norm is not None)
    if isinstance(operation, Attention):
        lower_attention(plan, operation)
    elif isinstance(operation, Norm):
        lower_norm(plan, operation)
    elif isinstance(operation, Pool):
        _lower_pool(plan, operation)
    elif isinstance(operation, Select):
        _lower_select(plan, operation)
    else:
        _lower_output(plan, operation)
    return 1


def _norm_of(operations: tuple[Operation, ...], index: int, tensor: str) -> Norm | None:
    """The layer norm at ``index`` if it reads ``tensor``."""
    following = operations[index]
    return following if isinstance(following, Norm) and following.input == tensor else None


def _lower_pool(plan: Plan, pool: Pool) -> None:
    source = plan.panels[pool.input]
    before = pool.first // plan.lanes
    tokens = pool.rows - before * plan.lanes
    target = plan.panel(pool.output, Memory.R, 1, pool.channels, pool.layer)
    plan.emitter.emit(
        Opcode.POOL,
        pool.layer,
        {"r_base": source.word(before, plan.lanes), "o_base": target.word(0, plan.lanes)},
        r_stride=source.stride,
        channels=pool.channels,
        row_tiles=plan.tiles(tokens),
        tokens=tokens,
        first=pool.first % plan.lanes,
        multiplier=pool.multiplier,
        shift=pool.shift,
    )
    plan.panels[pool.output] = target
    plan.observe(pool.output, target, pool.layer)


def _lower_select(plan: Plan, select: Select) -> None:
    source = plan.panels[select.input]
    buffer, word = source.word(select.index // plan.lanes, plan.lanes)
    plan.panels[select.output] = Panel(
        buffer=buffer,
        rows=select.count,
        columns=source.columns,
        stride=source.stride,
        offset=word,
        heads=source.heads,
    )


def _lower_output(plan: Plan, output: Output) -> None:
    source = plan.panels.get(output.input)
    if source is None:
        raise CompileError(f"The output {output.input} is not a tensor that the machine holds")
    plan.store(output.output, source, output.layer, Cause.OUTPUT)
