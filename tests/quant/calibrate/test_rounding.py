"""Weights to integers: what compensation gains, what it may not change, and that the graph holds what was chosen."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tests.support.quant.zoo import Shape, Vit, images
from vitreous.quant import QuantScheme
from vitreous.quant.calibrate.canonical import Canonical, Channels, copied, observe_channels
from vitreous.quant.calibrate.forward import Forward
from vitreous.quant.calibrate.rounding import (
    COMPENSATED,
    compensated,
    moments,
    nearest,
    round_weight,
)
from vitreous.quant.calibrate.search import Choice, Fold, Search
from vitreous.quant.calibrate.squeeze import loud_channels, squeeze, squeezed
from vitreous.quant.importer import float_ir as ir
from vitreous.quant.pipeline import lower, observe
from vitreous.spec.graph import Op

torch.set_num_threads(1)


def correlated(rows: int, width: int) -> torch.Tensor:
    """Inputs whose channels go together, two of them loud."""
    random = torch.Generator().manual_seed(3)
    mixed = torch.randn(rows, width, generator=random) @ torch.randn(width, width, generator=random)
    mixed[:, :2] *= 20
    return mixed.double()


def error(weight: torch.Tensor, found: torch.Tensor, inputs: torch.Tensor) -> float:
    return float((inputs @ (weight - found).T).square().sum())


def test_compensated_weights_lose_less_on_other_inputs() -> None:
    inputs = correlated(512, 24)
    weight = torch.randn(16, 24, dtype=torch.float64, generator=torch.Generator().manual_seed(4))
    seen, other = inputs[:256], inputs[256:]
    plain = round_weight(weight, "minmax")
    better = round_weight(weight, COMPENSATED, moments=seen.T @ seen)
    assert torch.equal(better.steps, plain.steps)
    assert better.integers.dtype is torch.int8
    errors = [error(weight, each.values(None), other) for each in (plain, better)]
    assert errors[1] < 0.4 * errors[0]


def test_compensation_of_one_row_is_nearly_the_best_there_is() -> None:
    """Against all roundings up and down of four weights, two of whose inputs are nearly the same."""
    inputs = correlated(64, 4)
    inputs[:, 3] = inputs[:, 2] + 0.1 * inputs[:, 3]
    weight, steps = torch.tensor([[0.46, 1.27, -0.44, 0.38]]).double(), torch.tensor([0.1]).double()
    floors = (weight / steps).floor()
    every = [floors + torch.tensor([up]) for up in itertools.product((0.0, 1.0), repeat=4)]
    errors = sorted(error(weight, q * steps, inputs) for q in every)
    found = error(weight, compensated(weight, steps, inputs.T @ inputs) * steps, inputs)
    assert found <= errors[1] * (1 + 1e-9)
    assert found < 0.5 * error(weight, nearest(weight, steps) * steps, inputs)


def test_inputs_that_do_not_go_together_leave_the_nearest_integers() -> None:
    weight = torch.randn(5, 9, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    steps = weight.abs().amax(1) / 127
    for moment in (torch.eye(9).double(), torch.zeros(9, 9).double()):
        assert torch.equal(compensated(weight, steps, moment), nearest(weight, steps))


@pytest.mark.parametrize("method", ["minmax", COMPENSATED])
def test_shifts_are_folded_in_and_out(method: str) -> None:
    """Weights of shifted channels are rounded at their shifted size, which is what the machine's integers multiply."""
    inputs = correlated(200, 6)
    shifts = torch.tensor([3, 3, 0, 1, 0, 0])
    weight = torch.randn(4, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(6))
    by_hand = weight * 2.0**shifts
    scaled = inputs / 2.0**shifts
    one = round_weight(weight, method, shifts, inputs.T @ inputs)
    two = round_weight(by_hand, method, None, scaled.T @ scaled)
    assert torch.equal(one.integers, two.integers)
    assert torch.allclose(one.values(shifts) * 2.0**shifts, two.values(None))


