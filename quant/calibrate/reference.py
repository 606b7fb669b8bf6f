"""The recognized encoder in floats: what every integer tensor of the graph approximates, under the same name."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from vitreous.quant.importer import float_ir as ir
from vitreous.spec.variants import ActivationFunction

_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {
    ActivationFunction.GELU: functional.gelu,
    ActivationFunction.GELU_TANH: partial(functional.gelu, approximate="tanh"),
    ActivationFunction.QUICK_GELU: lambda x: x * torch.sigmoid(1.702 * x),
    ActivationFunction.SILU: functional.silu,
    "relu": functional.relu,
}


def evaluate(encoder: ir.Encoder, images: Tensor) -> dict[str, Tensor]:
    """Every source of ``encoder`` over ``images [n, C, H, W]``, computed in float64 from the folded weights.

    Returns ``[n, tokens, width]`` by name (the image as it is), and for each attention its scores as logarithms to
    base 2, ``<name>.scores [n, heads, T, T]``. A tensor of the integer graph has the values of its name, rounded.
    """
    values: dict[str, Tensor] = {}
    for source in encoder.sources:
        name = encoder.name(source)
        operands = [values[encoder.name(part)] for part in source.inputs]
        if isinstance(source, ir.Image):
            values[name] = images.double()
        elif isinstance(source, ir.Attention):
            values[f"{name}.scores"], values[name] = attention(source, operands)
        else:
            values[name] = compute(source, operands, *constants(source, torch.float64))
    return values


def constants(source: ir.Source, dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The tensors that ``compute`` needs beside a source's inputs."""
    if isinstance(source, ir.Linear):
        return source.weight.to(dtype), source.bias.to(dtype)
    return (source.constant.to(dtype),) if isinstance(source, ir.Start) else ()


def compute(source: ir.Source, inputs: list[Tensor], *constants: Tensor) -> Tensor:
    """The value of any source but an image and an attention, from its inputs' and its constants, of one type."""
    x = inputs[0]
    if isinstance(source, ir.Patches):
        return functional.unfold(x, source.patch, stride=source.patch).transpose(1, 2)
    if isinstance(source, ir.Linear):
        weight, bias = constants
        return functional.linear(x, weight, bias)
    if isinstance(source, ir.Start):
        return functional.pad(x, (0, 0, source.prefix, 0)) + constants[0]
    if isinstance(source, ir.Restart):
        return x
    if isinstance(source, ir.Add):
        return x + inputs[1]
    if isinstance(source, ir.Norm):
        normalize = functional.layer_norm if source.centred else functional.rms_norm
        return normalize(x, [source.width], eps=source.eps)
    if isinstance(source, ir.Activation):
        return _ACTIVATIONS[source.function](x)
    if isinstance(source, ir.Select):
        return x[:, source.index : source.index + source.tokens]
    if isinstance(source, ir.HeadSum):
        return x + inputs[1]
    assert isinstance(source, ir.Mean | ir.HeadMean), source
    return x[:, source.first :].mean(1, keepdim=True)


def attention(source: ir.Attention, operands: list[Tensor]) -> tuple[Tensor, Tensor]:
    """Scores to base 2, and the context with its heads side by side."""
    q, k, v = (part.unflatten(2, (source.heads, -1)).transpose(1, 2) for part in operands)
    scores = q @ k.mT * (source.gain * math.log2(math.e))
    context = torch.softmax(scores * math.log(2), -1) @ v
    return scores, context.transpose(1, 2).flatten(2)
