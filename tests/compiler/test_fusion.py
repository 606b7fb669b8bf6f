"""Which chains become which operations, and the sentences for those that do not."""

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from tests.support.compiler.graphs import random_vit_graph
from vitreous.compiler import CompileError, compile
from vitreous.compiler.fusion import fuse
from vitreous.compiler.operations import Attention, Embedding, Linear, Norm, Output, Pool, Select, layer_macs
from vitreous.spec.config import AcceleratorConfig, ActivationConfig, MemoryConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Graph, Node, Op, Tensor
from vitreous.spec.graph.infer import SCORE_DTYPE
from vitreous.spec.isa import Activation, Memory, Opcode
from vitreous.spec.numbers import SCORE

CONFIG = AcceleratorConfig()
TWO_PLANES = SoftmaxConfig(probability_bits=16)
SIZES: dict[str, Any] = {"image": (8, 8), "patch": 4, "dim": 12, "heads": 2, "depth": 1, "mlp": 20}


def vit(**changes: Any) -> Graph:
    return random_vit_graph(3, **{**SIZES, **changes})


def edited(graph: Graph, name: str, edit: Callable[[Node], Node]) -> Graph:
    nodes = tuple(edit(node) if node.name == name else node for node in graph)
    return dataclasses.replace(graph, nodes=nodes)


def attributes(**changes: Any) -> Callable[[Node], Node]:
    return lambda node: dataclasses.replace(node, attributes={**node.attributes, **changes})


def constants(**changes: np.ndarray) -> Callable[[Node], Node]:
    return lambda node: dataclasses.replace(node, constants={**node.constants, **changes})


def refused(graph: Graph, sentence: str, config: AcceleratorConfig = CONFIG) -> None:
    with pytest.raises(CompileError, match=sentence):
        compile(graph, config)


def test_the_operations_of_a_block() -> None:
    operations = fuse(vit(), CONFIG)
    kinds = [type(operation) for operation in operations]
    assert kinds == [Embedding, Norm, Attention, Linear, Norm, Linear, Linear, Norm, Select, Linear, Output]
    attention, projection, hidden, second, last = (operations[i] for i in (2, 3, 5, 6, 7))
    assert isinstance(attention, Attention)
    assert attention.key.destination is Memory.W
    assert attention.value.transposed
    assert isinstance(projection, Linear)
    assert (projection.destination, projection.residual) == (Memory.R, "embed")
    assert isinstance(hidden, Linear)
    assert hidden.activation is Activation.SMOOTH
    assert hidden.destination is Memory.X
    assert isinstance(second, Linear)
    assert second.residual == "blocks.0.add1"
    assert isinstance(last, Norm)
    assert last.tokens == range(1)


def test_relu_and_pooling() -> None:
    operations = fuse(vit(nonlinearity="relu", class_token=False), CONFIG)
    assert any(isinstance(o, Linear) and o.activation is Activation.RELU for o in operations)
    assert [type(o) for o in operations[-4:]] == [Pool, Norm, Linear, Output]


def test_macs_by_layer_add_up() -> None:
    graph = vit(depth=2)
    macs = layer_macs(fuse(graph, CONFIG))
    assert sum(macs.values()) == graph.macs
    assert macs["blocks.1.attn.qkv"] == 3 * 5 * 12 * 12
    assert macs["blocks.1.attn"] == 2 * 5 * 5 * 12


def test_zero_point_goes_into_the_bias() -> None:
    graph = vit()
    operations = fuse(graph, CONFIG)
    second = operations[6]
    assert isinstance(second, Linear)
    node = next(node for node in graph if node.name == second.node)
    zero_point = node.integer("input_zero_point")
    assert zero_point != 0
    folded = node.constants["bias"] - zero_point * node.constants["weight"].astype(int).sum(axis=1)
    assert np.array_equal(second.bias, folded)


