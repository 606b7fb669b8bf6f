"""The parts of a graph: operations and what each takes, types of tensors, tensors, nodes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

import numpy as np

from vitreous.spec.errors import VitreousError


class GraphError(VitreousError, ValueError):
    """A graph that is malformed; the sentence names the node."""


class Op(StrEnum):
    """Every operation of an integer graph; ``SIGNATURES`` says what each takes, ``infer`` what each makes of it."""

    INPUT = "input"
    PATCHES = "patches"
    LINEAR = "linear"
    REQUANTIZE = "requantize"
    ACTIVATION = "activation"
    RELU = "relu"
    CONSTANT = "constant"
    PAD_TOKENS = "pad_tokens"
    ADD = "add"
    LAYERNORM = "layernorm"
    RMSNORM = "rmsnorm"
    SCORES = "scores"
    SOFTMAX = "softmax"
    CONTEXT = "context"
    REQUANTIZE_ROWS = "requantize_rows"
    SELECT_TOKEN = "select_token"
    MEAN_TOKENS = "mean_tokens"
    OUTPUT = "output"


@dataclass(frozen=True)
class Signature:
    """What a node of an operation must have: inputs (tensor names in this order), attributes and their types,
    constants, and the number of outputs.
    """

    inputs: int
    attributes: Mapping[str, type] = field(default_factory=dict)
    constants: tuple[str, ...] = ()
    outputs: int = 1


_NORM: dict[str, type] = {"variant": str, "multiplier": int, "shift": int, "epsilon": int, "zero_point": int}

SIGNATURES: dict[Op, Signature] = {
    Op.INPUT: Signature(0),
    Op.PATCHES: Signature(1, {"patch": int}),
    Op.LINEAR: Signature(1, {"input_zero_point": int}, ("weight", "bias")),
    Op.REQUANTIZE: Signature(1, {"zero_point": int, "bits": int}, ("multiplier", "shift")),
    Op.ACTIVATION: Signature(
        1,
        {
            "function": str,
            "variant": str,
            "step_bits": int,
            "range": float,
            "fraction_bits": int,
            "interpolate": bool,
        },
    ),
    Op.RELU: Signature(1, {"zero_point": int}),
    Op.CONSTANT: Signature(0, {}, ("value",)),
    Op.PAD_TOKENS: Signature(1, {"count": int}),
    Op.ADD: Signature(2),
    Op.LAYERNORM: Signature(1, _NORM, ("channel_shifts",)),
    Op.RMSNORM: Signature(1, _NORM, ("channel_shifts",)),
    Op.SCORES: Signature(2, {"heads": int}),
    Op.SOFTMAX: Signature(
        1,
        {
            "variant": str,
            "fraction_bits": int,
            "probability_bits": int,
            "key_block": int,
            "multiplier": int,
            "shift": int,
        },
        outputs=4,
    ),
    Op.CONTEXT: Signature(3, {"heads": int, "key_block": int}),
    Op.REQUANTIZE_ROWS: Signature(3, {"heads": int, "zero_point": int}),
    Op.SELECT_TOKEN: Signature(1, {"index": int, "count": int}),
    Op.MEAN_TOKENS: Signature(1, {"multiplier": int, "shift": int, "first": int}),
    Op.OUTPUT: Signature(1),
}

DTYPE_BITS = {"int8": 8, "int16": 16, "int32": 32}
"""Every dtype of a tensor, and its width."""
_KINDS = {int: "an integer", float: "a number", str: "a string", bool: "true or false"}


@dataclass(frozen=True)
class Rows:
    """The number of rows of a matrix.

    bound : how many there are, or how many there can be where it is data that says it.
    source : None for a constant number; else the name of the value that gives the actual one, 0..bound, at run time.
        Tensors whose rows have the same source have equally many.
    """

    bound: int
    source: str | None = None

    def __str__(self) -> str:
        return str(self.bound) if self.source is None else f"{self.source} <= {self.bound}"


@dataclass(frozen=True)
class TensorType:
    """What ``infer`` says of a tensor.

    shape : sizes; where the rows come from data, the first is their bound, so that buffers can be sized.
    rows_from : ``Rows.source`` of a matrix ``[rows, columns]``; None for any other tensor.
    """

    dtype: str
    shape: tuple[int, ...]
    rows_from: str | None = None

    @property
    def rows(self) -> Rows:
        """Of a matrix."""
        return Rows(self.shape[0], self.rows_from)

    def __str__(self) -> str:
        sizes = [str(self.rows), *map(str, self.shape[1:])] if self.shape else []
        return f"{self.dtype} [{', '.join(sizes)}]"


def matrix(dtype: str, rows: Rows, columns: int) -> TensorType:
    """The type of a matrix of ``rows``."""
    return TensorType(dtype, (rows.bound, columns), rows.source)


@dataclass(frozen=True, kw_only=True)
class Tensor:
    """A tensor of the graph, its own number format beside it: ``value = scale * (integer - zero_point)``.

    shape, rows_from : as ``TensorType``. scale : 0 where no single real scale exists; of a norm's result that of a
    channel which is not shifted: ``scale * 2**channel_shifts[c]`` is that of channel c.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    scale: float = 0.0
    zero_point: int = 0
    rows_from: str | None = None

    def __post_init__(self) -> None:
        if self.dtype not in DTYPE_BITS:
            raise GraphError(
                f"Tensor {self.name}: dtype must be one of {', '.join(DTYPE_BITS)}, not {self.dtype!r}"
            )
        if any(not isinstance(size, int) or size < 1 for size in self.shape):
            raise GraphError(f"Tensor {self.name}: every size must be a positive integer, not {self.shape}")
        if self.rows_from is not None and (
            not isinstance(self.rows_from, str) or not self.rows_from or len(self.shape) != 2
        ):
            raise GraphError(
                f"Tensor {self.name}: rows_from must name a value, and the tensor must be a matrix [rows, columns], "
                f"not {self.rows_from!r} and {list(self.shape)}"
            )

    @property
    def type(self) -> TensorType:
        return TensorType(self.dtype, self.shape, self.rows_from)

    @property
    def bits(self) -> int:
        """Width of a value."""
        return DTYPE_BITS[self.dtype]

    @property
    def rows(self) -> Rows:
        """Of a matrix."""
        return self.type.rows


