import pytest

from tests.support.compiler.cases import random_case
from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.compiler.fusion import fuse
from vitreous.compiler.hoist import hoist
from vitreous.compiler.lowering import lower
from vitreous.compiler.memory import allocate
from vitreous.compiler.steps import Buffer, Step
from vitreous.compiler.tiling import MemoryBudget
from vitreous.flow import comparison
from vitreous.golden.machine import Machine
from vitreous.spec.config import AcceleratorConfig, ArrayConfig, MemoryConfig, QueueConfig
from vitreous.spec.isa import QUEUE_OF, Opcode, Queue


def lowered(config: AcceleratorConfig) -> list[Step]:
    graph = random_vit_graph(2, image=(16, 16), patch=4, dim=32, heads=2, depth=2, mlp=64)
    plan = lower(fuse(graph, config), config, MemoryBudget(), graph.input.shape, observe=False)
    allocate(plan.emitter.steps, config)
    return plan.emitter.steps


def split(steps: list[Step]) -> tuple[list[Step], list[Step]]:
    loads = [step for step in steps if QUEUE_OF[step.opcode] is Queue.LOAD]
    return loads, [step for step in steps if QUEUE_OF[step.opcode] is not Queue.LOAD]


def test_loads_and_others_keep_their_own_order() -> None:
    config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4))
    before = lowered(config)
    after = hoist(before, config)
    assert split(before) == split(after)
    assert before != after


def test_no_load_moves_back() -> None:
    config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4))
    before = lowered(config)
    loads, _ = split(before)
    after = hoist(before, config)
    ahead = [before.index(load) - after.index(load) for load in loads]
    assert min(ahead) >= 0
    # Weights of a later layer are requested long before they are used.
    assert max(ahead) > 8


@pytest.mark.parametrize("depth", [2, 8])
def test_loads_that_wait_for_their_product_fill_the_queue_at_most(depth: int) -> None:
    config = AcceleratorConfig(array=ArrayConfig(lanes=4, depth=4), queue=QueueConfig(depth=depth))
    waiting: list[Buffer] = []
    most = 0
    for step in hoist(lowered(config), config):
        buffers = [buffer for buffer, _ in step.addresses.values()]
        if step.label == "embed":
            continue  # its first product needs more loads than any other
        if QUEUE_OF[step.opcode] is Queue.LOAD:
            # The scale of the scores comes with the first projection and is used later: it waits in P.
            waiting += [buffer for buffer in buffers if not buffer.name.endswith("score_scale")]
        elif step.opcode is Opcode.MATMUL:
            most = max(most, len(waiting))
            waiting = [buffer for buffer in waiting if buffer not in buffers]
    assert depth <= most <= depth + 2


def test_a_load_stays_before_the_users_of_its_buffer() -> None:
    arguments, config = random_case(8)
    graph = random_vit_graph(**arguments)
    plan = lower(fuse(graph, config), config, MemoryBudget(), graph.input.shape, observe=False)
    allocate(plan.emitter.steps, config)
    steps = hoist(plan.emitter.steps, config)
    for position, step in enumerate(steps):
        if QUEUE_OF[step.opcode] is Queue.LOAD:
            buffer = step.addresses["base"][0]
            users = [i for i, s in enumerate(steps) if any(b is buffer for b, _ in s.addresses.values())]
            assert users[0] <= position < users[-1]


def test_blocks_of_patches_that_share_some_words() -> None:
    # The second block's patches may not come while the first is in use, though only in words that they do not share.
    config = AcceleratorConfig(
        array=ArrayConfig(lanes=8, depth=4),
        memory=MemoryConfig(activation_kib=2, weight_kib=16, residual_kib=32, parameter_entries=256),
    )
    graph = random_vit_graph(1, image=(24, 24), patch=4, dim=16, heads=2, depth=1, mlp=64, channels=3)
    program, image = compile(graph, config), random_image(graph, 1)
    window = Machine(config).run(program, image).window
    (check,) = comparison.compare(graph, config, [image], [(program, [window])], machine=False)
    assert [tensor.different for tensor in check.tensors] == [0]