def test_accumulator_overflow_is_refused() -> None:
    bias = np.full(20, 2**31 - 1000, np.int32)
    refused(
        edited(vit(), "blocks.0.fc1.wide.acc", constants(bias=bias)),
        r"Node blocks.0.fc1.wide.acc \(linear\) of layer blocks.0.mlp.fc1: output channel \d+ can reach \d+, "
        r"and an accumulator must stay below 2\*\*31",
    )


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        (
            {"activation": ActivationConfig(step_bits=4)},
            r"\(activation\) .* quantized for activation.step_bits = 4, .* has 5",
        ),
        (
            {"activation": ActivationConfig(range=4.0)},
            "quantized for activation.range = 4.0, but the accelerator has 4.5",
        ),
        (
            {"activation": ActivationConfig(fraction_bits=12)},
            "activation.fraction_bits = 12, but the accelerator has 14",
        ),
        (
            {"activation": ActivationConfig(function="silu")},
            "activation.function = silu, but the accelerator has gelu",
        ),
        (
            {"activation": ActivationConfig(variant="shift")},
            "activation.variant = shift, but the accelerator has delta",
        ),
        (
            {"activation": ActivationConfig(interpolate=False)},
            "activation.interpolate = False, but the accelerator has True",
        ),
        (
            {"activation": ActivationConfig(variant="exact")},
            "activation.variant = exact, but the accelerator has delta",
        ),
        (
            {"softmax": SoftmaxConfig(variant="online")},
            r"\(softmax\) of layer blocks.0.attn: quantized for softmax.variant = online, .* has base2",
        ),
        ({"softmax": SoftmaxConfig(fraction_bits=7)}, "softmax.fraction_bits = 7, but the accelerator has 8"),
        (
            {"norm": NormConfig(variant="two_pass")},
            r"\(layernorm\) .* quantized for norm.variant = two_pass, but the accelerator has one_pass",
        ),
        (
            {"norm": NormConfig(variant="exact"), "centred": False},
            r"\(rmsnorm\) .* quantized for norm.variant = exact, but the accelerator has one_pass",
        ),
    ],
)
def test_another_nonlinear_unit_is_refused(changes: dict[str, Any], sentence: str) -> None:
    refused(vit(**changes), sentence)


def test_wide_probabilities_need_a_machine_of_two_planes() -> None:
    narrow = AcceleratorConfig()
    refused(
        vit(widths=(16,)),
        r"\(softmax\) of layer blocks.0.attn: quantized for 16 probability bits, but the accelerator multiplies 8 "
        r"\(softmax.probability_bits\)",
        narrow,
    )
    compile(vit(widths=(8,)), narrow)


def test_width_and_norm_are_in_the_instructions() -> None:
    program = compile(
        vit(depth=2, widths=(8, 16), centred=False), dataclasses.replace(CONFIG, softmax=TWO_PLANES)
    )
    wide = {
        i.label: i["extra_planes"]
        for i in program.instructions
        if i.opcode is Opcode.MATMUL and i["operands"] == 2
    }
    assert wide == {"blocks.0.attn": 0, "blocks.1.attn": 1}
    assert {i["centred"] for i in program.instructions if i.opcode is Opcode.NORM} == {0}
    program = compile(vit(), CONFIG)
    assert {i["centred"] for i in program.instructions if i.opcode is Opcode.NORM} == {1}


def test_rows_longer_than_the_softmax_is_safe_for_are_refused() -> None:
    ita = SoftmaxConfig(variant="ita")
    graph = vit(image=(32, 128), patch=4, softmax=ita, class_token=False)
    config = AcceleratorConfig(softmax=ita, memory=MemoryConfig(score_keys=512))
    refused(graph, r"\(scores\) .*: 256 keys, and softmax.variant = ita takes at most 255", config)


def test_too_many_keys_are_refused() -> None:
    config = AcceleratorConfig(memory=MemoryConfig(score_keys=8))
    refused(
        vit(image=(16, 16)),
        r"S, the score buffer, needs 17 keys for Node blocks.0.attn.scores \(scores\) of layer blocks.0.attn "
        r"and has 8 keys \(memory.score_keys\)",
        config,
    )


def test_an_operation_in_no_chain_is_refused() -> None:
    graph = vit()
    relu = Node(
        op=Op.RELU,
        name="odd",
        inputs=("blocks.0.norm1",),
        outputs=("odd",),
        attributes={"zero_point": 0},
        layer="blocks.0.odd",
    )
    index = [node.name for node in graph].index("blocks.0.norm1")
    tensors = {**graph.tensors, "odd": Tensor(name="odd", dtype="int8", shape=(5, 12))}
    nodes = (*graph.nodes[: index + 1], relu, *graph.nodes[index + 1 :])
    refused(
        dataclasses.replace(graph, nodes=nodes, tensors=tensors),
        r"Node odd \(relu\) of layer blocks.0.odd: is not in a chain of operations that the machine can fuse",
    )


