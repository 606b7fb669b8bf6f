"""Nodes and tensors of an integer graph under construction."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from vitreous.quant.errors import QuantError
from vitreous.spec.graph import Node, Op, Tensor
from vitreous.spec.graph.infer import RESULT_DTYPES
from vitreous.spec.numbers import NumberError, quantize_multiplier


class Scale(NamedTuple):
    """``value = step * (integer - zero_point)``; step 0 where there is no single one."""

    step: float = 0.0
    zero_point: int = 0


class Builder:
    """Members: ``nodes`` and ``tensors``, as ``spec.graph.Graph`` takes them."""

    def __init__(self) -> None:
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}

    def tensor(self, name: str, dtype: str, shape: tuple[int, ...], scale: Scale = Scale()) -> str:
        """Declare a tensor and return its name."""
        step, zero_point = scale
        self.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape, scale=step, zero_point=zero_point)
        return name

    def format(self, name: str) -> Scale:
        """The format of a tensor that has been declared."""
        entry = self.tensors[name]
        return Scale(entry.scale, entry.zero_point)

    def node(
        self,
        op: Op,
        name: str,
        layer: str,
        inputs: tuple[str, ...],
        outputs: tuple[str, ...],
        constants: dict[str, np.ndarray[Any, Any]] | None = None,
        **attributes: int | float | str,
    ) -> str:
        """Add a node and return its first output."""
        self.nodes.append(
            Node(
                op=op,
                name=name,
                inputs=inputs,
                outputs=outputs,
                attributes=attributes,
                constants=constants or {},
                layer=layer,
            )
        )
        return outputs[0]

    def requantize(
        self, layer: str, accumulators: str, name: str, factors: list[float], bits: int, scale: Scale
    ) -> str:
        """Multiply accumulators by ``factors`` (one, or one for each channel) into ``bits`` bits.

        Raises QuantError that names the channel whose factor no multiplier and shift can hold.
        """
        pairs = []
        for channel, factor in enumerate(factors):
            try:
                pairs.append(quantize_multiplier(factor))
            except NumberError as error:
                where = f" output channel {channel}:" if len(factors) > 1 else ""
                raise QuantError(f"{name}:{where} {error}") from None
        multiplier, shift = zip(*pairs, strict=True)
        output = self.tensor(name, RESULT_DTYPES[bits], self.tensors[accumulators].shape, scale)
        constants = {"multiplier": np.array(multiplier, np.int32), "shift": np.array(shift, np.int32)}
        return self.node(
            Op.REQUANTIZE,
            name,
            layer,
            (accumulators,),
            (output,),
            constants,
            zero_point=scale.zero_point,
            bits=bits,
        )
