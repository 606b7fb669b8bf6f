"""Import of activation functions that a model writes out:

    x * sigmoid(x), x * sigmoid(1.702 x)                                  SiLU, quick GELU
    x/2 * (1 + erf(x / sqrt(2)))                                          GELU
    x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x**3)))                    tanh-GELU

Whatever order and constants a model writes them with, each part becomes a polynomial of ``x`` or a function of one,
and the last product recognizes the whole. A part that is used in any other way is refused where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import fx

from vitreous.quant.errors import module_path, refuse
from vitreous.quant.importer import layers
from vitreous.quant.importer.partial import Curve, Polynomial, Square
from vitreous.quant.importer.view import View, identical, uniform
from vitreous.quant.importer.walk import Walk
from vitreous.spec.variants import ActivationFunction

_HIGHEST = 3
_CLOSE = 1e-5
_SUPPORTED = "silu, gelu, tanh-GELU and quick GELU, written out in any order"
_QUICK = 1.702
_FUNCTIONS = {
    "erf": (ActivationFunction.GELU, (0.0, math.sqrt(0.5))),
    "tanh": (
        ActivationFunction.GELU_TANH,
        (0.0, math.sqrt(2 / math.pi), 0.0, math.sqrt(2 / math.pi) * 0.044715),
    ),
}


def curve(walk: Walk, node: fx.Node, view: View, function: str) -> View:
    """``function`` (erf, tanh, sigmoid) of a polynomial of ``x``."""
    base = view.source.argument if isinstance(view.source, Polynomial | Square) else _base(view)
    found = coefficients(view, base)
    if found is None:
        raise refuse(node, f"{function} of differently scaled values", _SUPPORTED)
    rows, width = layers.size(walk, view)
    made = Curve(
        tokens=rows,
        width=width,
        layer=module_path(node),
        argument=base,
        operand=view,
        function=function,
        coefficients=found,
    )
    return View(made, torch.arange(view.index.numel()).reshape(view.shape))


def _base(view: View) -> View:
    """The value itself where it carries one gain and offset: what of it was there before."""
    plain = uniform(view.gain, 1.0) is not None and uniform(view.offset, 0.0) is not None
    return View(view.source, view.index, node=view.node) if plain else view


def coefficients(view: View, base: View) -> tuple[float, ...] | None:
    """``c`` with ``view = sum_i c[i] * base**i``, ascending; None where it is no polynomial of ``base``."""
    source = view.source
    if isinstance(source, Polynomial | Square):
        powers = source.coefficients if isinstance(source, Polynomial) else (0.0, 0.0, 1.0)
        gain, offset = uniform(view.gain, 1.0), uniform(view.offset, 0.0)
        if not (
            identical(source.argument, base) and untouched(view) and gain is not None and offset is not None
        ):
            return None
        return (gain * powers[0] + offset, *(gain * power for power in powers[1:]))
    if source is not base.source or not torch.equal(view.index, base.index):
        return None
    gain = uniform(view.gain if base.gain is None else _or_one(view) / base.gain, 1.0)
    if gain is None:
        return None
    offset = uniform(view.offset if base.offset is None else _or_zero(view) - gain * base.offset, 0.0)
    return None if offset is None else (offset, gain)


def _or_one(view: View) -> torch.Tensor:
    return torch.ones(view.shape, dtype=torch.float64) if view.gain is None else view.gain


def _or_zero(view: View) -> torch.Tensor:
    return torch.zeros(view.shape, dtype=torch.float64) if view.offset is None else view.offset


def untouched(view: View) -> bool:
    """Whether the elements of a part are where they were made."""
    return torch.equal(view.index.reshape(-1), torch.arange(view.index.numel()))


def power(walk: Walk, node: fx.Node, view: View) -> View:
    """``x ** 3``."""
    return _polynomial(walk, node, view, (0.0, 0.0, 0.0, 1.0), view.shape)


def combined(walk: Walk, node: fx.Node, left: View, right: View, *, times: bool) -> View | None:
    """The sum or the product of two polynomials of the same ``x``; None when they are none."""
    parts = [view for view in (left, right) if isinstance(view.source, Polynomial | Square)]
    if not parts and not times:
        return None
    base = parts[0].source.argument if parts else _base(left)  # type: ignore[attr-defined]
    one, other = coefficients(left, base), coefficients(right, base)
    if one is None or other is None:
        return None
    total = _product(one, other) if times else _sum(one, other)
    return _polynomial(walk, node, base, total, left.shape) if len(total) <= _HIGHEST + 1 else None


def _sum(one: Sequence[float], other: Sequence[float]) -> tuple[float, ...]:
    length = max(len(one), len(other))
    padded = [[*part, *[0.0] * (length - len(part))] for part in (one, other)]
    return tuple(a + b for a, b in zip(*padded, strict=True))


def _product(one: Sequence[float], other: Sequence[float]) -> tuple[float, ...]:
    total = [0.0] * (len(one) + len(other) - 1)
    for i, a in enumerate(one):
        for j, b in enumerate(other):
            total[i + j] += a * b
    return tuple(total)


def _polynomial(walk: Walk, node: fx.Node, base: View, powers: tuple[float, ...], shape: torch.Size) -> View:
    rows, width = layers.size(walk, base)
    made = Polynomial(tokens=rows, width=width, layer=module_path(node), argument=base, coefficients=powers)
    return View(made, torch.arange(shape.numel()).reshape(shape))


def product(walk: Walk, node: fx.Node, left: View, right: View) -> View | None:
    """An activation function from the product of ``x`` and a function of it; None when it is none."""
    for value, other in ((left, right), (right, left)):
        source = other.source
        if not isinstance(source, Curve) or not untouched(other):
            continue
        scale, gain, offset = (
            coefficients(value, source.argument),
            uniform(other.gain, 1.0),
            uniform(other.offset, 0.0),
        )
        if (
            scale is None
            or gain is None
            or offset is None
            or len(scale) != 2
            or not math.isclose(scale[0], 0, abs_tol=1e-12)
        ):
            continue
        if source.function == "sigmoid" and offset == 0:
            return _of_sigmoid(walk, node, source, scale[1] * gain)
        function, wanted = _FUNCTIONS.get(source.function, (None, ()))
        if (
            function is not None
            and math.isclose(gain, offset, rel_tol=_CLOSE)
            and _same(source.coefficients, wanted)
        ):
            return _scaled(layers.activation(walk, node, source.argument, function), 2 * scale[1] * gain)
    return None


def _of_sigmoid(walk: Walk, node: fx.Node, source: Curve, gain: float) -> View | None:
    """``gain * x * sigmoid(b * x)``: quick GELU, or SiLU of ``b * x`` divided by ``b``."""
    if len(source.coefficients) != 2 or source.coefficients[0] != 0:
        return None
    factor = source.coefficients[1]
    if math.isclose(factor, _QUICK, rel_tol=_CLOSE):
        return _scaled(layers.activation(walk, node, source.argument, ActivationFunction.QUICK_GELU), gain)
    made = layers.activation(walk, node, source.argument.scaled(factor), ActivationFunction.SILU)
    return _scaled(made, gain / factor)


def _scaled(view: View, gain: float) -> View:
    return view if math.isclose(gain, 1, rel_tol=_CLOSE) else view.scaled(gain)


def _same(one: Sequence[float], other: Sequence[float]) -> bool:
    return len(one) == len(other) and all(
        math.isclose(a, b, rel_tol=_CLOSE, abs_tol=1e-9) for a, b in zip(one, other, strict=True)
    )