def test_a_residual_that_is_needed_later_is_refused() -> None:
    # The second addition takes the stream from before the first one.
    graph = edited(
        vit(),
        "blocks.0.add2",
        lambda node: dataclasses.replace(
            node, inputs=tuple("embed" if name == "blocks.0.add1" else name for name in node.inputs)
        ),
    )
    refused(
        graph, r"Node blocks.0.add2 \(add\) .*: needs embed after blocks.0.add1 has been added to it in place"
    )


@pytest.mark.parametrize(
    ("name", "change", "sentence"),
    [
        ("blocks.0.attn.q", attributes(zero_point=3), "blocks.0.attn.q must have zero point 0"),
        ("blocks.0.proj", attributes(zero_point=3), "a 16-bit result has no zero point, but this has 3"),
        (
            "blocks.0.proj",
            constants(multiplier=np.array([40000], np.int32)),
            r"multiplier must be in 1..32767",
        ),
        ("blocks.0.proj", constants(shift=np.array([48], np.int32)), r"shift must be in 1..47, not 48..48"),
        ("blocks.0.norm1", attributes(multiplier=5), r"needs 2\*\*14 <= multiplier < 2\*\*15"),
        ("token", attributes(index=3), "token 3 does not begin a row tile of 8"),
    ],
)
def test_attributes_that_the_machine_does_not_have(
    name: str, change: Callable[[Node], Node], sentence: str
) -> None:
    refused(edited(vit(), name, change), sentence)


def test_a_score_is_no_stream() -> None:
    graph = vit()
    wide = {
        name: dataclasses.replace(tensor, dtype=SCORE_DTYPE) if name in ("head", "logits") else tensor
        for name, tensor in graph.tensors.items()
    }
    nodes = tuple(attributes(bits=SCORE.width)(n) if n.name == "head" else n for n in graph)
    refused(
        dataclasses.replace(graph, nodes=nodes, tensors=wide),
        f"requantizes to {SCORE.width} bits where 8 or 16 are needed",
    )


def test_a_class_token_that_cannot_be_compensated_is_refused() -> None:
    value = np.full((5, 12), -32768, np.int16)
    graph = edited(vit(), "embed.position", constants(value=value))
    graph = edited(graph, "embed.acc", constants(bias=np.full(12, 100000, np.int32)))
    refused(graph, "the class token cannot be lowered by the projection's bias within 16 bits")


def small(
    *names: str, rows_from: str | None = None, dtype: str = "int16", outputs: int | None = None
) -> Graph:
    """Inputs of 4 x 3, of which the first ``outputs`` (or all) are outputs too."""
    nodes = [Node(op=Op.INPUT, name=f"in.{name}", outputs=(name,)) for name in names]
    made = [(name, f"{name}.out") for name in names[:outputs]]
    nodes += [Node(op=Op.OUTPUT, name=f"out.{x}", inputs=(x,), outputs=(y,)) for x, y in made]
    tensors = {
        name: Tensor(name=name, dtype=dtype, shape=(4, 3), rows_from=rows_from)
        for name in (*names, *(y for _, y in made))
    }
    return Graph(name="g", nodes=tuple(nodes), tensors=tensors)


def test_several_inputs_or_outputs_are_refused() -> None:
    refused(
        small("a", "b", outputs=1),
        "^g has the inputs a, b, and the machine takes graphs with exactly one input$",
    )
    graph = vit()
    second = Node(op=Op.OUTPUT, name="more", inputs=("head",), outputs=("extra",))
    tensors = {**graph.tensors, "extra": dataclasses.replace(graph.output, name="extra")}
    refused(
        dataclasses.replace(graph, nodes=(*graph.nodes, second), tensors=tensors),
        "^random-3 has the outputs logits, extra, and the machine takes graphs with exactly one output$",
    )


def test_a_number_of_rows_from_data_is_refused() -> None:
    refused(
        small("a", rows_from="expert.0"),
        r"^g: a has a number of rows that comes from data \(expert.0\), and the machine takes constant ones only$",
    )


def test_an_input_that_is_no_image_is_refused() -> None:
    refused(
        small("a"),
        r"^g: its input a is int16 \[4, 3\], and the machine takes an int8 image \[C, H, W\]$",
    )
    refused(small("a", dtype="int8"), r"its input a is int8 \[4, 3\]")
