"""Errors of the units: the measurement itself is checked, against seeded mistakes and known values."""

import numpy as np
import pytest
import torch

from vitreous.characterize import distributions
from vitreous.characterize import errors as unit_errors
from vitreous.characterize.errors import (
    activation_error,
    exact_softmax,
    probabilities,
    row_error,
    softmax_errors,
    worst,
)
from vitreous.golden.activation import activation as golden_activation
from vitreous.spec.config import ActivationConfig, SoftmaxConfig
from vitreous.spec.variants import ActivationFunction


@pytest.mark.parametrize("function", ActivationFunction)
def test_exact_activation_errs_by_half_a_step_at_most(function: str) -> None:
    error = activation_error(ActivationConfig(function=function, variant="exact", fraction_bits=12))
    assert 0.9 * 2**-13 < error.largest <= 2**-13
    assert error.mean["uniform"] <= 2**-13


def test_a_wrong_value_is_found_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = golden_activation.activation

    def broken(x: torch.Tensor, config: ActivationConfig) -> torch.Tensor:
        y = whole(x, config)
        return torch.where(x == 1500, y + 400, y)

    monkeypatch.setattr(golden_activation, "activation", broken)
    error = activation_error(ActivationConfig(variant="exact"))
    assert error.at == 1500 / 1024
    assert error.largest == pytest.approx(400 / 2**14, abs=2**-14)


def test_default_delta_keeps_its_bound() -> None:
    error = activation_error(ActivationConfig())
    assert error.largest < 1e-4
    assert error.rounded > 0.99


def test_weights_are_shares() -> None:
    for name in ("uniform", "normal", "wide"):
        weights = distributions.activation_weights(name)
        assert weights.shape == (1 << 16,)
        assert weights.sum() == pytest.approx(1)
    assert (distributions.activation_weights("uniform") > 0).sum() == 16 * 1024
    with pytest.raises(ValueError, match="No distribution of activations is called 'real'"):
        distributions.activation_weights("real")


def test_stated_rows_are_the_same_every_time_and_no_longer_than_asked() -> None:
    first, second = (list(distributions.score_rows(200)) for _ in range(2))
    assert [rows.name for rows in first] == [rows.name for rows in second]
    assert all(np.array_equal(a.logits, b.logits) for a, b in zip(first, second, strict=True))
    assert max(rows.logits.shape[1] for rows in first) == 197
    deviations = [rows.logits.std() for rows in first if rows.name == "normal-4-197"]
    assert deviations == [pytest.approx(4, rel=0.02)]


@pytest.mark.parametrize("variant", ["base2", "online", "ibert"])
@pytest.mark.parametrize("bits", [8, 16])
def test_probabilities_are_those_of_softmax(variant: str, bits: int) -> None:
    logits = np.random.default_rng(1).normal(0, 1, (64, 50))
    found = probabilities(logits, SoftmaxConfig(variant=variant, probability_bits=bits))
    assert np.abs(found - exact_softmax(logits)).max() < (2e-3 if bits == 16 else 2e-2)


def test_exact_softmax_is_softmax_of_the_scores() -> None:
    rows = distributions.Rows("x", "x", np.random.default_rng(2).normal(0, 1, (64, 50)))
    error = row_error(rows, SoftmaxConfig(variant="exact"))
    assert error.unit < 2**-22
    assert error.largest > 1e-5  # the scores were rounded


def test_a_lost_key_is_seen_in_error_and_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = distributions.Rows("flat", "flat", np.zeros((1, 4)))
    before = row_error(rows, SoftmaxConfig())
    whole = unit_errors.probabilities

    def lossy(logits: np.ndarray, config: SoftmaxConfig) -> np.ndarray:
        found = whole(logits, config).copy()
        found[:, 0] = 0
        return found

    monkeypatch.setattr(unit_errors, "probabilities", lossy)
    after = row_error(rows, SoftmaxConfig())
    assert before.largest < 0.01
    assert after.largest == pytest.approx(0.25)
    assert after.sum_least == pytest.approx(0.75, abs=0.01)


def test_worst_takes_the_extremes() -> None:
    errors = softmax_errors(SoftmaxConfig(variant="ita"))
    assert max(len(e.what) for e in errors) > 0
    total = worst(errors)
    assert total.largest == max(e.largest for e in errors)
    assert total.sum_least == min(e.sum_least for e in errors)


def test_divisions_keep_their_stated_errors() -> None:
    reciprocal, root = unit_errors.reciprocal_error(), unit_errors.root_error()
    assert reciprocal.least > -(2**-13)
    assert reciprocal.largest < 2**-16
    assert max(-root.least, root.largest) < 2e-4
    assert root.mean > 0
