"""Ranges from histograms against the same computed directly, and the limits of number formats."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.quant import QuantError, QuantScheme, quantize
from vitreous.quant.calibrate.observers import RangeObserver, rounded, scale_of, weight_scales
from vitreous.quant.emit.constants import output_factor
from vitreous.quant.emit.lowering import check_accumulator
from vitreous.spec.graph import Op
from vitreous.spec.images import quantize_images, real_values

torch.set_num_threads(1)


def sample(kind: str) -> np.ndarray:
    rng = np.random.default_rng(3)
    if kind == "normal":
        return rng.normal(0.1, 1.0, 20_000)
    if kind == "long tail":
        return rng.standard_t(3, 20_000)
    values = rng.normal(0, 1, 20_000)  # what GELU leaves
    return np.where(values > 0, values, 0.1 * np.maximum(values, -1.5))


KINDS = ("normal", "long tail", "gelu")


def observed(values: np.ndarray, parts: int, **settings: object) -> RangeObserver:
    observer = RangeObserver(**settings)
    for part in np.array_split(values, parts):
        tensor = torch.from_numpy(part)
        assert observer(tensor) is tensor
    return observer


@pytest.mark.parametrize("kind", KINDS)
def test_minmax(kind: str) -> None:
    values = sample(kind)
    low, high = observed(values, 7, symmetric=False).interval()
    assert (low, high) == (values.min(), values.max())
    largest = np.abs(values).max()
    observer = observed(values, 7, symmetric=True)
    assert observer.interval() == (-largest, largest)
    assert float(observer.calculate_qparams()[0]) == largest / 127


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("percentile", [99.0, 99.9])
def test_percentile(kind: str, percentile: float) -> None:
    values = sample(kind)
    symmetric = observed(values, 5, method="percentile", percentile=percentile)
    expected = np.percentile(np.abs(values), percentile)
    assert symmetric.interval()[1] == pytest.approx(expected, abs=2 * symmetric.width)
    two_sided = observed(values, 5, method="percentile", percentile=percentile, symmetric=False)
    tail = (100 - percentile) / 2
    ends = np.percentile(values, [tail, 100 - tail])
    assert two_sided.interval() == pytest.approx(
        tuple(ends), abs=0.01 * np.abs(ends).max() + 2 * two_sided.width
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("symmetric", [True, False])
def test_mse_is_close_to_the_best_possible(kind: str, symmetric: bool) -> None:
    """Squared error on the values themselves, against a fine direct search; and never worse than min-max."""
    values = sample(kind)

    def error(low: float, high: float) -> float:
        scale, zero = scale_of(low, high, symmetric)
        integers = np.clip(np.floor(values / scale + 0.5) + zero, -128, 127)
        return float((((integers - zero) * scale - values) ** 2).sum())

    found = error(*observed(values, 4, method="mse", symmetric=symmetric).interval())
    low, high = min(values.min(), 0), values.max()
    if symmetric:
        low, high = -np.abs(values).max(), np.abs(values).max()
    fractions = np.linspace(0.2, 1, 97)
    ends = (
        [(low * f, high * f) for f in fractions]
        if symmetric
        else [(low * f, high * g) for f in fractions[::6] for g in fractions]
    )
    assert found <= 1.05 * min(error(*pair) for pair in ends)
    assert found <= error(low, high)


def test_any_split_in_batches_gives_the_same_counts() -> None:
    """Growing by doubling is exact: the small values first or last, in one batch or many."""
    values = np.concatenate([sample("normal") * scale for scale in (1e-3, 0.0, 1.0, 40.0)])
    one, many, back = (
        observed(v, n, method="mse") for v, n in ((values, 1), (values, 50), (values[::-1].copy(), 9))
    )
    assert one.width == many.width == back.width
    assert torch.equal(one.counts, many.counts)
    assert torch.equal(one.counts, back.counts)
    assert float(one.counts.sum()) == len(values)


def test_one_token_and_nothing_but_zeros() -> None:
    observer = RangeObserver(row=0)
    observer(torch.tensor([[[1.0, -2.0], [50.0, 60.0]]]))
    assert observer.interval() == (-2.0, 2.0)
    for method in ("minmax", "percentile", "mse"):
        for symmetric in (True, False):
            zeros = observed(np.zeros(10), 2, method=method, symmetric=symmetric)
            scale, zero_point = scale_of(*zeros.interval(), symmetric)
            assert scale > 0
            assert float(rounded(torch.zeros(1), scale, zero_point)) == 0


@pytest.mark.parametrize(("low", "high"), [(-0.17, 4.0), (-3.0, 0.0), (0.0, 5.0), (-1.0, 1.0)])
def test_zero_and_the_ends_are_kept(low: float, high: float) -> None:
    scale, zero_point = scale_of(low, high, symmetric=False)
    assert -128 <= zero_point <= 127
    ends = rounded(torch.tensor([low, 0.0, high], dtype=torch.float64), scale, zero_point)
    assert float(ends[1]) == 0
    assert ends.tolist() == pytest.approx([low, 0.0, high], abs=scale)


def test_weight_scales() -> None:
    weight = torch.randn(4, 20_000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    weight[2] = 0
    weight[3] *= 0.01
    weight[3, 0] = 0.06  # one outlier, cheaper to clip than a wider step for all
    largest = weight.abs().amax(1)
    assert torch.equal(weight_scales(weight, "minmax"), largest / 127)
    found = weight_scales(weight, "mse")
    assert float(found[2]) == 0

    def error(scales: torch.Tensor) -> torch.Tensor:
        safe = scales.clamp(min=1e-30)[:, None]
        return ((torch.floor(weight / safe + 0.5).clamp(-127, 127) * safe - weight) ** 2).sum(1)

    candidates = torch.stack([error(largest * step / 80 / 127) for step in range(40, 81)])
    assert torch.allclose(error(found), candidates.amin(0))
    assert float(found[3]) < float(largest[3]) / 127


def test_scheme_errors() -> None:
    for settings, sentence in (
        ({"weight_bits": 4}, "weight_bits must be 8, not 4"),
        ({"activation_bits": 16}, "activation_bits must be 8, not 16"),
        ({"observer": "max"}, "observer must be one of output, minmax, percentile, mse, not 'max'"),
        ({"percentile": 10}, "percentile must be above 50 and at most 100, not 10"),
        ({"residual_headroom": 0.5}, "residual_headroom must be in 1..16, not 0.5"),
    ):
        with pytest.raises(QuantError, match=sentence):
            QuantScheme(**settings)
    with pytest.raises(dataclasses.FrozenInstanceError):
        QuantScheme().observer = "mse"  # type: ignore[misc]


def test_accumulators_are_proved_or_refused() -> None:
    weight = torch.full((2, 1000), 127.0, dtype=torch.float64)
    bias = torch.tensor([0.0, 2.0**31 - 255 * 127_000 - 1], dtype=torch.float64)
    check_accumulator("fc", weight, bias, 0)
    with pytest.raises(
        QuantError, match="fc: output channel 1 can reach 2.147e\\+09, beyond its 32-bit accumulator"
    ):
        check_accumulator("fc", weight, bias + 1, 0)


def test_row_shifts_stay_in_their_field() -> None:
    assert output_factor("n", 1.0, 0, 28) == (1 << 14, 14)
    with pytest.raises(QuantError, match="n: a factor of 0.00391 needs shifts of 22..50, outside 1..47"):
        output_factor("n", 2.0**-8, 0, 28)
    with pytest.raises(QuantError, match="n: A requantization scale of 1.68e\\+07 needs a shift of -10"):
        output_factor("n", 2.0**24, 0, 28)


@pytest.mark.alike(2)
@pytest.mark.parametrize("part", ["attn.qkv", "attn.proj", "mlp.0", "mlp.2"])
@pytest.mark.parametrize("factor", [0.0, pytest.param(1e-9, marks=pytest.mark.slow)])
def test_dead_layers_are_quantized(part: str, factor: float) -> None:
    """A layer of (almost) zero weights, as pruning leaves them, gets multipliers that the machine has."""
    shape = Shape()
    model = Vit(shape)
    module = model.blocks[0].get_submodule(part)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.mul_(factor)
    graph = quantize(model, images(shape, 2), name="dead")
    for node in graph:
        if node.op is Op.REQUANTIZE:
            assert (node.constants["multiplier"] >= 1 << 14).all()
            assert ((node.constants["shift"] >= 1) & (node.constants["shift"] <= 47)).all()


def test_images_at_the_border() -> None:
    shape = Shape()
    graph = quantize(
        Vit(shape), images(shape, 2), name="v", scheme=QuantScheme(symmetric_input=False, observer="minmax")
    )
    pixels = images(shape, 2)
    integers = quantize_images(graph, pixels.numpy())
    assert integers.dtype == np.int8
    assert integers.min() == -128
    assert integers.max() == 127
    assert np.abs(real_values(graph.input, integers) - pixels.numpy()).max() <= 0.51 * graph.input.scale
