"""Types of an operation's outputs from the types of its inputs, its attributes and its constants.

An operation on rows keeps its input's number of rows, constant or from data; where one fixes or changes the number, or
needs a constant one, its docstring says so. Values are not looked at, beside those that sizes follow from and those
that other nodes have folded in (the channel shifts of a norm): what a multiplier, a shift or a zero point may be is for
who computes with it to say.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from vitreous.spec.config import ActivationConfig, ConfigError, NormConfig, SoftmaxConfig
from vitreous.spec.graph.expect import (
    ANY_SHAPE,
    constant,
    constant_rows,
    constant_within,
    divisor,
    least,
    operand,
)
from vitreous.spec.graph.node import DTYPE_BITS, Node, Op, Rows, TensorType, matrix
from vitreous.spec.limits import KEY_BLOCK
from vitreous.spec.numbers import CHANNEL_SHIFT_MAX, SCORE
from vitreous.spec.softmax import key_blocks
from vitreous.spec.variants import SOFTMAXES

Types = tuple[TensorType, ...]
Inputs = Sequence[TensorType]

SCORE_DTYPE = next(dtype for dtype, bits in DTYPE_BITS.items() if bits >= SCORE.width)
"""The narrowest that holds an attention score."""
RESULT_DTYPES = {SCORE.width: SCORE_DTYPE, 8: "int8", 16: "int16"}
"""Of a requantization, by its bits."""
PROBABILITY_DTYPES = {8: "int8", 16: "int16"}
"""Of probabilities, by their bits; the ``exact`` ones are int32."""


def infer(node: Node, inputs: Inputs) -> Types:
    """The types of ``node``'s outputs, in order. An INPUT takes the type of its own entry, which nothing else says.

    Raises GraphError that names the node, its operation and what would be right, where ``inputs``, attributes and
    constants do not fit together.
    """
    expected = 1 if node.op is Op.INPUT else len(node.inputs)
    if len(inputs) != expected:
        raise node.error(f"takes the types of {expected} tensors, not of {len(inputs)}")
    return INFER[node.op](node, inputs)


def probability_dtype(config: SoftmaxConfig) -> str:
    """The dtype of the probabilities that ``config`` makes."""
    planes = SOFTMAXES[config.variant].planes
    return PROBABILITY_DTYPES[config.probability_bits] if planes else "int32"


def _input(node: Node, inputs: Inputs) -> Types:
    """An image [C, H, W] or a matrix, which alone may have its number of rows from data."""
    (entry,) = inputs
    if entry.dtype not in DTYPE_BITS or len(entry.shape) not in (2, 3):
        raise node.error(f"must be an image [C, H, W] or a matrix [rows, columns], not {entry}")
    return (entry,)


def _patches(node: Node, inputs: Inputs) -> Types:
    """int8 [C, H, W] -> int8 [H/p * W/p, C*p*p]."""
    channels, height, width = operand(node, inputs, 0, "int8", ("C", "H", "W")).shape
    patch = divisor(node, "patch", height, "the image's height")
    divisor(node, "patch", width, "the image's width")
    count = (height // patch) * (width // patch)
    return (matrix("int8", Rows(count), channels * patch * patch),)


def _linear(node: Node, inputs: Inputs) -> Types:
    """int8 [T, K]; weight int8 [O, K], bias int32 [O] -> int32 [T, O]."""
    x = operand(node, inputs, 0, "int8", ("T", "K"))
    columns = constant(node, "weight", "int8", ("O", x.shape[1])).shape[0]
    constant(node, "bias", "int32", (columns,))
    return (matrix("int32", x.rows, columns),)


def _requantize(node: Node, inputs: Inputs) -> Types:
    """int32 [..., O]; multiplier and shift int32 [O] or [1] -> ``RESULT_DTYPES`` of ``bits``, same shape."""
    x = operand(node, inputs, 0, "int32", ANY_SHAPE)
    for name in ("multiplier", "shift"):
        count = node.constants[name].size
        constant(node, name, "int32", (1,) if count == 1 else (x.shape[-1],))
    bits = node.integer("bits")
    if bits not in RESULT_DTYPES:
        raise node.error(
            f"attribute bits must be one of {', '.join(map(str, sorted(RESULT_DTYPES)))}, not {bits}"
        )
    return (replace(x, dtype=RESULT_DTYPES[bits]),)


def _activation(node: Node, inputs: Inputs) -> Types:
    """int16, Q6.10 -> int32, Q6.fraction_bits, of the same shape."""
    x = operand(node, inputs, 0, "int16", ANY_SHAPE)
    _configured(node, ActivationConfig, node.attributes)
    return (replace(x, dtype="int32"),)


def _relu(node: Node, inputs: Inputs) -> Types:
    """int8 -> int8 of the same shape."""
    return (operand(node, inputs, 0, "int8", ANY_SHAPE),)


def _constant(node: Node, inputs: Inputs) -> Types:
    """Whatever integers ``value`` holds, [rows, columns]."""
    return (constant(node, "value", tuple(DTYPE_BITS), ("T", "D")),)


def _pad_tokens(node: Node, inputs: Inputs) -> Types:
    """int16 [T, D] -> int16 [count + T, D]: changes the number of rows, which must be constant."""
    x = operand(node, inputs, 0, "int16", ("T", "D"))
    constant_rows(node, inputs)
    return (matrix("int16", Rows(least(node, "count", 1) + x.shape[0]), x.shape[1]),)


def _add(node: Node, inputs: Inputs) -> Types:
    """int16 twice, of one shape and number of rows -> the same."""
    first = operand(node, inputs, 0, "int16", ("T", "D"))
    if inputs[1] != first:
        raise node.error(f"input {node.inputs[1]} must be {first}, as {node.inputs[0]} is, not {inputs[1]}")
    return (first,)


def _norm(node: Node, inputs: Inputs) -> Types:
    """int16 [T, D]; channel_shifts uint8 [D], 0..3 -> int8 [T, D]."""
    x = operand(node, inputs, 0, "int16", ("T", "D"))
    constant(node, "channel_shifts", "uint8", (x.shape[1],))
    constant_within(node, "channel_shifts", 0, CHANNEL_SHIFT_MAX)
    _configured(node, NormConfig, {"variant": node.attributes["variant"]})
    return (replace(x, dtype="int8"),)


def _scores(node: Node, inputs: Inputs) -> Types:
    """int8 q [T, heads*d], k [keys, heads*d], of constant numbers of rows -> int32 [heads, T, keys]."""
    q = operand(node, inputs, 0, "int8", ("T", "D"))
    k = operand(node, inputs, 1, "int8", ("keys", q.shape[1]))
    constant_rows(node, inputs)
    heads = divisor(node, "heads", q.shape[1], "the columns")
    return (TensorType("int32", (heads, q.shape[0], k.shape[0])),)


def _softmax(node: Node, inputs: Inputs) -> Types:
    """Scores [heads, T, keys] -> p of the same shape, int8 or int16 by ``probability_bits`` (int32 if exact); row
    multiplier and row shift int32 [heads, T]; maxima of the blocks of keys, int32 [heads, T, blocks].
    """
    t = operand(node, inputs, 0, SCORE_DTYPE, ("heads", "T", "keys"))
    names = ("variant", "fraction_bits", "probability_bits")
    config = _configured(node, SoftmaxConfig, {name: node.attributes[name] for name in names})
    block = _key_block(node)
    if block and not SOFTMAXES[config.variant].blocks:
        raise node.error(f"attribute key_block must be 0 with softmax {config.variant}, not {block}")
    rows = TensorType("int32", t.shape[:2])
    maxima = TensorType("int32", (*t.shape[:2], len(key_blocks(t.shape[2], block))))
    return replace(t, dtype=probability_dtype(config)), rows, rows, maxima


def _key_block(node: Node) -> int:
    """Keys of a block of a score row; 0: the row is one block."""
    block = node.integer("key_block")
    if block not in (0, KEY_BLOCK):
        raise node.error(f"attribute key_block must be 0 or {KEY_BLOCK}, not {block}")
    return block


def _context(node: Node, inputs: Inputs) -> Types:
    """Any p [heads, T, keys], int8 v [keys, heads*d] of a constant number of rows, int32 maxima [heads, T, blocks] ->
    int32 [T, heads*d].
    """
    heads = least(node, "heads", 1)
    p = operand(node, inputs, 0, tuple(DTYPE_BITS), (heads, "T", "keys"))
    v = operand(node, inputs, 1, "int8", (p.shape[2], "D"))
    block = _key_block(node)
    if block and p.dtype == "int32":
        raise node.error(f"attribute key_block must be 0 with probabilities of int32, not {block}")
    operand(node, inputs, 2, "int32", (heads, p.shape[1], len(key_blocks(p.shape[2], block))))
    constant_rows(node, inputs)
    divisor(node, "heads", v.shape[1], "the columns")
    return (matrix("int32", Rows(p.shape[1]), v.shape[1]),)


def _requantize_rows(node: Node, inputs: Inputs) -> Types:
    """int32 [T, heads*d], a constant number of rows; multiplier, shift int32 [heads, T] -> int8 [T, heads*d]."""
    acc = operand(node, inputs, 0, "int32", ("T", "D"))
    constant_rows(node, inputs)
    heads = divisor(node, "heads", acc.shape[1], "the columns")
    for index in (1, 2):
        operand(node, inputs, index, "int32", (heads, acc.shape[0]))
    return (replace(acc, dtype="int8"),)


def _select_token(node: Node, inputs: Inputs) -> Types:
    """[T, D] -> [count, D] of the same dtype: fixes the number of rows. Where T comes from data, it is the interpreter
    that refuses a row that is not there.
    """
    x = operand(node, inputs, 0, tuple(DTYPE_BITS), ("T", "D"))
    index = least(node, "index", 0)
    if index >= x.shape[0]:
        raise node.error(f"attribute index must be in 0..{x.shape[0] - 1}, not {index}")
    count = least(node, "count", 1)
    if index + count > x.shape[0]:
        raise node.error(f"attribute count must be in 1..{x.shape[0] - index}, not {count}")
    return (matrix(x.dtype, Rows(count), x.shape[1]),)


def _mean_tokens(node: Node, inputs: Inputs) -> Types:
    """int16 [T, D] -> int16 [1, D]: fixes the number of rows. T must be constant, for the inverse of how many there are
    from ``first`` on is.
    """
    x = operand(node, inputs, 0, "int16", ("T", "D"))
    first = least(node, "first", 0)
    if first >= x.shape[0]:
        raise node.error(f"attribute first must be in 0..{x.shape[0] - 1}, not {first}")
    constant_rows(node, inputs)
    return (matrix("int16", Rows(1), x.shape[1]),)


def _output(node: Node, inputs: Inputs) -> Types:
    """Any tensor -> the same."""
    return tuple(inputs)


def _configured(node: Node, kind: type[Any], values: Any) -> Any:
    """The attributes as the configuration of a unit, which knows what they may be."""
    try:
        return kind(**values)
    except ConfigError as error:
        raise node.error(str(error)) from None


INFER: dict[Op, Callable[[Node, Inputs], Types]] = {
    Op.INPUT: _input,
    Op.PATCHES: _patches,
    Op.LINEAR: _linear,
    Op.REQUANTIZE: _requantize,
    Op.ACTIVATION: _activation,
    Op.RELU: _relu,
    Op.CONSTANT: _constant,
    Op.PAD_TOKENS: _pad_tokens,
    Op.ADD: _add,
    Op.LAYERNORM: _norm,
    Op.RMSNORM: _norm,
    Op.SCORES: _scores,
    Op.SOFTMAX: _softmax,
    Op.CONTEXT: _context,
    Op.REQUANTIZE_ROWS: _requantize_rows,
    Op.SELECT_TOKEN: _select_token,
    Op.MEAN_TOKENS: _mean_tokens,
    Op.OUTPUT: _output,
}
