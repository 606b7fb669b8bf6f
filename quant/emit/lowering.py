"""From a recognized float encoder and its scales to the integer graph.

Every real factor between two integer tensors becomes one ``spec.numbers.quantize_multiplier``; docs/numerics.md
says what each operation computes with it. The accumulators of ``<name>`` are the tensor ``<name>.acc``.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from vitreous.quant.calibrate.observers import weight_scales
from vitreous.quant.calibrate.rounding import nearest
from vitreous.quant.calibrate.scales import Scales
from vitreous.quant.emit.builder import Builder, Scale
from vitreous.quant.emit.constants import check_keys, norm_constants, row_constants
from vitreous.quant.errors import QuantError
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.importer.weights import is_nothing
from vitreous.spec.config import ActivationConfig, NormConfig, SoftmaxConfig
from vitreous.spec.graph import Op
from vitreous.spec.graph.infer import probability_dtype
from vitreous.spec.limits import NORM_CHANNELS, POOL_TOKENS
from vitreous.spec.numbers import ACCUMULATOR, ACTIVATION_INPUT, INT16, SCORE, quantize_multiplier
from vitreous.spec.softmax import key_block, key_blocks

# A factor below this gives 0 or -1 for every 32-bit accumulator: raising it to here changes nothing and keeps
# the shift in its field where weights, queries or keys are (almost) zero.
_LEAST_FACTOR = 2.0**-31
# A bias may fill this much of the accumulator; a larger one raises its channel's scale.
_LARGEST_BIAS = 2**29


@dataclass(frozen=True, kw_only=True)
class Units:
    """The nonlinear units that the graph is made for: parts of an accelerator's configuration, or ``exact`` ones."""

    softmax: SoftmaxConfig = field(default_factory=SoftmaxConfig)
    activation: ActivationConfig = field(default_factory=ActivationConfig)
    norm: NormConfig = field(default_factory=NormConfig)


