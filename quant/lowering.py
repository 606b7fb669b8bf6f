"""From a recognized float encoder and its scales to the integer graph.

Every real factor between two integer tensors becomes one ``spec.numbers.quantize_multiplier``; docs/numerics.md says what
each operation computes with it. The accumulator of ``<name>`` is the tensor ``<name>.acc``, its requantized value is ``<name>``.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch

from vitreous.quant.errors import QuantError
from vitreous.quant.observers import weight_scales
from vitreous.quant.scales import Scales
from vitreous.quant.scheme import QuantScheme
from vitreous.quant.sources import (
    Activation,
    Add,
    Attention,
    Encoder,
    Image,
    Linear,
    Mean,
    Norm,
    Patches,
    Select,
    Source,
    Start,
)
from vitreous.spec.config import GeluConfig, SoftmaxConfig
from vitreous.spec.graph import Node, Op, Tensor
from vitreous.spec.numbers import GELU_INPUT, SHIFT_MAX, SHIFT_MIN, NumberError, quantize_multiplier

# A weight scale below this share of the output's step adds nothing to a sum of 2**31: it is raised to here, which keeps
# the multiplier's shift in its field for channels of (almost) zero weights.
_LEAST_FACTOR = 2.0**-31
# A bias may fill this much of the 32-bit accumulator; a larger one raises its channel's scale.
_LARGEST_BIAS = 2**29
_ACCUMULATOR = 2**31


class Lowering:
    """Builds the nodes and tensors of one graph, source by source.

    Members: ``nodes`` and ``tensors`` as ``spec.graph.Graph`` takes them, complete after ``run``.
    """

    def __init__(
        self, encoder: Encoder, scales: Scales, scheme: QuantScheme, softmax: SoftmaxConfig, gelu: GeluConfig
    ) -> None:
        self.encoder, self.scales, self.scheme = encoder, scales, scheme
        self.softmax, self.gelu = softmax, gelu
        self.nodes: list[Node] = []
        self.tensors: dict[str, Tensor] = {}
        self._names: dict[int, str] = {}
        self._users: dict[int, list[Source]] = {}
        for source in encoder.sources:
            for part in source.inputs:
                self._users.setdefault(part.serial, []).append(source)

    def run(self) -> None:
        """Lower everything. Raises QuantError when a number does not fit its format."""
        for source in self.encoder.sources:
            self._names[source.serial] = self._lower(source)
        logits = self._names[self.encoder.logits.serial]
        shape = self.tensors[logits].shape
        self._emit(Op.OUTPUT, "output", (logits,), "int16", shape, self.scales.logits, layer="")

    def _emit(
        self,
        op: Op,
        name: str,
        inputs: tuple[str, ...],
        dtype: str,
        shape: tuple[int, ...],
        scale: float = 0.0,
        zero_point: int = 0,
        *,
        layer: str,
        attributes: dict[str, int | float | str] | None = None,
        constants: dict[str, np.ndarray[Any, Any]] | None = None,
    ) -> str:
        """Add a node with one output of its own name."""
        self.tensors[name] = Tensor(name=name, dtype=dtype, shape=shape, scale=scale, zero_point=zero_point)
        self.nodes.append(
            Node(
                op=op,
                name=name,
                inputs=inputs,
                outputs=(name,),
                attributes=attributes or {},
                constants=constants or {},
                layer=layer,
            )
        )
        return name

    def _name(self, source: Source) -> str:
        return self._names[source.serial]

    def _lower(self, source: Source) -> str:
        name, layer = self.encoder.name(source), source.layer
        step = self.scales.residual
        shape = (source.tokens, source.width)
        if isinstance(source, Image):
            scale, zero_point = self.scales.of(source)
            return self._emit(Op.INPUT, name, (), "int8", source.shape, scale, zero_point, layer=layer)
        if isinstance(source, Patches):
            scale, zero_point = self.scales.of(source.image)
            inputs, attributes = (self._name(source.image),), {"patch": source.patch}
            return self._emit(
                Op.PATCHES,
                name,
                inputs,
                "int8",
                shape,
                scale,
                zero_point,
                layer=layer,
                attributes=dict(attributes),
            )
        if isinstance(source, Linear):
            return self._linear(source, name)
        if isinstance(source, Start):
            return self._start(source, name)
        if isinstance(source, Add):
            inputs = (self._name(source.residual), self._name(source.branch))
            return self._emit(Op.ADD, name, inputs, "int16", shape, step, layer=layer)
        if isinstance(source, Norm):
            return self._norm(source, name)
        if isinstance(source, Activation):
            return self._activation(source, name)
        if isinstance(source, Attention):
            return self._attention(source, name)
        if isinstance(source, Select):
            inputs = (self._name(source.input),)
            attributes = {"index": source.index}
            return self._emit(
                Op.SELECT_TOKEN, name, inputs, "int16", shape, step, layer=layer, attributes=dict(attributes)
            )
        assert isinstance(source, Mean), source
        return self._mean(source, name)

    def _input_scale(self, source: Source) -> tuple[float, int]:
        return self.scales.of(source.image if isinstance(source, Patches) else source)

    def _output_of(self, source: Linear) -> tuple[int, float, int]:
        """Bits, scale and zero point of what a linear layer's accumulators become."""
        if source is self.encoder.logits:
            return 16, self.scales.logits, 0
        (user,) = self._users[source.serial] if len(self._users[source.serial]) == 1 else (None,)
        if isinstance(user, Activation):
            return (
                (16, 2.0**-GELU_INPUT.fraction, 0) if user.function == "gelu" else (8, *self.scales.of(user))
            )
        if isinstance(user, Attention) or user is None:
            return 8, *self.scales.of(source)
        return 16, self.scales.residual, 0

    def _linear(self, source: Linear, name: str) -> str:
        input_scale, input_zero_point = self._input_scale(source.input)
        bits, scale, zero_point = self._output_of(source)
        weight_scale = self._weight_scale(source, input_scale, scale)
        weight = (source.weight / weight_scale[:, None] + 0.5).floor().clamp(-127, 127)
        bias = (source.bias / (weight_scale * input_scale) + 0.5).floor()
        self._check_accumulator(name, weight, bias, input_zero_point)
        shape = (source.tokens, source.width)
        self._emit(
            Op.LINEAR,
            f"{name}.acc",
            (self._name(source.input),),
            "int32",
            shape,
            layer=source.layer,
            attributes={"input_zero_point": input_zero_point},
            constants={"weight": weight.numpy().astype(np.int8), "bias": bias.numpy().astype(np.int32)},
        )
        factors = (weight_scale * input_scale / scale).tolist()
        return self._requantize(f"{name}.acc", name, factors, bits, scale, zero_point, source.layer)

    def _weight_scale(self, source: Linear, input_scale: float, output_scale: float) -> torch.Tensor:
        scales = weight_scales(source.weight, self.scheme.observer)
        for_bias = source.bias.abs() / (input_scale * _LARGEST_BIAS)
        return torch.maximum(scales, for_bias).clamp(min=_LEAST_FACTOR * output_scale / input_scale)

    def _check_accumulator(
        self, name: str, weight: torch.Tensor, bias: torch.Tensor, zero_point: int
    ) -> None:
        total = weight.abs().sum(1)
        before = bias.abs() + 255 * total
        after = (bias - zero_point * weight.sum(1)).abs() + 128 * total
        worst = torch.maximum(before, after)
        channel = int(worst.argmax())
        if float(worst[channel]) >= _ACCUMULATOR:
            raise QuantError(
                f"{name}: output channel {channel} can reach {float(worst[channel]):.4g} in its accumulator, which has 32 bits"
            )

    def _requantize(
        self,
        inputs: str,
        name: str,
        factors: list[float],
        bits: int,
        scale: float,
        zero_point: int,
        layer: str,
    ) -> str:
        """Multiply accumulators by ``factors`` (one, or one a channel) into ``bits`` bits."""
        pairs = []
        for channel, factor in enumerate(factors):
            try:
                pairs.append(quantize_multiplier(factor))
            except NumberError as error:
                where = f"output channel {channel}" if len(factors) > 1 else "the tensor"
                raise QuantError(f"{name}: {where}: {error}") from None
        multiplier, shift = zip(*pairs, strict=True)
        return self._emit(
            Op.REQUANTIZE,
            name,
            (inputs,),
            "int8" if bits == 8 else "int16",
            self.tensors[inputs].shape,
            scale,
            zero_point,
            layer=layer,
            attributes={"zero_point": zero_point, "bits": bits},
            constants={"multiplier": np.array(multiplier, np.int32), "shift": np.array(shift, np.int32)},
        )

    def _start(self, source: Start, name: str) -> str:
        step, shape = self.scales.residual, (source.tokens, source.width)
        patches = self._name(source.embedding)
        if source.prefix:
            patches = self._emit(
                Op.PAD_TOKENS,
                f"{name}.pad",
                (patches,),
                "int16",
                shape,
                step,
                layer=source.layer,
                attributes={"count": source.prefix},
            )
        value = (source.constant / step + 0.5).floor().clamp(-(2**15), 2**15 - 1).numpy().astype(np.int16)
        constant = self._emit(
            Op.CONSTANT,
            f"{name}.constant",
            (),
            "int16",
            shape,
            step,
            layer=source.layer,
            constants={"value": value},
        )
        return self._emit(Op.ADD, name, (constant, patches), "int16", shape, step, layer=source.layer)

    def _norm(self, source: Norm, name: str) -> str:
        scale, zero_point = self.scales.of(source)
        multiplier, shift = self._output_factor(name, 1 / scale, 1, 28)
        epsilon = max(1, round(source.eps * source.width**2 / self.scales.residual**2))
        if epsilon >= 2**32:
            raise QuantError(f"{name}: eps {source.eps:g} is too large for the residual stream's scale")
        if source.width > 4096:
            raise QuantError(f"{name}: a layer norm over {source.width} channels; at most 4096 are supported")
        return self._emit(
            Op.LAYERNORM,
            name,
            (self._name(source.input),),
            "int8",
            (source.tokens, source.width),
            scale,
            zero_point,
            layer=source.layer,
            attributes={
                "multiplier": multiplier,
                "shift": shift,
                "epsilon": epsilon,
                "zero_point": zero_point,
            },
        )

    def _output_factor(self, name: str, factor: float, least: int, most: int) -> tuple[int, int]:
        """``(m_o, s_o)``, whose row shift ``s_o + least - 1 .. s_o + most`` must stay in the field of a shift.

        A row's own shift is added by the machine, and normalizing its multiplier may take 1 off again.
        """
        try:
            multiplier, shift = quantize_multiplier(factor)
        except NumberError as error:
            raise QuantError(f"{name}: {error}") from None
        if shift + least - 1 < SHIFT_MIN or shift + most > SHIFT_MAX:
            raise QuantError(
                f"{name}: a scale of {factor:.3g} needs row shifts of {shift + least - 1}..{shift + most}, "
                f"outside {SHIFT_MIN}..{SHIFT_MAX}"
            )
        return multiplier, shift

    def _activation(self, source: Activation, name: str) -> str:
        scale, zero_point = self.scales.of(source)
        shape, inputs = (source.tokens, source.width), (self._name(source.input),)
        if source.function == "relu":
            return self._emit(
                Op.RELU,
                name,
                inputs,
                "int8",
                shape,
                scale,
                zero_point,
                layer=source.layer,
                attributes={"zero_point": zero_point},
            )
        bits = self.gelu.fraction_bits
        wide = self._emit(
            Op.GELU,
            f"{name}.acc",
            inputs,
            "int32",
            shape,
            2.0**-bits,
            layer=source.layer,
            attributes={"step_bits": self.gelu.step_bits, "range": self.gelu.range, "fraction_bits": bits},
        )
        return self._requantize(wide, name, [2.0**-bits / scale], 8, scale, zero_point, source.layer)

    def _attention(self, source: Attention, name: str) -> str:
        layer, tokens, heads = source.layer, source.tokens, source.heads
        fraction = self.softmax.fraction_bits
        square = (heads, tokens, tokens)
        q, k, v = (self._name(part) for part in source.inputs)
        if source.width // heads * 128 * 128 >= _ACCUMULATOR or tokens * 127 * 128 >= _ACCUMULATOR:
            raise QuantError(
                f"{name}: a product over so many channels or keys can overflow its 32-bit accumulator"
            )
        self._emit(
            Op.SCORES, f"{name}.scores.acc", (q, k), "int32", square, layer=layer, attributes={"heads": heads}
        )
        factor = self.scales.of(source.q)[0] * self.scales.of(source.k)[0] * source.gain * math.log2(math.e)
        scores = self._requantize(
            f"{name}.scores.acc", f"{name}.scores", [factor * 2.0**fraction], 15, 2.0**-fraction, 0, layer
        )
        rows = self._softmax(source, name, scores)
        self._emit(
            Op.CONTEXT,
            f"{name}.acc",
            (rows[0], v),
            "int32",
            (tokens, source.width),
            layer=layer,
            attributes={"heads": heads},
        )
        scale, zero_point = self.scales.of(source)
        return self._emit(
            Op.REQUANTIZE_ROWS,
            name,
            (f"{name}.acc", rows[1], rows[2]),
            "int8",
            (tokens, source.width),
            scale,
            zero_point,
            layer=layer,
            attributes={"heads": heads, "zero_point": zero_point},
        )

    def _softmax(self, source: Attention, name: str, scores: str) -> tuple[str, str, str]:
        constant = 9 if self.softmax.variant == "base2" else 8
        factor = self.scales.of(source.v)[0] / self.scales.of(source)[0]
        multiplier, shift = self._output_factor(name, factor, 16 - constant, 32 - constant)
        outputs = (f"{name}.softmax.p", f"{name}.softmax.multiplier", f"{name}.softmax.shift")
        square = self.tensors[scores].shape
        self.tensors[outputs[0]] = Tensor(name=outputs[0], dtype="int8", shape=square)
        for output in outputs[1:]:
            self.tensors[output] = Tensor(name=output, dtype="int32", shape=square[:2])
        self.nodes.append(
            Node(
                op=Op.SOFTMAX,
                name=f"{name}.softmax",
                inputs=(scores,),
                outputs=outputs,
                attributes={
                    "variant": self.softmax.variant,
                    "fraction_bits": self.softmax.fraction_bits,
                    "multiplier": multiplier,
                    "shift": shift,
                },
                layer=source.layer,
            )
        )
        return outputs

    def _mean(self, source: Mean, name: str) -> str:
        tokens = source.input.tokens
        if tokens > 4096:
            raise QuantError(f"{name}: a mean over {tokens} tokens; at most 4096 are supported")
        multiplier, shift = quantize_multiplier(1 / tokens)
        return self._emit(
            Op.MEAN_TOKENS,
            name,
            (self._name(source.input),),
            "int16",
            (1, source.width),
            self.scales.residual,
            layer=source.layer,
            attributes={"multiplier": multiplier, "shift": shift},
        )
