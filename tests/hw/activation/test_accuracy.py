"""What the GELU settings promise, over all 2**16 inputs: the golden function, equal to the RTL (test_activation)."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from benchmarks.gelu import (
    EIGHT_BITS,
    MARK,
    PRECISE,
    SETTINGS,
    correctly_rounded,
    errors,
    random_scales,
    truth,
)
from tests.support.tree import ROOT
from vitreous.hw.activation.delta import DeltaActivation
from vitreous.spec.config import ActivationConfig

PUBLISHED_BITS = 177 * 22


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def test_truth_has_known_values() -> None:
    exact = truth()
    assert exact[1 << 15] == 0
    assert exact[(1 << 15) + 1024] == pytest.approx(0.8413447460685429, rel=1e-15)
    assert exact[(1 << 15) - 1024] == pytest.approx(0.8413447460685429 - 1, rel=1e-15)
    assert exact[(1 << 15) - 8192] == pytest.approx(-8 * 6.220960574271785e-16, rel=1e-12)


def test_delta_with_22_bits_errs_by_less_than_half_the_published_with_fewer_bits() -> None:
    assert PRECISE.fraction_bits == 22
    assert np.abs(errors(PRECISE)).max() <= 5e-5
    assert DeltaActivation.table_bits(PRECISE) <= PUBLISHED_BITS
    assert DeltaActivation.table_bits(PRECISE) == 137 * 20


@pytest.mark.parametrize("scale", [1 / 32, 1 / 40, *random_scales()])
@pytest.mark.parametrize("config", [EIGHT_BITS, ActivationConfig()], ids=["8 bits", "default"])
def test_8_bit_results_are_correctly_rounded(config: ActivationConfig, scale: float) -> None:
    everywhere, near = correctly_rounded(config, scale)
    assert everywhere >= 0.999
    assert near >= (0.997 if config is EIGHT_BITS else 0.9985)


def test_a_coarse_scale_misses_only_ties() -> None:
    """Scale 1/16, beyond the table: ``16 x`` is a half at every 64th input and exact GELU is less."""
    everywhere, near = correctly_rounded(ActivationConfig(), 1 / 16)
    ties = sum(1 for x in range(4608, 8128) if x % 64 == 32)
    assert ties == 55
    assert (1 - everywhere) * 65536 == pytest.approx((1 - near) * 8191 + ties, abs=6)
    assert everywhere >= 0.999


def test_a_half_of_the_table_bits_is_not_enough() -> None:
    """The test can fail: 16 steps a unit err by four times as much."""
    assert np.abs(errors(ActivationConfig(step_bits=4, range=4.25, fraction_bits=22))).max() > 1.5e-4


def test_page_has_every_setting() -> None:
    page = (ROOT / "docs" / "results" / "gelu.md").read_text()
    table = page.split(MARK)[1]
    assert [name for name in SETTINGS if f"| {name} |" not in table] == []