class Lowering(Builder):
    """Builds the nodes and tensors of one graph, source by source; complete after ``run``.

    ``widths``: probability bits, 8 or 16, of each attention by its name.
    """

    def __init__(
        self,
        encoder: ir.Encoder,
        scales: Scales,
        units: Units,
        widths: Mapping[str, int],
    ) -> None:
        super().__init__()
        self.encoder, self.scales = encoder, scales
        self.units, self.widths = units, widths
        # Every linear layer has exactly one user: the importer makes a new one for each use.
        self._user = {part.serial: source for source in self.encoder.sources for part in source.inputs}

    def run(self) -> None:
        """Lower everything. Raises QuantError when a number does not fit its format."""
        lower: dict[type[ir.Source], Callable[[Any, str], str]] = {
            ir.Image: self._image,
            ir.Patches: self._patches,
            ir.Linear: self._linear,
            ir.Start: self._start,
            ir.Restart: self._restart,
            ir.Add: self._add,
            ir.Norm: self._norm,
            ir.Activation: self._activation,
            ir.Attention: self._attention,
            ir.Select: self._select,
            ir.Mean: self._mean,
            ir.HeadMean: self._mean,
            ir.HeadSum: self._head_sum,
        }
        for source in self.encoder.sources:
            lower[type(source)](source, self.encoder.name(source))
        logits = self.encoder.name(self.encoder.logits)
        output = self.tensor("output", "int16", (1, self.encoder.logits.width), self.format(logits))
        self.node(Op.OUTPUT, "output", "", (logits,), (output,))

    def _image(self, source: ir.Image, name: str) -> str:
        output = self.tensor(name, "int8", source.shape, self.scales.of(source))
        return self.node(Op.INPUT, name, source.layer, (), (output,))

    def _patches(self, source: ir.Patches, name: str) -> str:
        image = self.encoder.name(source.image)
        output = self.tensor(name, "int8", (source.tokens, source.width), self.format(image))
        return self.node(Op.PATCHES, name, source.layer, (image,), (output,), patch=source.patch)

    def _linear(self, source: ir.Linear, name: str) -> str:
        given = self.format(self.encoder.name(source.input))
        bits, scale = self._output_of(source)
        folded, alike = source.weight, is_nothing(source.weight)
        if alike:
            folded = folded[:, :1]  # one column says it all
        elif isinstance(source.input, ir.Norm):
            folded = folded * 2.0 ** self._shifts(source.input)
        steps, weight = self._weight(source, folded, given.step, scale.step)
        bias = (source.bias / (steps * given.step) + 0.5).floor()
        check_accumulator(name, weight, bias, given.zero_point)
        integers = weight.numpy().astype(np.int8)
        self.node(
            Op.LINEAR,
            f"{name}.acc",
            source.layer,
            (self.encoder.name(source.input),),
            (self.tensor(f"{name}.acc", "int32", (source.tokens, source.width)),),
            {
                "weight": np.broadcast_to(integers, source.weight.shape) if alike else integers,
                "bias": bias.numpy().astype(np.int32),
            },
            input_zero_point=given.zero_point,
        )
        factors = (steps * given.step / scale.step).tolist()
        user = self._user.get(source.serial)
        # A stream that starts here has no other values than these.
        made = self.encoder.name(user) if isinstance(user, ir.Restart) else name
        return self.requantize(source.layer, f"{name}.acc", made, factors, bits, scale)

    def _output_of(self, source: ir.Linear) -> tuple[int, Scale]:
        """Bits and scale of what a linear layer's accumulators become."""
        if source is self.encoder.logits:
            return 16, self.scales.of(source)
        user = self._user[source.serial]
        if isinstance(user, ir.HeadMean):
            return 16, self.scales.of(source)
        if isinstance(user, ir.Activation):
            relu = user.function == "relu"
            return (8, self.scales.of(user)) if relu else (16, Scale(2.0**-ACTIVATION_INPUT.fraction))
        return (8, self.scales.of(source)) if isinstance(user, ir.Attention) else (16, self.scales.of(user))

    def _shifts(self, source: ir.Norm) -> torch.Tensor:
        """The shift of each channel of a norm's output, int64 ``[width]``."""
        return self.scales.shifts.get(source.serial, torch.zeros(source.width, dtype=torch.int64))

    def _weight(
        self, source: ir.Linear, folded: torch.Tensor, given: float, output: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Steps ``[O]`` and integers ``[O, K]``: those that calibration chose, but where a bias needs a larger step."""
        chosen = self.scales.weights.get(source.serial)
        steps = weight_scales(folded, "minmax") if chosen is None else chosen.steps
        for_bias = source.bias.abs() / (given * _LARGEST_BIAS)
        raised = torch.maximum(steps, for_bias).clamp(min=_LEAST_FACTOR * output / given)
        integers = nearest(folded, raised)
        if chosen is not None:
            integers = torch.where((raised == steps)[:, None], chosen.integers.double(), integers)
        return raised, integers

    def _start(self, source: ir.Start, name: str) -> str:
        shape, patches = (source.tokens, source.width), self.encoder.name(source.embedding)
        stream = self.scales.of(source)
        if source.prefix:
            padded = self.tensor(f"{name}.pad", "int16", shape, stream)
            self.node(Op.PAD_TOKENS, padded, source.layer, (patches,), (padded,), count=source.prefix)
            patches = padded
        integers = (source.constant / stream.step + 0.5).floor().clamp(INT16.minimum, INT16.maximum)
        constant = self.tensor(f"{name}.constant", "int16", shape, stream)
        value = {"value": integers.numpy().astype(np.int16)}
        self.node(Op.CONSTANT, constant, source.layer, (), (constant,), value)
        output = self.tensor(name, "int16", shape, stream)
        return self.node(Op.ADD, name, source.layer, (constant, patches), (output,))

    def _restart(self, source: ir.Restart, name: str) -> str:
        return self.tensors[name].name

    def _add(self, source: ir.Add, name: str) -> str:
        output = self.tensor(name, "int16", (source.tokens, source.width), self.scales.of(source))
        inputs = (self.encoder.name(source.residual), self.encoder.name(source.branch))
        return self.node(Op.ADD, name, source.layer, inputs, (output,))

    def _norm(self, source: ir.Norm, name: str) -> str:
        if source.width > NORM_CHANNELS:
            raise QuantError(
                f"{name}: layer norm over {source.width} channels; at most {NORM_CHANNELS} are supported"
            )
        stream, scale, config = self.encoder.name(source.input), self.scales.of(source), self.units.norm
        step = self.format(stream).step
        constants = norm_constants(name, config, source.width, source.eps, step, scale.step)
        output = self.tensor(name, "int8", (source.tokens, source.width), scale)
        return self.node(
            Op.LAYERNORM if source.centred else Op.RMSNORM,
            name,
            source.layer,
            (stream,),
            (output,),
            {"channel_shifts": self._shifts(source).numpy().astype(np.uint8)},
            variant=config.variant,
            zero_point=scale.zero_point,
            **constants._asdict(),
        )

    def _activation(self, source: ir.Activation, name: str) -> str:
        scale, shape = self.scales.of(source), (source.tokens, source.width)
        inputs, layer = (self.encoder.name(source.input),), source.layer
        if source.function == "relu":
            output = self.tensor(name, "int8", shape, scale)
            return self.node(Op.RELU, name, layer, inputs, (output,), zero_point=scale.zero_point)
        config = self.units.activation
        if source.function != config.function:
            raise QuantError(
                f"{name}: the model's {source.function} needs activation.function = {source.function}, but the "
                f"accelerator's is {config.function}"
            )
        step = 2.0**-config.fraction_bits
        wide = self.tensor(f"{name}.acc", "int32", shape, Scale(step))
        self.node(
            Op.ACTIVATION,
            wide,
            layer,
            inputs,
            (wide,),
            **dataclasses.asdict(config),
        )
        return self.requantize(layer, wide, name, [step / scale.step], 8, scale)

    def _attention(self, source: ir.Attention, name: str) -> str:
        layer, tokens, heads = source.layer, source.tokens, source.heads
        scale = self.scales.of(source)
        check_keys(name, self.units.softmax, tokens)
        if max(source.width // heads, tokens) * 128 * 128 > ACCUMULATOR.maximum:
            raise QuantError(
                f"{name}: {tokens} keys or {source.width // heads} channels of a head overflow 32 bits"
            )
        q, k, v = (self.encoder.name(part) for part in source.inputs)
        shape, square = (tokens, source.width), (heads, tokens, tokens)
        scores = self.tensor(f"{name}.scores.acc", "int32", square)
        self.node(Op.SCORES, scores, layer, (q, k), (scores,), heads=heads)
        step = 2.0**-self.units.softmax.fraction_bits
        factor = self.format(q).step * self.format(k).step * source.gain * math.log2(math.e) / step
        self.requantize(
            layer, scores, f"{name}.scores", [max(factor, _LEAST_FACTOR)], SCORE.width, Scale(step)
        )
        p, multiplier, shift, maxima = self._softmax(source, name, f"{name}.scores")
        context = self.tensor(f"{name}.acc", "int32", shape)
        block = key_block(self.units.softmax)
        self.node(Op.CONTEXT, context, layer, (p, v, maxima), (context,), heads=heads, key_block=block)
        output = self.tensor(name, "int8", shape, scale)
        inputs, zero_point = (context, multiplier, shift), scale.zero_point
        return self.node(
            Op.REQUANTIZE_ROWS, name, layer, inputs, (output,), heads=heads, zero_point=zero_point
        )

    def _softmax(self, source: ir.Attention, name: str, scores: str) -> tuple[str, str, str, str]:
        config, bits = self.units.softmax, self.widths[name]
        factor = self.format(self.encoder.name(source.v)).step / self.scales.of(source).step
        square, block = self.tensors[scores].shape, key_block(config)
        blocks = len(key_blocks(square[2], block))
        multiplier, shift = row_constants(name, config, bits, blocks, factor)
        dtype = probability_dtype(dataclasses.replace(config, probability_bits=bits))
        outputs = (
            self.tensor(f"{name}.softmax.p", dtype, square),
            self.tensor(f"{name}.softmax.multiplier", "int32", square[:2]),
            self.tensor(f"{name}.softmax.shift", "int32", square[:2]),
            self.tensor(f"{name}.softmax.maxima", "int32", (*square[:2], blocks)),
        )
        self.node(
            Op.SOFTMAX,
            f"{name}.softmax",
            source.layer,
            (scores,),
            outputs,
            variant=config.variant,
            fraction_bits=config.fraction_bits,
            probability_bits=bits,
            key_block=block,
            multiplier=multiplier,
            shift=shift,
        )
        return outputs

    def _select(self, source: ir.Select, name: str) -> str:
        stream = self.encoder.name(source.input)
        output = self.tensor(name, "int16", (source.tokens, source.width), self.format(stream))
        return self.node(
            Op.SELECT_TOKEN,
            name,
            source.layer,
            (stream,),
            (output,),
            index=source.index,
            count=source.tokens,
        )

    def _head_sum(self, source: ir.HeadSum, name: str) -> str:
        output = self.tensor(name, "int16", (1, source.width), self.scales.of(source))
        mean, branch = (self.encoder.name(term) for term in source.terms)
        return self.node(Op.ADD, name, source.layer, (mean, branch), (output,))

    def _mean(self, source: ir.Mean | ir.HeadMean, name: str) -> str:
        tokens = source.input.tokens
        if tokens > POOL_TOKENS:
            raise QuantError(f"{name}: mean over {tokens} tokens; at most {POOL_TOKENS} are supported")
        stream = self.encoder.name(source.input)
        scale = self.scales.of(source)
        ratio = self.format(stream).step / scale.step
        multiplier, shift = quantize_multiplier(ratio / (tokens - source.first))
        output = self.tensor(name, "int16", (1, source.width), scale)
        return self.node(
            Op.MEAN_TOKENS,
            name,
            source.layer,
            (stream,),
            (output,),
            multiplier=multiplier,
            shift=shift,
            first=source.first,
        )


def check_accumulator(name: str, weight: torch.Tensor, bias: torch.Tensor, zero_point: int) -> None:
    """Raise QuantError, naming the channel, unless every sum of docs/numerics.md "Linear" stays below ``2**31``.

    ``weight [O, K]`` and ``bias [O]`` hold integers; the bounds are taken before and after the zero point is folded.
    """
    total = weight.abs().sum(1)
    before = bias.abs() + 255 * total
    after = (bias - zero_point * weight.sum(1)).abs() + 128 * total
    worst = torch.maximum(before, after)
    channel = int(worst.argmax())
    if float(worst[channel]) > ACCUMULATOR.maximum:
        reach = f"{float(worst[channel]):.4g}"
        raise QuantError(f"{name}: output channel {channel} can reach {reach}, beyond its 32-bit accumulator")