def test_moments_are_those_of_the_layers_inputs() -> None:
    shape = Shape()
    pixels = images(shape, 3)
    encoder = observe(Vit(shape), pixels, QuantScheme(observer="minmax")).encoder
    found = moments(encoder, [pixels[:2], pixels[2:]], 3)
    seen: dict[int, torch.Tensor] = {}
    Forward(encoder)(pixels, lambda source, value: seen.setdefault(source.serial, value))
    for line in encoder.each(ir.Linear):
        rows = seen[line.input.serial].flatten(0, -2)
        assert torch.allclose(found[line.input.serial], rows.T @ rows, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_the_graph_holds_the_chosen_integers() -> None:
    """And rounds again only the rows whose bias needs a larger step."""
    shape = Shape(depth=2, dim=16, heads=2, hidden=32)
    pixels = images(shape, 24)
    calibrated = observe(Vit(shape), pixels, QuantScheme())
    graph = lower(calibrated, name="v", scheme=QuantScheme())
    nodes = {node.name: node for node in graph if node.op is Op.LINEAR}
    differ = 0
    for line in calibrated.encoder.each(ir.Linear):
        chosen = calibrated.weights[line.serial]
        node = nodes[f"{calibrated.encoder.name(line)}.acc"]
        np.testing.assert_array_equal(node.constants["weight"], chosen.integers.numpy())
        shifts = calibrated.formats[line.input.serial].shifts if isinstance(line.input, ir.Norm) else None
        differ += int((round_weight(line.weight, "minmax", shifts).integers != chosen.integers).sum())
    assert differ > 0, "compensation was chosen"


def test_without_moments_weights_are_not_compensated() -> None:
    shape = Shape()
    pixels = images(shape, 6)
    calibrated = observe(Vit(shape), pixels, QuantScheme(observer="mse"))
    with torch.no_grad():
        plan = Search(calibrated.encoder, [Fold(pixels, calibrated.seen)]).run()
    assert Choice(method=COMPENSATED) not in plan.values()


def loud() -> tuple[ir.Encoder, dict[int, Channels], torch.Tensor]:
    """A network with two hidden units that reach some 25, and one that the others would like to be smaller."""
    shape = Shape(dim=16, hidden=32)
    model, pixels = Vit(shape), images(shape, 12)
    with torch.no_grad():
        first, _, second = model.blocks[0].mlp
        first.weight[:2] *= 12
        second.weight[:, :2] /= 12
    encoder = observe(model, pixels, QuantScheme(observer="minmax")).exact
    return encoder, observe_channels(encoder, iter([pixels])), pixels


def test_squeezed_channels_stay_below_the_limit_and_cost_little() -> None:
    encoder, channels, pixels = loud()
    (activation,) = encoder.each(ir.Activation)
    limit = 0.5 * float(channels[activation.input.serial].reach().max())
    factors = loud_channels(encoder, channels, limit)
    made = squeeze(encoder, factors, [pixels])
    seen = observe_channels(made, iter([pixels]))[activation.input.serial]
    assert float(seen.reach().max()) < limit
    exact, found = Forward(encoder)(pixels), Forward(made)(pixels)
    assert 0 < float((found - exact).norm() / exact.norm()) < 0.05


def test_nothing_is_squeezed_without_a_choice_where_everything_fits() -> None:
    encoder, channels, pixels = loud()
    made, counts = squeezed(encoder, channels, lambda: [pixels], symmetric=False, choose=False)
    fits = all(float(channels[a.input.serial].reach().max()) * 1.1 < 32 for a in encoder.each(ir.Activation))
    assert fits is (not counts) is (made is encoder)


def test_contexts_are_in_the_balance_of_values() -> None:
    """Channels of v that hardly reach the context get larger there; the network computes the same."""
    shape = Shape(dim=16, heads=2)
    pixels = images(shape, 8)
    encoder = observe(Vit(shape), pixels, QuantScheme(observer="minmax")).exact
    channels = observe_channels(encoder, iter([pixels]))
    made = Canonical(copied(encoder), channels)
    made.centre_and_balance()
    (before,), (after,) = encoder.each(ir.Attention), made.encoder.each(ir.Attention)
    exact, found = Forward(encoder, torch.float64)(pixels), Forward(made.encoder, torch.float64)(pixels)
    assert float((found - exact).abs().max()) < 1e-9 * float(exact.abs().max())
    seen = observe_channels(made.encoder, iter([pixels]))
    columns = made.encoder.sources[made.encoder.sources.index(after) + 1].weight.abs().amax(0)  # type: ignore[attr-defined]
    product = seen[after.v.serial].reach() * seen[after.serial].reach()
    # Balanced once more, nothing would change: (v * context / columns) ** (1/3) is 1 for every channel.
    factor = (product / columns) ** (1 / 3)
    assert before.serial == after.serial
    assert float(factor.max() / factor.min()) < 1.1