@dataclass(frozen=True, kw_only=True)
class Node:
    """One operation. ``layer`` is the module path in the user's model that it comes from."""

    op: Op
    name: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    attributes: Mapping[str, int | float | str | bool] = field(default_factory=dict)
    constants: Mapping[str, np.ndarray] = field(default_factory=dict)
    layer: str = ""

    def __post_init__(self) -> None:
        signature = SIGNATURES[self.op]
        if len(self.inputs) != signature.inputs:
            raise self.error(f"takes {signature.inputs} inputs, not {len(self.inputs)}")
        if len(self.outputs) != signature.outputs:
            raise self.error(f"has {signature.outputs} outputs, not {len(self.outputs)}")
        if set(self.attributes) != set(signature.attributes):
            raise self.error(
                f"attributes must be {sorted(signature.attributes)}, not {sorted(self.attributes)}"
            )
        if set(self.constants) != set(signature.constants):
            raise self.error(f"constants must be {sorted(signature.constants)}, not {sorted(self.constants)}")
        for name, kind in signature.attributes.items():
            if not _is(self.attributes[name], kind):
                raise self.error(f"attribute {name} must be {_KINDS[kind]}, not {self.attributes[name]!r}")

    def error(self, sentence: str) -> GraphError:
        """For raising: what is wrong with this node."""
        return GraphError(f"Node {self.name} ({self.op}): {sentence}")

    def integer(self, name: str) -> int:
        """An attribute that is an integer. Raises GraphError where it is not."""
        value = self.attributes[name]
        if not isinstance(value, int):
            raise self.error(f"attribute {name} must be an integer, not {value!r}")
        return value


def _is(value: object, kind: type) -> bool:
    """Python holds True for an integer and 4 for no float; an attribute does not."""
    if isinstance(value, bool):
        return kind is bool
    return isinstance(value, (int, float) if kind is float else kind)
