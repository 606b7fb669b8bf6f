"""Types of every operation: right and wrong inputs, and faults that are put into whole graphs."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from tests.support.golden.random_graph import Sizes, random_graph
from vitreous.spec.config import EXACT, SoftmaxConfig
from vitreous.spec.graph import SIGNATURES, Graph, GraphError, Node, Op, TensorType
from vitreous.spec.graph.infer import INFER, infer
from vitreous.spec.graph.node import DTYPE_BITS
from vitreous.spec.numbers import SCORE
from vitreous.spec.variants import ActivationFunction

FUNCTIONS = ", ".join(ActivationFunction)

I8, I16, I32 = "int8", "int16", "int32"
NAMES = ("a", "b", "c")


def of(dtype: str, *shape: int, rows: str | None = None) -> TensorType:
    return TensorType(dtype, shape, rows)


def zeros(dtype: str, *shape: int) -> np.ndarray:
    return np.zeros(shape, dtype)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """A node with the types of its inputs a, b, c, and the types of its outputs."""

    inputs: tuple[TensorType, ...] = ()
    attributes: dict[str, Any] = dataclasses.field(default_factory=dict)
    constants: dict[str, np.ndarray] = dataclasses.field(default_factory=dict)
    outputs: tuple[TensorType, ...]

    def node(self, op: Op) -> Node:
        signature = SIGNATURES[op]
        return Node(
            op=op,
            name="n",
            inputs=NAMES[: signature.inputs],
            outputs=tuple(f"out{i}" for i in range(signature.outputs)),
            attributes=self.attributes,
            constants=self.constants,
        )

    def infer(self, op: Op) -> tuple[TensorType, ...]:
        return infer(self.node(op), self.inputs)


NORM = {"variant": "one_pass", "multiplier": 1 << 14, "shift": 10, "epsilon": 5, "zero_point": 0}
SMOOTH = {
    "function": "silu",
    "variant": "shift",
    "step_bits": 5,
    "range": 4,
    "fraction_bits": 14,
    "interpolate": True,
}
SHIFTS = {"channel_shifts": np.array([0, 3, 0, 1, 2, 0, 0], np.uint8)}
BITS = {"fraction_bits": 9, "key_block": 64, "multiplier": 1 << 14, "shift": 20}
WHOLE = BITS | {"key_block": 0}
ROW, ONE_BLOCK, TWO_BLOCKS = of(I32, 2, 3), of(I32, 2, 3, 1), of(I32, 2, 3, 2)

RIGHT: dict[Op, Case] = {
    Op.INPUT: Case(inputs=(of(I8, 3, 8, 12),), outputs=(of(I8, 3, 8, 12),)),
    Op.PATCHES: Case(inputs=(of(I8, 3, 8, 12),), attributes={"patch": 4}, outputs=(of(I8, 6, 48),)),
    Op.LINEAR: Case(
        inputs=(of(I8, 3, 5),),
        attributes={"input_zero_point": 0},
        constants={"weight": zeros(I8, 7, 5), "bias": zeros(I32, 7)},
        outputs=(of(I32, 3, 7),),
    ),
    Op.REQUANTIZE: Case(
        inputs=(of(I32, 3, 7),),
        attributes={"zero_point": 0, "bits": 8},
        constants={"multiplier": zeros(I32, 7), "shift": zeros(I32, 1)},
        outputs=(of(I8, 3, 7),),
    ),
    Op.ACTIVATION: Case(inputs=(of(I16, 3, 7),), attributes=SMOOTH, outputs=(of(I32, 3, 7),)),
    Op.RELU: Case(inputs=(of(I8, 3, 7),), attributes={"zero_point": 0}, outputs=(of(I8, 3, 7),)),
    Op.CONSTANT: Case(constants={"value": zeros(I16, 3, 7)}, outputs=(of(I16, 3, 7),)),
    Op.PAD_TOKENS: Case(inputs=(of(I16, 3, 7),), attributes={"count": 2}, outputs=(of(I16, 5, 7),)),
    Op.ADD: Case(inputs=(of(I16, 3, 7), of(I16, 3, 7)), outputs=(of(I16, 3, 7),)),
    Op.LAYERNORM: Case(inputs=(of(I16, 3, 7),), attributes=NORM, constants=SHIFTS, outputs=(of(I8, 3, 7),)),
    Op.RMSNORM: Case(inputs=(of(I16, 3, 7),), attributes=NORM, constants=SHIFTS, outputs=(of(I8, 3, 7),)),
    Op.SCORES: Case(inputs=(of(I8, 3, 6), of(I8, 5, 6)), attributes={"heads": 2}, outputs=(of(I32, 2, 3, 5),)),
    Op.SOFTMAX: Case(
        inputs=(of(I32, 2, 3, 5),),
        attributes={"variant": "base2", "probability_bits": 16, **BITS},
        outputs=(of(I16, 2, 3, 5), ROW, ROW, ONE_BLOCK),
    ),
    Op.CONTEXT: Case(
        inputs=(of(I16, 2, 3, 5), of(I8, 5, 6), ONE_BLOCK),
        attributes={"heads": 2, "key_block": 64},
        outputs=(of(I32, 3, 6),),
    ),
    Op.REQUANTIZE_ROWS: Case(
        inputs=(of(I32, 3, 6), ROW, ROW), attributes={"heads": 2, "zero_point": 0}, outputs=(of(I8, 3, 6),)
    ),
    Op.SELECT_TOKEN: Case(inputs=(of(I8, 4, 7),), attributes={"index": 2, "count": 1}, outputs=(of(I8, 1, 7),)),
    Op.MEAN_TOKENS: Case(
        inputs=(of(I16, 3, 7),), attributes={"multiplier": 1 << 14, "shift": 10, "first": 0}, outputs=(of(I16, 1, 7),)
    ),
    Op.OUTPUT: Case(inputs=(of(I32, 2, 3, 5),), outputs=(of(I32, 2, 3, 5),)),
}  # fmt: skip


def test_every_operation_is_in_every_table() -> None:
    assert set(SIGNATURES) == set(INFER) == set(RIGHT) == set(Op)


@pytest.mark.parametrize("op", Op)
def test_types_of_the_outputs(op: Op) -> None:
    assert RIGHT[op].infer(op) == RIGHT[op].outputs


ALSO: list[tuple[Op, dict[str, Any], TensorType]] = [
    (Op.INPUT, {"inputs": (of(I16, 9, 4, rows="r"),)}, of(I16, 9, 4, rows="r")),
    (Op.REQUANTIZE, {"attributes": {"zero_point": 0, "bits": SCORE.width}}, of(I32, 3, 7)),
    (Op.REQUANTIZE, {"attributes": {"zero_point": 0, "bits": 16}}, of(I16, 3, 7)),
    (Op.REQUANTIZE, {"inputs": (of(I32, 2, 3, 7),)}, of(I8, 2, 3, 7)),
    (Op.SOFTMAX, {"attributes": {"variant": "ita", "probability_bits": 8, **WHOLE}}, of(I8, 2, 3, 5)),
    (Op.SOFTMAX, {"attributes": {"variant": EXACT, "probability_bits": 8, **WHOLE}}, of(I32, 2, 3, 5)),
    (Op.CONTEXT, {"inputs": (of(I8, 2, 3, 5), of(I8, 5, 6), ONE_BLOCK)}, of(I32, 3, 6)),
    (Op.CONTEXT, {"inputs": (of(I8, 2, 3, 95), of(I8, 95, 6), ONE_BLOCK)}, of(I32, 3, 6)),
    (Op.CONTEXT, {"inputs": (of(I8, 2, 3, 96), of(I8, 96, 6), TWO_BLOCKS)}, of(I32, 3, 6)),
    (
        Op.CONTEXT,
        {"inputs": (of(I32, 2, 3, 96), of(I8, 96, 6), ONE_BLOCK), "attributes": {"heads": 2, "key_block": 0}},
        of(I32, 3, 6),
    ),
    (Op.CONSTANT, {"constants": {"value": zeros(I8, 1, 2)}}, of(I8, 1, 2)),
    (Op.SELECT_TOKEN, {"inputs": (of(I16, 3, 7),)}, of(I16, 1, 7)),
]


@pytest.mark.parametrize(("op", "change", "first"), ALSO)
def test_other_inputs_that_are_right(op: Op, change: dict[str, Any], first: TensorType) -> None:
    assert dataclasses.replace(RIGHT[op], **change).infer(op)[0] == first


def inputs(*types: TensorType) -> dict[str, Any]:
    return {"inputs": types}


def attribute(op: Op, **changes: Any) -> dict[str, Any]:
    return {"attributes": {**RIGHT[op].attributes, **changes}}


def values(op: Op, **changes: np.ndarray) -> dict[str, Any]:
    return {"constants": {**RIGHT[op].constants, **changes}}


WRONG: list[tuple[Op, dict[str, Any], str]] = [
    (Op.INPUT, inputs(of(I8, 4)), r"must be an image [C, H, W] or a matrix [rows, columns], not int8 [4]"),
    (Op.INPUT, inputs(of("float32", 4, 4)), "must be an image [C, H, W] or a matrix [rows, columns], not float32"),
    (Op.PATCHES, inputs(of(I8, 8, 12)), "input a must be int8 [C, H, W], not int8 [8, 12]"),
    (Op.PATCHES, inputs(of(I16, 3, 8, 12)), "input a must be int8 [C, H, W], not int16 [3, 8, 12]"),
    (Op.PATCHES, inputs(of(I8, 3, 9, 12)), "attribute patch must divide the image's height, but 4 does not divide 9"),
    (Op.PATCHES, inputs(of(I8, 3, 8, 10)), "attribute patch must divide the image's width, but 4 does not divide 10"),
    (Op.PATCHES, attribute(Op.PATCHES, patch=0), "attribute patch must be at least 1, not 0"),
    (Op.LINEAR, inputs(of(I16, 3, 5)), "input a must be int8 [T, K], not int16 [3, 5]"),
    (Op.LINEAR, inputs(of(I8, 1, 3, 5)), "input a must be int8 [T, K], not int8 [1, 3, 5]"),
    (Op.LINEAR, inputs(of(I8, 3, 6)), "constant weight must be int8 [O, 6], not int8 [7, 5]"),
    (Op.LINEAR, values(Op.LINEAR, weight=zeros(I16, 7, 5)), "constant weight must be int8 [O, 5], not int16 [7, 5]"),
    (Op.LINEAR, values(Op.LINEAR, weight=zeros(I8, 5)), "constant weight must be int8 [O, 5], not int8 [5]"),
    (Op.LINEAR, values(Op.LINEAR, bias=zeros(I32, 6)), "constant bias must be int32 [7], not int32 [6]"),
    (Op.LINEAR, values(Op.LINEAR, bias=zeros("int64", 7)), "constant bias must be int32 [7], not int64 [7]"),
    (Op.REQUANTIZE, inputs(of(I16, 3, 7)), "input a must be int32 [...], not int16 [3, 7]"),
    (Op.REQUANTIZE, inputs(of(I32)), "input a must be int32 [...], not int32 []"),
    (Op.REQUANTIZE, inputs(of(I32, 3, 6)), "constant multiplier must be int32 [6], not int32 [7]"),
    (Op.REQUANTIZE, values(Op.REQUANTIZE, shift=zeros(I32, 2)), "constant shift must be int32 [7], not int32 [2]"),
    (Op.REQUANTIZE, values(Op.REQUANTIZE, shift=zeros(I32)), "constant shift must be int32 [1], not int32 []"),
    (Op.REQUANTIZE, values(Op.REQUANTIZE, shift=zeros(I8, 1)), "constant shift must be int32 [1], not int8 [1]"),
    (Op.REQUANTIZE, attribute(Op.REQUANTIZE, bits=7), f"attribute bits must be one of 8, 16, {SCORE.width}, not 7"),
    (Op.ACTIVATION, inputs(of(I8, 3, 7)), "input a must be int16 [...], not int8 [3, 7]"),
    (Op.ACTIVATION, attribute(Op.ACTIVATION, variant="poly"), "activation.variant poly approximates GELU only"),
    (Op.ACTIVATION, attribute(Op.ACTIVATION, function="tanh"), f"activation.function must be one of {FUNCTIONS}, not"),
    (Op.RELU, inputs(of(I16, 3, 7)), "input a must be int8 [...], not int16 [3, 7]"),
    (Op.CONSTANT, values(Op.CONSTANT, value=zeros("int64", 3, 7)), "value must be int8 or int16 or int32 [T, D]"),
    (Op.CONSTANT, values(Op.CONSTANT, value=zeros(I16, 7)), "[T, D], not int16 [7]"),
    (Op.PAD_TOKENS, inputs(of(I8, 3, 7)), "input a must be int16 [T, D], not int8 [3, 7]"),
    (Op.PAD_TOKENS, inputs(of(I16, 7)), "input a must be int16 [T, D], not int16 [7]"),
    (Op.PAD_TOKENS, attribute(Op.PAD_TOKENS, count=0), "attribute count must be at least 1, not 0"),
    (Op.ADD, inputs(of(I8, 3, 7), of(I8, 3, 7)), "input a must be int16 [T, D], not int8 [3, 7]"),
    (Op.ADD, inputs(of(I16, 3, 7), of(I8, 3, 7)), "input b must be int16 [3, 7], as a is, not int8 [3, 7]"),
    (Op.ADD, inputs(of(I16, 3, 7), of(I16, 1, 7)), "input b must be int16 [3, 7], as a is, not int16 [1, 7]"),
    (Op.ADD, inputs(of(I16, 3, 7), of(I16, 7)), "input b must be int16 [3, 7], as a is, not int16 [7]"),
    (Op.ADD, inputs(of(I16, 3, 7, rows="r"), of(I16, 3, 7, rows="s")),
     "input b must be int16 [r <= 3, 7], as a is, not int16 [s <= 3, 7]"),
    (Op.LAYERNORM, inputs(of(I8, 3, 7)), "input a must be int16 [T, D], not int8 [3, 7]"),
    (Op.LAYERNORM, attribute(Op.LAYERNORM, variant="x"), "norm.variant must be one of one_pass, two_pass, exact, not"),
    (Op.LAYERNORM, values(Op.LAYERNORM, channel_shifts=zeros("uint8", 6)),
     "constant channel_shifts must be uint8 [7], not uint8 [6]"),
    (Op.RMSNORM, values(Op.RMSNORM, channel_shifts=zeros(I8, 7)),
     "constant channel_shifts must be uint8 [7], not int8 [7]"),
    (Op.RMSNORM, values(Op.RMSNORM, channel_shifts=np.arange(7, dtype=np.uint8)),
     "constant channel_shifts must be in 0..3, not 0..6"),
    (Op.RMSNORM, inputs(of(I16, 7)), "input a must be int16 [T, D], not int16 [7]"),
    (Op.RMSNORM, attribute(Op.RMSNORM, variant="x"), "norm.variant must be one of one_pass, two_pass, exact, not"),
    (Op.SCORES, inputs(of(I8, 3, 6), of(I8, 5, 4)), "input b must be int8 [keys, 6], not int8 [5, 4]"),
    (Op.SCORES, inputs(of(I16, 3, 6), of(I8, 5, 6)), "input a must be int8 [T, D], not int16 [3, 6]"),
    (Op.SCORES, inputs(of(I8, 3, 6), of(I16, 5, 6)), "input b must be int8 [keys, 6], not int16 [5, 6]"),
    (Op.SCORES, attribute(Op.SCORES, heads=4), "attribute heads must divide the columns, but 4 does not divide 6"),
    (Op.SCORES, attribute(Op.SCORES, heads=-1), "attribute heads must be at least 1, not -1"),
    (Op.SOFTMAX, inputs(of(I16, 3, 5)), "input a must be int32 [heads, T, keys], not int16 [3, 5]"),
    (Op.SOFTMAX, inputs(of(I16, 2, 3, 5)), "input a must be int32 [heads, T, keys], not int16 [2, 3, 5]"),
    (Op.SOFTMAX, attribute(Op.SOFTMAX, variant="other"), "softmax.variant must be one of base2, online, ibert, ita,"),
    (Op.SOFTMAX, attribute(Op.SOFTMAX, probability_bits=12), "softmax.probability_bits must be one of 8, 16, not 12"),
    (Op.CONTEXT, attribute(Op.CONTEXT, heads=3),
     "input a must be int8 or int16 or int32 [3, T, keys], not int16 [2, 3, 5]"),
    (Op.SOFTMAX, attribute(Op.SOFTMAX, key_block=32), "attribute key_block must be 0 or 64, not 32"),
    (Op.SOFTMAX, attribute(Op.SOFTMAX, variant="online"), "attribute key_block must be 0 with softmax online, not 64"),
    (Op.CONTEXT, attribute(Op.CONTEXT, heads=0), "attribute heads must be at least 1, not 0"),
    (Op.CONTEXT, attribute(Op.CONTEXT, key_block=32), "attribute key_block must be 0 or 64, not 32"),
    (Op.CONTEXT, inputs(of(I32, 2, 3, 5), of(I8, 5, 6), ONE_BLOCK),
     "attribute key_block must be 0 with probabilities of int32, not 64"),
    (Op.CONTEXT, inputs(of(I16, 2, 3, 96), of(I8, 96, 6), ONE_BLOCK),
     "input c must be int32 [2, 3, 2], not int32 [2, 3, 1]"),
    (Op.CONTEXT, inputs(of(I16, 2, 3, 5), of(I8, 4, 6), ONE_BLOCK), "input b must be int8 [5, D], not int8 [4, 6]"),
    (Op.CONTEXT, inputs(of(I16, 2, 3, 5), of(I16, 5, 6), ONE_BLOCK), "input b must be int8 [5, D], not int16 [5, 6]"),
    (Op.CONTEXT, inputs(of(I16, 2, 3, 5), of(I8, 5, 7), ONE_BLOCK),
     "attribute heads must divide the columns, but 2 does not"),
    (Op.REQUANTIZE_ROWS, inputs(of(I16, 3, 6), ROW, ROW), "input a must be int32 [T, D], not int16 [3, 6]"),
    (Op.REQUANTIZE_ROWS, inputs(of(I32, 4, 6), ROW, ROW), "input b must be int32 [2, 4], not int32 [2, 3]"),
    (Op.REQUANTIZE_ROWS, inputs(of(I32, 3, 6), ROW, of(I16, 2, 3)), "input c must be int32 [2, 3], not int16 [2, 3]"),
    (Op.REQUANTIZE_ROWS, attribute(Op.REQUANTIZE_ROWS, heads=3), "input b must be int32 [3, 3], not int32 [2, 3]"),
    (Op.REQUANTIZE_ROWS, attribute(Op.REQUANTIZE_ROWS, heads=4), "attribute heads must divide the columns, but 4"),
    (Op.SELECT_TOKEN, inputs(of(I8, 7)), "input a must be int8 or int16 or int32 [T, D], not int8 [7]"),
    (Op.SELECT_TOKEN, attribute(Op.SELECT_TOKEN, index=4), "attribute index must be in 0..3, not 4"),
    (Op.SELECT_TOKEN, attribute(Op.SELECT_TOKEN, count=3), "attribute count must be in 1..2, not 3"),
    (Op.MEAN_TOKENS, attribute(Op.MEAN_TOKENS, first=3), "attribute first must be in 0..2, not 3"),
    (Op.SELECT_TOKEN, attribute(Op.SELECT_TOKEN, index=-1), "attribute index must be at least 0, not -1"),
    (Op.MEAN_TOKENS, inputs(of(I8, 3, 7)), "input a must be int16 [T, D], not int8 [3, 7]"),
    (Op.MEAN_TOKENS, inputs(of(I16, 3, 7, 1)), "input a must be int16 [T, D], not int16 [3, 7, 1]"),
]  # fmt: skip


def test_every_operation_refuses_something() -> None:
    assert {op for op, _, _ in WRONG} == set(Op) - {Op.OUTPUT}, "an output may be anything"


@pytest.mark.parametrize(("op", "change", "sentence"), WRONG, ids=[f"{op}: {s}" for op, _, s in WRONG])
def test_what_is_refused_and_how(op: Op, change: dict[str, Any], sentence: str) -> None:
    with pytest.raises(GraphError) as refusal:
        dataclasses.replace(RIGHT[op], **change).infer(op)
    assert str(refusal.value).startswith(f"Node n ({op}): ")
    assert sentence in str(refusal.value)


@pytest.mark.parametrize("op", Op)
def test_the_number_of_inputs(op: Op) -> None:
    case = RIGHT[op]
    for types in ((*case.inputs, ROW), case.inputs[:-1]):
        if len(types) != len(case.inputs):
            with pytest.raises(
                GraphError, match=rf"Node n \({op}\): takes the types of {len(case.inputs)} tensors"
            ):
                infer(case.node(op), types)


ROWS: dict[Op, str] = {
    Op.INPUT: "kept",
    Op.PATCHES: "no matrix",
    Op.LINEAR: "kept",
    Op.REQUANTIZE: "kept",
    Op.ACTIVATION: "kept",
    Op.RELU: "kept",
    Op.CONSTANT: "no input",
    Op.PAD_TOKENS: "refused",
    Op.ADD: "kept",
    Op.LAYERNORM: "kept",
    Op.RMSNORM: "kept",
    Op.SCORES: "refused",
    Op.SOFTMAX: "no matrix",
    Op.CONTEXT: "refused",
    Op.REQUANTIZE_ROWS: "refused",
    Op.SELECT_TOKEN: "fixed",
    Op.MEAN_TOKENS: "refused",
    Op.OUTPUT: "kept",
}
"""What becomes of a number of rows that comes from data."""


@pytest.mark.parametrize("op", Op)
def test_rows_from_data(op: Op) -> None:
    case = RIGHT[op]
    if op in (Op.INPUT, Op.OUTPUT):
        case = Case(inputs=(of(I8, 3, 7),), outputs=(of(I8, 3, 7),))
    matrices = [t for t in case.inputs if len(t.shape) == 2]
    if ROWS[op].startswith("no"):
        assert not matrices
        return
    from_data = tuple(dataclasses.replace(t, rows_from="r") if t in matrices else t for t in case.inputs)
    routed = dataclasses.replace(case, inputs=from_data)
    if ROWS[op] == "refused":
        with pytest.raises(
            GraphError, match=rf"\({op}\): input \w must have a constant number of rows, not .*\[r <="
        ):
            routed.infer(op)
    else:
        expected = "r" if ROWS[op] == "kept" else None
        assert routed.infer(op) == tuple(dataclasses.replace(t, rows_from=expected) for t in case.outputs)


def test_a_second_operand_with_rows_from_data_is_refused_too() -> None:
    for op in (Op.SCORES, Op.CONTEXT):
        first, second, *others = RIGHT[op].inputs
        routed = inputs(first, dataclasses.replace(second, rows_from="r"), *others)
        with pytest.raises(GraphError, match="input b must have a constant number of rows"):
            dataclasses.replace(RIGHT[op], **routed).infer(op)


GRAPHS = [
    Sizes(depth=1),
    Sizes(depth=1, class_token=False, nonlinearity="relu", centred=False),
    Sizes(depth=1, softmax=SoftmaxConfig(variant=EXACT)),
]


def nodes_of(op: Op) -> list[tuple[Graph, Node]]:
    """The first node of the operation in each graph that has one."""
    found = []
    for sizes in GRAPHS:
        graph = random_graph(sizes)
        found += [(graph, node) for node in graph if node.op is op][:1]
    return found


@pytest.mark.parametrize("op", Op)
def test_a_fault_in_a_tensor_entry_is_found(op: Op) -> None:
    """Each output's dtype, each of its sizes, its rank and its rows, one at a time: the node that makes it is named."""
    cases = nodes_of(op)
    assert cases, "no graph has the operation"
    for graph, node in cases:
        for name in node.outputs:
            entry = graph.tensors[name]
            faults = [
                {"dtype": next(dtype for dtype in DTYPE_BITS if dtype != entry.dtype)},
                {"shape": (*entry.shape, 1)},
                *({"shape": tuple(s + (i == k) for i, s in enumerate(entry.shape))} for k in range(len(entry.shape))),
                *([{"rows_from": "r"}] if len(entry.shape) == 2 else []),
            ]  # fmt: skip
            # What an input is, nothing but its entry says: the node that reads it may be the one to object.
            makers = {node.name} if op is not Op.INPUT else {"input", "patches"}
            for fault in faults:
                wrong = {**graph.tensors, name: dataclasses.replace(entry, **fault)}
                with pytest.raises(GraphError) as refusal:
                    dataclasses.replace(graph, tensors=wrong)
                assert str(refusal.value).split()[1] in makers, (fault, str(refusal.value))


def test_the_sentence_about_a_wrong_entry() -> None:
    graph = random_graph(Sizes())
    wrong = {**graph.tensors, "logits": dataclasses.replace(graph.output, shape=(1, 11))}
    with pytest.raises(
        GraphError,
        match=r"Node output \(output\): makes logits int16 \[1, 10\], but its tensor entry says int16 \[1, 11\]",
    ):
        dataclasses.replace(graph, tensors=wrong)


def test_a_width_of_probabilities_that_contradicts_its_tensor() -> None:
    graph = random_graph(Sizes())
    nodes = tuple(
        dataclasses.replace(node, attributes={**node.attributes, "probability_bits": 16})
        if node.op is Op.SOFTMAX
        else node
        for node in graph
    )
    with pytest.raises(
        GraphError,
        match=r"Node blocks.0.attn.softmax \(softmax\): makes blocks.0.attn.p int16 .*, but its tensor entry says int8",
    ):
        dataclasses.replace(graph, nodes=nodes)
