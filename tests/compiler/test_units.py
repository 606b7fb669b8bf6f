"""Every variant of every nonlinear unit with every other, in graphs of both widths: machine == interpreter."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import numpy as np
import pytest
import torch

from tests.compiler.test_machine import differing
from tests.support.compiler.graphs import random_image, random_vit_graph
from vitreous.compiler import compile
from vitreous.golden.machine import ORDERS
from vitreous.spec.config import (
    AcceleratorConfig,
    ActivationConfig,
    ArrayConfig,
    MemoryConfig,
    NormConfig,
    SoftmaxConfig,
)
from vitreous.spec.isa import Instruction

torch.set_num_threads(1)

SOFTMAXES = ("base2", "online", "ibert", "ita")
ACTIVATIONS = [
    ("gelu", "delta"),
    ("gelu", "table"),
    ("gelu", "poly"),
    ("gelu", "shift"),
    ("gelu_tanh", "delta"),
    ("gelu_tanh", "table"),
    ("quick_gelu", "delta"),
    ("quick_gelu", "shift"),
    ("silu", "delta"),
    ("silu", "table"),
    ("silu", "shift"),
]
PAIRS = list(itertools.product(SOFTMAXES, ACTIVATIONS))


def combination(index: int) -> tuple[dict[str, Any], AcceleratorConfig]:
    """Softmax and GELU in all pairs; what has two values alternates with different periods."""
    variant, (function, activation) = PAIRS[index]
    units = {
        "softmax": SoftmaxConfig(variant=variant, fraction_bits=6 + index % 4, probability_bits=16),
        "activation": ActivationConfig(
            function=function, variant=activation, range=8.0, interpolate=bool(index // 7 % 2)
        ),
        "norm": NormConfig(variant=("one_pass", "two_pass")[index % 2]),
    }
    array = ArrayConfig(lanes=(4, 8)[index // 2 % 2], depth=(1, 2, 4, 8)[index // 3 % 4])
    config = AcceleratorConfig(array=array, memory=MemoryConfig(score_keys=16), **units)
    sizes = {"image": (9, 12), "patch": 3, "dim": 14, "heads": 2, "depth": 2, "mlp": 18, "classes": 3}
    widths = ((8, 16), (16, 8))[index // 2 % 2]
    return {**sizes, **units, "centred": bool(index // 2 % 2), "widths": widths}, config


@pytest.mark.parametrize("index", range(len(PAIRS)))
def test_combination(index: int) -> None:
    arguments, config = combination(index)
    graph = random_vit_graph(index, **arguments)
    program = compile(graph, config, observe=True)
    image = random_image(graph, index)
    assert differing(graph, program, config, image, ORDERS[index % len(ORDERS)], index) == []


def test_combinations_leave_nothing_out() -> None:
    """Each value of each unit meets each of the others'."""
    found: set[tuple[str, str]] = set()
    for arguments, _ in map(combination, range(len(PAIRS))):
        softmax, activation, norm = arguments["softmax"], arguments["activation"], arguments["norm"]
        values = {
            f"gelu {activation.function} {activation.variant}",
            f"norm {norm.variant} {arguments['centred']}",
        }
        values |= {f"softmax {softmax.variant} {bits}" for bits in arguments["widths"]}
        found |= set(itertools.permutations(values, 2))
    softmaxes = [f"softmax {variant} {bits}" for variant in SOFTMAXES for bits in (8, 16)]
    activations = [f"gelu {function} {variant}" for function, variant in ACTIVATIONS]
    norms = [f"norm {variant} {centred}" for variant in ("one_pass", "two_pass") for centred in (True, False)]
    for one, other in ((softmaxes, activations), (softmaxes, norms), (activations, norms)):
        assert [pair for pair in itertools.product(one, other) if pair not in found] == []


def changed(instruction: Instruction, name: str) -> Instruction:
    """With one field set to 0 where it is 1."""
    if not instruction.fields.get(name):
        return instruction
    return dataclasses.replace(instruction, fields={**instruction.fields, name: 0})


@pytest.mark.parametrize("name", ["extra_planes", "centred"])
def test_the_comparison_sees_a_plane_or_a_mean_that_is_left_out(name: str) -> None:
    arguments, config = combination(0)
    graph = random_vit_graph(0, **{**arguments, "widths": (16,), "centred": True})
    program = compile(graph, config, observe=True)
    instructions = tuple(changed(i, name) for i in program.instructions)
    assert instructions != program.instructions
    memory = program.image.copy()
    code = np.frombuffer(b"".join(i.encode() for i in instructions), np.uint8)
    memory[program.program_offset : program.program_offset + code.size] = code
    broken = dataclasses.replace(program, instructions=instructions, image=memory)
    assert differing(graph, broken, config, random_image(graph, 0), "program", 0)
